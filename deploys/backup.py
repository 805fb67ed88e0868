"""Back up the hosts of an inventory: `pyinfra -y inventory/pi.py deploys/backup.py --data x_backup_to=backups`.

Writes one file per host on this machine. `--data x_backup_models=1` includes the models.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as in deploy.py

from pyinfra import host

from hearth.backup.deploy import backup
from hearth.cli.session import check_directory, close_session, open_session
from hearth.runtime.options import read_choice, read_required

check_directory()
directory = Path(read_required("x_backup_to", host.data.get("x_backup_to"), "backups"))
with_models = read_choice("x_backup_models", host.data.get("x_backup_models"), ("0", "1")) == "1"

session = open_session()
backup(settings=session.settings, directory=directory, with_models=with_models, **session.root)
close_session(session)
