"""Roll back to the previous release: `pyinfra inventory/pi.py deploys/rollback.py`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as in deploy.py

from hearth.cli.session import close_session, open_session
from hearth.releases.deploy import rollback

session = open_session(takes_turns=True)
rollback(settings=session.settings, **session.root)
close_session(session)
