"""Write the files."""

from tests.support.golden import DIRECTORY, rendered

for name, content in rendered().items():
    (DIRECTORY / name).write_bytes(content)
