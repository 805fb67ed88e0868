"""The doctor, which runs on the user's own machine: `python -m hearth.doctor http://pi.local:85`.

It follows the path of a request step by step, and reports cause and cure of each failure. It imports only the
standard library, so it works before `make setup`; `checks/host_over_ssh.py` runs pyinfra in a separate process.
"""

import sys

# Here, because an older Python fails with a traceback in one of the imports below.
if sys.version_info < (3, 11):  # noqa: UP036
    version = ".".join(map(str, sys.version_info[:2]))
    sys.exit(f"the doctor needs Python 3.11 or later; this is {version} ({sys.executable})")
