"""Back to the release before the one that serves: `pyinfra inventory/pi.py hearth/deploys/rollback.py`."""

from pathlib import Path

from pyinfra import host, state
from pyinfra.api import DeployError

# First of all, as in deploy.py.
if Path.cwd() != Path(__file__).resolve().parents[2]:
    raise DeployError(
        f"{host.name}: nothing was changed: pyinfra was started in {Path.cwd()}, and finds Hearth's settings only in "
        f"Hearth's own directory: `cd {Path(__file__).resolve().parents[2]}` first"
    )

from hearth.connection import watch_connection
from hearth.ending import prepared
from hearth.lock import hold
from hearth.roles.preflight import become, check_settings
from hearth.roles.release import rollback

settings = check_settings(state.inventory)[host.name]
watch_connection()
root = become()
hold(root)
rollback(settings=settings, **root)
prepared()
