"""A backup of each host, written to the control machine."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from pyinfra import host
from pyinfra.api import deploy

from hearth.backup import operations
from hearth.backup.manifest import file_name
from hearth.render.stack_files import render_tree
from hearth.runtime.checkout import current_commit
from hearth.settings.model import Settings


@deploy("Backup")
def backup(settings: Settings, directory: Path, with_models: bool) -> None:
    now = time.time()
    operations.write_backup(
        name="Write the backup",
        settings=settings,
        files=frozenset(render_tree(settings)),
        into=directory / file_name(host.name, now),
        about={"created": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"), "commit": current_commit()},
        with_models=with_models,
    )
