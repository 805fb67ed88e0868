"""Programs from the builder: Apache httpd and Ollama for the images, an ACME server, and Docker Compose."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

from lab import builder, httpd_source, origin, python_index, shell, versions
from lab.errors import LabError

HTTPD_RECIPES = ("httpd.sh", "finish_httpd.sh", "httpd_package.sh", "apt.sh")
PEBBLE = "github.com/letsencrypt/pebble/v2/cmd/pebble"  # an ACME server
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint"  # for `make check` on a machine without Go
_VERSION = "version"  # a file of the httpd artefact


def build_httpd(root: Path, out: Path, log: Path, recipe: str = "httpd.sh") -> None:
    """Fill `out`: `usr/local/apache2`, `libs/` with every shared library that its parts link to, and its `version`."""
    work = _workspace(out)
    listed = httpd_source.listed(work / "indexes")
    choice = httpd_source.fetch(work / "httpd.tar.gz", listed, log)
    if choice.tarball is None:
        if recipe != "httpd.sh":
            raise LabError(f"{choice.sentence}: httpd for another processor can't be built from it.")
        recipe = "httpd_package.sh"
    for name in (recipe, "finish_httpd.sh", "apt.sh"):
        shutil.copy(builder.RECIPES / name, work)
    builder.run_inside(root, work, ["bash", f"/work/{recipe}"], log, timeout=1800)
    _keep(work, out)
    version = choice.version or (out / _VERSION).read_text().strip()
    (out / _VERSION).write_text(f"{version}\n")
    origin.add(out, choice.sentence if choice.version else f"httpd {version}: {choice.sentence}")


def version_of(httpd: Path) -> str:
    """The version of httpd in an artefact of `build_httpd`: "2.4.71"."""
    return (httpd / _VERSION).read_text().strip()


def build_ollama(root: Path, out: Path, log: Path, recipe: str = "ollama.sh") -> None:
    """Fill `out`: the program `ollama`. Go modules are fetched with this machine's Go settings."""
    work = _workspace(out)
    shutil.copy(builder.RECIPES / recipe, work)
    miniaudio_header(work)
    builder.run_inside(root, work, ["bash", f"/work/{recipe}", versions.OLLAMA], log, timeout=3000)
    _keep(work, out)


def build_go_program(package: str, version: str, root: Path, out: Path, log: Path) -> None:
    """Fill `out`: the program of that Go package, named after the package's last part; statically linked."""
    work = _workspace(out)
    shutil.copy(builder.RECIPES / "go_program.sh", work)
    builder.run_inside(root, work, ["bash", "/work/go_program.sh", package, version], log, timeout=900)
    _keep(work, out)


def fetch_compose(root: Path, out: Path, log: Path) -> None:
    """Fill `out`: the program `docker-compose`, in the guest's version; its `config` needs no engine."""
    work = _workspace(out)
    for name in ("compose.sh", "apt.sh"):
        shutil.copy(builder.RECIPES / name, work)
    builder.run_inside(root, work, ["bash", "/work/compose.sh"], log, timeout=300)
    _keep(work, out)


def miniaudio_header(work: Path) -> None:
    """Put miniaudio.h at work/include/miniaudio/: a header that Ollama needs and its Go module lacks.

    The Python package index has a pinned copy, so the lab needs no download address for it.
    """
    sdist = work / f"miniaudio-{versions.MINIAUDIO}.tar.gz"
    pin = python_index.Pin("miniaudio", versions.MINIAUDIO, frozenset({versions.MINIAUDIO_SHA256}))
    python_index.fetch(pin, sdist)
    target = work / "include/miniaudio/miniaudio.h"
    target.parent.mkdir(parents=True)
    with tarfile.open(sdist) as archive:
        member = archive.extractfile(f"miniaudio-{versions.MINIAUDIO}/miniaudio/miniaudio.h")
        assert member is not None  # the archive is pinned by its hash
        target.write_bytes(member.read())


def _workspace(out: Path) -> Path:
    work = out / "work"
    work.mkdir()
    return work


def _keep(work: Path, out: Path) -> None:
    """Move the recipe's results from work/out to `out` and delete the rest (Go's module cache alone is 1 GB)."""
    not_served = work / "not-served"  # apt.sh writes it
    if not_served.exists():
        for line in not_served.read_text().splitlines():
            origin.add(out, line)
    shell.read(["sh", "-c", 'mv "$1"/out/* "$2"/ && rm -rf --one-file-system "$1"', "sh", work, out], 300, root=True)
