"""Container images."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host
from pyinfra.api import FunctionCommand, StringCommand, operation
from pyinfra.api.exceptions import FactPreconditionError

from hearth.commands import refused, streamed
from hearth.facts.images import Images
from hearth.host_paths import IMAGES_FOUND, IMAGES_LOCK
from hearth.reasons import explain_images
from hearth.shell import quote


@operation()
def pulled(
    references: tuple[str, ...], timeout: int, retries: int
) -> Generator[FunctionCommand | StringCommand, None, None]:
    """Pull the images that are missing, or whose tag was moved on the host since they were pulled.

    Args:
        references: `name:tag` or `name@sha256:…`.
        timeout: seconds for one attempt at one image.
        retries: further attempts; layers that arrived are kept between them.
    """
    try:
        state = host.get_fact(Images, references=references)
    except FactPreconditionError as error:
        yield refused(str(error))
        return
    missing = state.missing(references)
    unrecorded = state.unrecorded(references)
    if not missing and not unrecorded:
        host.noop("images are there")
    explain_images(state, missing, unrecorded)
    for reference, image_id in unrecorded.items():
        records = (record_script(reference, quote(image_id), table) for table in (IMAGES_FOUND, IMAGES_LOCK))
        yield StringCommand("\n".join(["set -e", *records]))
    for reference in missing:
        yield streamed(pull_script(reference, timeout, retries))


def record_script(reference: str, image_id: str, table: str = IMAGES_LOCK) -> str:
    """Shell script that writes down which image a reference leads to; `image_id` is a word of the shell."""
    return f"""mkdir -p {table.rpartition("/")[0]}
touch {table}
awk -v reference={quote(reference)} '$1 != reference' {table} > {table}.new
echo {quote(reference)} {image_id} >> {table}.new
mv {table}.new {table}"""


def pull_script(reference: str, timeout: int, retries: int) -> str:
    """Shell script that pulls one image and records its id."""
    image = quote(reference)
    return f"""set -e
attempt=0
until timeout {timeout} docker pull {image}; do
  attempt=$((attempt + 1))
  if [ $attempt -gt {retries} ]; then
    echo "Image "{image}" could not be pulled (see above). Check its name, the host's network and" \
      "docker_registry_mirrors, then deploy again: what arrived is kept." >&2
    exit 1
  fi
  echo "Trying "{image}" again ($attempt of {retries}) …"
  sleep $((attempt * 5))
done
id=$(docker image inspect --format '{{{{.Id}}}}' {image})
{record_script(reference, '"$id"')}"""
