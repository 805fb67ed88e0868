"""Programs that are extracted from Debian's packages instead of installed: docker-registry, and Prometheus.

Installing the packages would start servers on the user's machine; the lab only needs the programs.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from lab import mirrors, origin, shell
from lab.archive import Archive, download
from lab.errors import LabError

RECIPE = "apt-get download docker-registry, dpkg-deb -x; else the builder's release's"
PROMETHEUS_RECIPE = RECIPE.replace("docker-registry", "prometheus")


def build(out: Path, log: Path) -> None:
    """Fill `out` with the program, as `out/docker-registry`."""
    _extract("docker-registry", ("docker-registry",), "registry", out, log)


def build_prometheus(out: Path, log: Path) -> None:
    """Fill `out` with `prometheus` and `promtool`."""
    _extract("prometheus", ("prometheus", "promtool"), "Prometheus", out, log)


def _extract(name: str, programs: tuple[str, ...], label: str, out: Path, log: Path) -> None:
    try:
        shell.run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", name], log, 180, cwd=out)
        release = "this machine's release"
    except (
        LabError
    ):  # not listed or not served; another release's package works, since it depends only on the C library
        indexes = Archive(out / "indexes", mirrors.of_this_machine().sources())
        indexes.refresh()
        file = next(file for file in indexes.packages([name]) if file.name.startswith(f"{name}_"))
        download(file, out / file.name, log)
        shutil.rmtree(out / "indexes")
        release = f"{mirrors.SUITE}, since this machine's release does not serve it"
    package = next(out.glob(f"{name}_*.deb"))
    shell.run(["dpkg-deb", "-x", package, out / "package"], log, 60)
    for program in programs:
        shutil.move(out / "package/usr/bin" / program, out / program)
    shutil.rmtree(out / "package")
    origin.add(out, f"{label}: {shell.read(['dpkg-deb', '-f', package, 'Version']).strip()} of {release}")
    package.unlink()
