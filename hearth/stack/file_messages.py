"""Why files of /opt/hearth differ, and what putting them does, in words. Pure rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from hearth.paths import CONTAINERS, ROOT
from hearth.releases.release import Release
from hearth.runtime.text import format_change, join_words
from hearth.settings.model import Settings
from hearth.stack.setting_changes import COMPOSE, Change, Files, digests, find_changes

_CONF = "httpd/httpd.conf"

Reason = Literal["missing", "absent", "mode", "edited", "edited too", "version", "unknown"]
# What is said of one file, and of several.
_REASONS: dict[Reason, tuple[str, str]] = {
    "missing": ("is missing; it is put back", "are missing; they are put back"),
    "absent": ("is not there yet; it is put", "are not there yet; they are put"),
    "mode": (
        "has another owner or mode than root and 0644; it is put anew",
        "have another owner or mode than root and 0644; they are put anew",
    ),
    "edited": ("was changed on the host; it is put back", "were changed on the host; they are put back"),
    "edited too": (
        "was changed on the host as well; that is undone",
        "were changed on the host as well; that is undone",
    ),
    "version": ("comes with another version of Hearth; it is put", "come with another version of Hearth; they are put"),
    "unknown": (
        "differs from what the settings say; it is put",
        "differ from what the settings say; they are put",
    ),
}


def describe_files(
    present: Mapping[str, str], wanted: Files, settings: Settings, accepted: Release | None
) -> list[str]:
    """One sentence for each setting that changes files, then one for each other reason that they differ for.

    Args:
        present: path → SHA-256 of what is on the host; "" for a wrong owner or mode.
        wanted: the files, rendered from `settings`.
        accepted: the release on the host's record, if there is one.
    """
    right = digests(wanted)
    differing = frozenset(path for path in wanted if present.get(path) != right[path])
    if not differing:
        return []
    if not present:
        return [f"{len(wanted)} files are not there; they are put into {ROOT}"]
    before = accepted.files if accepted else {}
    moved = frozenset(path for path in differing if before.get(path) != right[path])
    changes = find_changes(accepted.settings, settings, wanted) if accepted else []
    explained = frozenset(path for change in changes for path in change.files) & moved
    sentences = [describe_change(change, change.files & moved) for change in changes if change.files & moved]
    groups: dict[Reason, list[str]] = {}
    for path in sorted(differing):
        if reason := _reason(present.get(path), before.get(path), path in moved, path in explained):
            groups.setdefault(reason, []).append(path)
    for reason, paths in groups.items():
        effect = consequence(frozenset(paths), None)
        said = _REASONS[reason][len(paths) > 1]
        sentences.append(f"{_named(paths)} {said}{f'; {effect}' if effect else ''}")
    return sentences


def _reason(here: str | None, before: str | None, is_moved: bool, is_explained: bool) -> Reason | None:
    """Why a file differs, beyond the settings that explain it.

    Args:
        here, before: its digest on the host, and in the release that was accepted.
        is_moved: what is wanted is not what was accepted.
        is_explained: settings were changed that make it so.
    """
    if here is None:
        return "missing" if before else None if is_explained else "absent"
    if here == "":
        return "mode"
    if before is not None and here != before:
        return "edited too" if is_explained else "edited"
    if is_explained:
        return None
    return "unknown" if before is None else "version" if is_moved else "edited"


def describe_change(change: Change, files: frozenset[str]) -> str:
    """`proxy_timeout 900 → 1000: httpd/httpd.conf; httpd reloads gracefully, nothing is cut`."""
    settings = join_words(f"{name} {format_change(old, new)}" for name, (old, new) in change.settings.items())
    return f"{settings}: {_named(sorted(files))}; {consequence(files, change.services)}"


def consequence(files: frozenset[str], services: frozenset[str] | None) -> str:
    """What users notice when these files are put; "" for nothing.

    Args:
        services: those that compose.yaml defines differently now; None if that is not known.
    """
    parts = []
    if services and COMPOSE in files:
        names = [CONTAINERS.get(service, service) for service in sorted(services)]
        noun, verb = ("containers", "are") if len(names) > 1 else ("container", "is")
        parts.append(f"the {noun} {join_words(names)} {verb} recreated, running answers end")
    elif services is None and COMPOSE in files:
        parts.append("containers that are not as it says are recreated, running answers end")
    elif COMPOSE in files:
        parts.append("no container is recreated for that")
    if _CONF in files and "httpd" not in (services or ()):
        parts.append("httpd reloads gracefully, nothing is cut")
    if any(path.startswith("htdocs/") for path in files):
        parts.append("browsers get the page with their next visit")
    return "; ".join(parts)


def _named(paths: Sequence[str]) -> str:
    """Up to three files by their names, more by their number."""
    return join_words(paths) if len(paths) <= 3 else f"{len(paths)} files ({', '.join(paths[:2])}, …)"
