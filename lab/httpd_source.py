"""Where httpd comes from: the pinned source wherever the archive still has it, else the next best.

An archive keeps only the newest version in each suite, and at times lists files that it does not serve. So there are
several ways, tried in order: the pinned tarball from any suite, the newest other source of the same series, and
Debian's own binary package laid out like the official image. Debian's signed index vouches for what is not pinned.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from lab import mirrors, versions
from lab.archive import Archive, SourcePackage, download
from lab.errors import LabError

VARIABLE = "HEARTH_LAB_HTTPD"  # takes one way alone, to try it: one of WAYS
WAYS = ("pinned", "newest", "package")
SERIES = "2.4."
# The lab's release, its security suite, and the releases beside it.
SUITES = (mirrors.SUITE, f"{mirrors.SUITE}-security", "bookworm", "bookworm-security", "forky", "sid")
PACKAGE = "apache2-bin"


@dataclass(frozen=True)
class Choice:
    """What was got, and a sentence that says what and why. `tarball` is None for Debian's binary package."""

    tarball: Path | None
    version: str
    sentence: str


def chosen_ways() -> tuple[str, ...]:
    """The ways that may be taken; LabError when HEARTH_LAB_HTTPD names none."""
    named = os.environ.get(VARIABLE, "")
    if named and named not in WAYS:
        raise LabError(
            f"{VARIABLE}={named!r}: use one of {', '.join(WAYS)}, or leave it unset to try them in that order."
        )
    return (named,) if named else WAYS


def inputs() -> list[str]:
    """What decides about the choice, for the key of what is built from it."""
    return [versions.HTTPD, versions.HTTPD_SHA256, *chosen_ways()]


def listed(directory: Path) -> list[SourcePackage]:
    """What the indexes of all suites that may have it list today. `directory`: where apt keeps the indexes."""
    archive = Archive(directory, mirrors.of_this_machine().source_indexes(SUITES))
    archive.refresh()
    return archive.source_packages("apache2")


def candidates(listed: Iterable[SourcePackage], ways: Iterable[str] = WAYS) -> list[tuple[str, SourcePackage]]:
    """(way, source) in the order in which they are tried, out of all that the indexes list."""
    listed = list(listed)
    pinned = [one for one in listed if one.tarball.sha256 == versions.HTTPD_SHA256]
    others = [one for one in listed if one not in pinned and one.upstream.startswith(SERIES)]
    newest = sorted(others, key=lambda one: _order(one.upstream), reverse=True)  # stable: suites stay in order
    by_way = {"pinned": pinned, "newest": newest}
    return [(way, one) for way in ways if way in by_way for one in by_way[way]]


def fetch(
    target: Path,
    listed: Iterable[SourcePackage],
    log: Path,
    get: Callable[[SourcePackage, Path, Path], None] | None = None,
) -> Choice:
    """Put the first tarball that can be had at `target`; without any, the choice is Debian's package.

    Args:
        listed: what the indexes list.
        get: downloads one, raising LabError where that fails (for tests).

    Raises:
        LabError: nothing is left to try, with what became of each.
    """
    ways = chosen_ways()
    get = get or (lambda one, to, writes: download(one.tarball, to, writes))
    missing: dict[str, list[str]] = {}  # upstream version → suites that list it and do not serve it
    for way, one in candidates(listed, ways):
        try:
            get(one, target, log)
        except LabError:
            target.unlink(missing_ok=True)
            missing.setdefault(one.upstream, []).append(one.suite)
            continue
        what = "the pinned source" if way == "pinned" else "the newest source that is served"
        return Choice(target, one.upstream, f"httpd {one.upstream}: {what}, from {one.suite}{_why_not(missing, way)}")
    if "package" not in ways:
        tried = _why_not(missing, "") or ": no suite lists it"
        raise LabError(f"The archive has no source of httpd for {VARIABLE}={'/'.join(ways)}{tried}.")
    return Choice(None, "", f"Debian's own package, since no source can be had{_why_not(missing, 'package')}")


def _why_not(missing: dict[str, list[str]], way: str) -> str:
    """Of what was wanted before: where it is listed and not served, or that nobody lists the pinned one."""
    parts = [f"{version} is listed by {', '.join(suites)} and not served" for version, suites in missing.items()]
    if way not in ("", "pinned") and versions.HTTPD not in missing and "pinned" in chosen_ways():
        parts.insert(0, f"no suite lists the pinned {versions.HTTPD}")
    return f" ({'; '.join(parts)})" if parts else ""


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
