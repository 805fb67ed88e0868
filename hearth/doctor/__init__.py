"""The diagnosis that runs on the user's own machine: `python -m hearth.doctor http://pi.local:85`.

It walks the path that a request takes, step by step, and names cause and cure of what fails. Nothing here
imports anything outside the standard library, so that it works before `make setup`; `checks/host_over_ssh.py` starts
pyinfra.
"""

import sys

# Said here, since what follows would end with a traceback about some import.
if sys.version_info < (3, 11):  # noqa: UP036
    version = ".".join(map(str, sys.version_info[:2]))
    sys.exit(f"the doctor needs Python 3.11 or later, and this is {version}: {sys.executable}")
