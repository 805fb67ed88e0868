"""Back to the release before the one that serves: `pyinfra inventory/pi.py hearth/deploys/rollback.py`."""

from pyinfra import host, state

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
