"""How old the pinned images are, and which known vulnerabilities newer releases fix. Pure rules over a list.

The list is `image_releases.json`, which `python -m tests.support.image_releases` renews; nothing is looked up when it
is used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

from hearth.runtime.text import join_words
from hearth.settings.model import Settings

# Days.
OLD_IMAGE = 180
OLD_LIST = 90
# Repositories on Docker Hub, also behind a mirror's name, and what each image contains.
_PROGRAMS = {"httpd": "httpd", "ollama/ollama": "ollama"}
_SHOWN = 3

Version = tuple[int, ...]


@dataclass(frozen=True)
class Release:
    """A release of httpd or Ollama.

    Attributes:
        day: when it came out.
        fixes: identifiers of known vulnerabilities that it fixed: "CVE-2026-57941".
    """

    day: date
    fixes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReleaseList:
    """The releases of each program, as known on a day.

    Attributes:
        checked: that day.
        programs: program → version → release.
    """

    checked: date
    programs: Mapping[str, Mapping[Version, Release]]


@cache
def known_releases() -> ReleaseList:
    """The list of this version of Hearth."""
    return parse_releases(Path(__file__).with_name("image_releases.json").read_text(encoding="utf-8"))


def parse_releases(text: str) -> ReleaseList:
    """The list from its JSON: `{"checked": "2026-11-28", "httpd": {"2.4.71": {"day": "2026-11-12", "fixes": []}}}`."""
    content = json.loads(text)
    checked = date.fromisoformat(content.pop("checked"))
    return ReleaseList(
        checked,
        {
            program: {
                parse_version(version): Release(date.fromisoformat(one["day"]), tuple(one.get("fixes", ())))
                for version, one in releases.items()
            }
            for program, releases in content.items()
        },
    )


def parse_version(tag: str) -> Version:
    """(2, 4, 71) of "2.4.71", "v2.4.71" or "2.4.71-alpine"; () of "latest"."""
    found = re.match(r"v?(\d+(?:\.\d+)+)", tag)
    return tuple(map(int, found[1].split("."))) if found else ()


def image_warnings(settings: Settings, known: ReleaseList, today: date) -> list[str]:
    """Warnings about images that have grown old, a sentence each. An image of another repository is not judged."""
    warnings = []
    for setting, service in (("proxy_image", "httpd"), ("ollama_image", "ollama")):
        if service not in settings.images:
            continue
        if text := _warning(setting, getattr(settings, setting), known, today):
            warnings.append(text)
    age = (today - known.checked).days
    if age > OLD_LIST:
        warnings.append(
            f"Hearth's list of releases and known vulnerabilities is {age} days old; update Hearth with `git pull`"
        )
    return warnings


def _warning(setting: str, image: str, known: ReleaseList, today: date) -> str:
    repository, _, tag = image.partition("@")[0].rpartition(":")
    program = next((one for name, one in _PROGRAMS.items() if f"/{repository}".endswith(f"/{name}")), None)
    releases = known.programs.get(program or "", {})
    version = parse_version(tag)
    newer = {one: release for one, release in releases.items() if one > version}
    if not version or not (newer or version in releases):
        return ""  # "latest", or newer than the list
    fixes = sorted({fix for release in newer.values() for fix in release.fixes}, key=_order)
    release = releases.get(version)
    age = f" came out {(today - release.day).days} days ago, on {release.day};" if release else ":"
    if fixes:
        newest = ".".join(map(str, max(newer)))
        return (
            f"{setting} = {image!r}{age} newer releases fix {_vulnerabilities(fixes)}. Set it to {newest} or later, "
            "and deploy"
        )
    if release is None or (today - release.day).days <= OLD_IMAGE:
        return ""
    return f"{setting} = {image!r}{age} look for a newer release, set it, and deploy"


def _order(identifier: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", identifier)))


def _vulnerabilities(fixes: list[str]) -> str:
    more = len(fixes) - _SHOWN
    named = [*fixes[-_SHOWN:], f"{more} more"] if more > 0 else fixes
    return f"the known {'vulnerabilities' if len(fixes) > 1 else 'vulnerability'} {join_words(named)}"
