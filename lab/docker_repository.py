"""A replica of Docker's apt repository, which the lab can't reach, for guests whose Debian has no suitable Docker.

Names, paths, dependencies, effects of the maintainer scripts and the way its key is fetched are those of Docker's
repository. The programs are Debian's builds of the engine, not Docker's.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from lab import builder, mirrors, shell
from lab.guests import BOOKWORM

CONTROL = Path(__file__).parent / "docker_repository"
SUITE = BOOKWORM.suite


def inputs() -> list[str]:
    """Everything it is built from, for its key."""
    files = [f"{path.name}\n{path.read_text()}" for path in sorted(CONTROL.iterdir())]
    return [builder.recipe("docker_repository.sh"), builder.recipe("apt.sh"), SUITE, *files]


def build(root: Path, out: Path, log: Path) -> None:
    """Fill `out` with `debian/`, to be served at docker_apt_url."""
    work = out / "work"
    work.mkdir()
    for name in ("docker_repository.sh", "apt.sh"):
        shutil.copy(builder.RECIPES / name, work)
    shutil.copytree(CONTROL, work / "control")
    (work / "suite.sources").write_text(mirrors.of_this_machine().sources(SUITE))
    builder.run_inside(root, work, ["bash", "/work/docker_repository.sh", SUITE], log, timeout=600)
    shell.read(["sh", "-c", 'mv "$1"/out/* "$2"/ && rm -rf --one-file-system "$1"', "sh", work, out], 300, root=True)
