"""docker-registry's program, taken out of Debian's package instead of installed.

Installing the package would start a registry on port 5000 of the user's machine; the lab only wants the program.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from lab import shell

RECIPE = "apt-get download docker-registry, dpkg-deb -x"


def build(out: Path, log: Path) -> None:
    """Fill `out` with the program, as `out/docker-registry`."""
    shell.run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", "docker-registry"], log, 180, cwd=out)
    package = next(out.glob("docker-registry_*.deb"))
    shell.run(["dpkg-deb", "-x", package, out / "package"], log, 60)
    shutil.move(out / "package/usr/bin/docker-registry", out / "docker-registry")
    shutil.rmtree(out / "package")
    package.unlink()
