"""The docker-registry program, extracted from Debian's package instead of installed.

Installing the package would start a registry on port 5000 of the user's machine; the lab only needs the program.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from lab import mirrors, origin, shell
from lab.archive import Archive, download
from lab.errors import LabError

RECIPE = "apt-get download docker-registry, dpkg-deb -x; else the builder's release's"
_PACKAGE = "docker-registry"


def build(out: Path, log: Path) -> None:
    """Fill `out` with the program, as `out/docker-registry`."""
    try:
        shell.run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", _PACKAGE], log, 180, cwd=out)
        release = "this machine's release"
    except (
        LabError
    ):  # not listed or not served; another release's package works, since it depends only on the C library
        indexes = Archive(out / "indexes", mirrors.of_this_machine().sources())
        indexes.refresh()
        file = next(file for file in indexes.packages([_PACKAGE]) if file.name.startswith(f"{_PACKAGE}_"))
        download(file, out / file.name, log)
        shutil.rmtree(out / "indexes")
        release = f"{mirrors.SUITE}, since this machine's release does not serve it"
    package = next(out.glob(f"{_PACKAGE}_*.deb"))
    shell.run(["dpkg-deb", "-x", package, out / "package"], log, 60)
    shutil.move(out / "package/usr/bin/docker-registry", out / "docker-registry")
    shutil.rmtree(out / "package")
    origin.add(out, f"registry: {shell.read(['dpkg-deb', '-f', package, 'Version']).strip()} of {release}")
    package.unlink()
