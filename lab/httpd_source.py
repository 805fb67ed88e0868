"""The origin of httpd: the pinned source if the archive still serves it, else the next best.

An archive keeps only the newest version in each suite, and sometimes lists files that it does not serve. So several
sources are attempted in this order: the pinned tarball from any suite, the newest other tarball of the same series, and
Debian's binary package in the layout of the official image. What is not pinned is verified by Debian's signed index.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from lab import mirrors, versions
from lab.archive import Archive, SourcePackage, download
from lab.errors import LabError

VARIABLE = "HEARTH_LAB_HTTPD"  # restricts it to one kind of source, to test it: one of KINDS
KINDS = ("pinned", "newest", "package")
SERIES = "2.4."
# The lab's release, its security suite, and the neighbouring releases.
SUITES = (mirrors.SUITE, f"{mirrors.SUITE}-security", "bookworm", "bookworm-security", "forky", "sid")
PACKAGE = "apache2-bin"


@dataclass(frozen=True)
class Choice:
    """The chosen source, and a sentence that names it and the reason. `tarball` is None for Debian's binary package."""

    tarball: Path | None
    version: str
    sentence: str


def allowed_kinds() -> tuple[str, ...]:
    """The kinds of source that may be used; LabError if HEARTH_LAB_HTTPD has an invalid value."""
    named = os.environ.get(VARIABLE, "")
    if named and named not in KINDS:
        raise LabError(
            f"{VARIABLE}={named!r}: use one of {', '.join(KINDS)}, or leave it unset to try them in that order."
        )
    return (named,) if named else KINDS


def inputs() -> list[str]:
    """What the choice depends on, for the key of the result."""
    return [versions.HTTPD, versions.HTTPD_SHA256, *allowed_kinds()]


def listed(directory: Path) -> list[SourcePackage]:
    """The versions in the current indexes of all suites. `directory`: where apt stores the indexes."""
    archive = Archive(directory, mirrors.of_this_machine().source_indexes(SUITES))
    archive.refresh()
    return archive.source_packages("apache2")


def candidates(listed: Iterable[SourcePackage], kinds: Iterable[str] = KINDS) -> list[tuple[str, SourcePackage]]:
    """(kind, source) of everything that the indexes list, in the order of preference."""
    listed = list(listed)
    pinned = [one for one in listed if one.tarball.sha256 == versions.HTTPD_SHA256]
    others = [one for one in listed if one not in pinned and one.upstream.startswith(SERIES)]
    newest = sorted(others, key=lambda one: _order(one.upstream), reverse=True)  # stable: suites stay in order
    by_kind = {"pinned": pinned, "newest": newest}
    return [(kind, one) for kind in kinds if kind in by_kind for one in by_kind[kind]]


def fetch(
    target: Path,
    listed: Iterable[SourcePackage],
    log: Path,
    get: Callable[[SourcePackage, Path, Path], None] | None = None,
) -> Choice:
    """Download the first available tarball to `target`; if none is, the choice is Debian's package.

    Args:
        listed: what the indexes list.
        get: downloads one, raising LabError if that fails (for tests).

    Raises:
        LabError: no kind of source is available; with the reason for each.
    """
    kinds = allowed_kinds()
    get = get or (lambda one, to, writes: download(one.tarball, to, writes))
    missing: dict[str, list[str]] = {}  # upstream version → suites that list it but do not serve it
    for kind, one in candidates(listed, kinds):
        try:
            get(one, target, log)
        except LabError:
            target.unlink(missing_ok=True)
            missing.setdefault(one.upstream, []).append(one.suite)
            continue
        what = "the pinned source" if kind == "pinned" else "the newest source that is served"
        return Choice(target, one.upstream, f"httpd {one.upstream}: {what}, from {one.suite}{_why_not(missing, kind)}")
    if "package" not in kinds:
        reasons = _why_not(missing, "") or ": no suite lists it"
        raise LabError(f"The archive has no source of httpd for {VARIABLE}={'/'.join(kinds)}{reasons}.")
    return Choice(None, "", f"Debian's package, since no source is available{_why_not(missing, 'package')}")


def _why_not(missing: dict[str, list[str]], kind: str) -> str:
    """Why preferred sources were not used: they are listed but not served, or no suite lists the pinned one."""
    parts = [f"{version} is listed by {', '.join(suites)} but not served" for version, suites in missing.items()]
    if kind not in ("", "pinned") and versions.HTTPD not in missing and "pinned" in allowed_kinds():
        parts.insert(0, f"no suite lists the pinned {versions.HTTPD}")
    return f" ({'; '.join(parts)})" if parts else ""


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
