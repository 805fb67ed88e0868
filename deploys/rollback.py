"""Back to the release before the one that serves: `pyinfra inventory/pi.py deploys/rollback.py`."""

from pathlib import Path

from pyinfra import host, state
from pyinfra.api import DeployError

# First of all, as in deploy.py.
if Path.cwd() != Path(__file__).resolve().parents[1]:
    raise DeployError(
        f"{host.name}: nothing was changed: pyinfra was started in {Path.cwd()}, and finds Hearth's settings only in "
        f"Hearth's own directory: `cd {Path(__file__).resolve().parents[1]}` first"
    )

from hearth.cli.summary import prepared
from hearth.preflight.deploy import become, check_settings
from hearth.releases.deploy import rollback
from hearth.runtime.keepalive import watch_connection
from hearth.runtime.lock import hold

settings = check_settings(state.inventory)[host.name]
watch_connection()
root = become()
hold(root)
rollback(settings=settings, **root)
prepared()
