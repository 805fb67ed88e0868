"""Uninstall Hearth from the hosts of an inventory: `pyinfra inventory/pi.py deploys/uninstall.py`.

Models are kept unless `--data x_uninstall_models=delete` is given. It lists what it will remove, and prompts.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as in deploy.py

from pyinfra import host

from hearth.cli.session import check_directory, close_session, open_session
from hearth.runtime.options import read_choice
from hearth.uninstall.deploy import show_plan, uninstall

check_directory()
delete_models = read_choice("x_uninstall_models", host.data.get("x_uninstall_models"), ("keep", "delete")) == "delete"

session = open_session()
show_plan(session.settings, delete_models, session.root)
uninstall(settings=session.settings, delete_models=delete_models, **session.root)
close_session(session)
