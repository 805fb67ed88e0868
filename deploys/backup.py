"""Back up the hosts of an inventory: `pyinfra -y inventory/pi.py deploys/backup.py --data x_backup_to=backups`.

One file for each host, on this machine. `--data x_backup_models=1` puts the models' data into it as well.
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

from hearth.backup.deploy import backup
from hearth.cli.summary import prepared
from hearth.preflight.deploy import become, check_settings
from hearth.runtime.checkout import commit
from hearth.runtime.keepalive import watch_connection
from hearth.runtime.lock import hold
from hearth.runtime.options import choice, required

settings = check_settings(state.inventory)[host.name]
directory = Path(required("TO", host.data.get("x_backup_to"), "backups"))
with_models = choice("WITH_MODELS", host.data.get("x_backup_models"), ("0", "1")) == "1"

watch_connection()
root = become()
hold(root)
backup(settings=settings, directory=directory, commit=commit(), with_models=with_models, **root)
prepared()
