"""An apt repository that stands in for Docker's own, which can't be asked for: for guests whose Docker won't do.

It has Docker's names, paths, dependencies and maintainer scripts' effects, and a key that is fetched as Docker's is.
The programs in it are Debian's builds of the engine, not Docker's.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from lab import builder, mirrors, shell
from lab.guests import BOOKWORM

CONTROL = Path(__file__).parent / "docker_repository"
SUITE = BOOKWORM.suite


def inputs() -> list[str]:
    """What it is made from, for its key."""
    files = [f"{path.name}\n{path.read_text()}" for path in sorted(CONTROL.iterdir())]
    return [builder.recipe("docker_repository.sh"), builder.recipe("apt.sh"), SUITE, *files]


def build(root: Path, out: Path, log: Path) -> None:
    """Fill `out` with `debian/`, which belongs at docker_apt_url."""
    work = out / "work"
    work.mkdir()
    for name in ("docker_repository.sh", "apt.sh"):
        shutil.copy(builder.RECIPES / name, work)
    shutil.copytree(CONTROL, work / "control")
    (work / "suite.sources").write_text(mirrors.of_this_machine().sources(SUITE))
    builder.run_inside(root, work, ["bash", "/work/docker_repository.sh", SUITE], log, timeout=600)
    shell.read(["sh", "-c", 'mv "$1"/out/* "$2"/ && rm -rf --one-file-system "$1"', "sh", work, out], 300, root=True)
