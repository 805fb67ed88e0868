"""Take Hearth off the hosts of an inventory: `pyinfra inventory/pi.py deploys/uninstall.py`.

Models stay; with `--data x_uninstall_models=delete` they go as well. It lists what it would remove, and asks.
"""

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
from hearth.runtime.keepalive import watch_connection
from hearth.runtime.lock import hold
from hearth.runtime.options import choice
from hearth.uninstall.deploy import announce, uninstall

settings = check_settings(state.inventory)[host.name]
delete_models = choice("MODELS", host.data.get("x_uninstall_models"), ("keep", "delete")) == "delete"
watch_connection()
root = become()
hold(root)

announce(settings, delete_models, root)
uninstall(settings=settings, delete_models=delete_models, **root)
prepared()
