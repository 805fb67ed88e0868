"""Messages: why files in /opt/hearth differ, and what updating them causes. Pure rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from hearth.paths import CONTAINERS, ROOT
from hearth.releases.release import Release
from hearth.runtime.text import format_change, join_words
from hearth.settings.model import Settings
from hearth.stack.setting_changes import COMPOSE, Change, Files, digests, find_changes

_HTTPD = "httpd/"

Reason = Literal["missing", "absent", "mode", "edited", "edited too", "version", "unknown"]
# The message for one file, and for several.
_REASONS: dict[Reason, tuple[str, str]] = {
    "missing": ("is missing; restoring it", "are missing; restoring them"),
    "absent": ("does not exist yet; writing it", "do not exist yet; writing them"),
    "mode": (
        "has an owner or mode other than root and 0644; rewriting it",
        "have an owner or mode other than root and 0644; rewriting them",
    ),
    "edited": ("was changed on the host; restoring it", "were changed on the host; restoring them"),
    "edited too": (
        "was also changed on the host; undoing that",
        "were also changed on the host; undoing that",
    ),
    "version": (
        "is different in this version of Hearth; updating it",
        "are different in this version of Hearth; updating them",
    ),
    "unknown": (
        "differs from the settings; updating it",
        "differ from the settings; updating them",
    ),
}


def describe_files(
    present: Mapping[str, str],
    wanted: Files,
    settings: Settings,
    accepted: Release | None,
    drained: frozenset[str] = frozenset(),
) -> list[str]:
    """One message for each setting that changes files, then one for each other reason.

    Args:
        present: path → SHA-256 of the file on the host; "" for a wrong owner or mode.
        wanted: the files, rendered from `settings`.
        accepted: the release recorded on the host, if any.
        drained: services that this host's gateways drain before their containers are recreated.
    """
    expected = digests(wanted)
    differing = frozenset(path for path in wanted if present.get(path) != expected[path])
    if not differing:
        return []
    if not present:
        return [f"{len(wanted)} files are missing; writing them to {ROOT}"]
    before = accepted.files if accepted else {}
    moved = frozenset(path for path in differing if before.get(path) != expected[path])
    changes = find_changes(accepted.settings, settings, wanted) if accepted else []
    explained = frozenset(path for change in changes for path in change.files) & moved
    sentences = [describe_change(change, change.files & moved, drained) for change in changes if change.files & moved]
    groups: dict[Reason, list[str]] = {}
    for path in sorted(differing):
        if reason := _reason(present.get(path), before.get(path), path in moved, path in explained):
            groups.setdefault(reason, []).append(path)
    for reason, paths in groups.items():
        effect = consequence(frozenset(paths), None, drained if drained >= set(settings.images) else frozenset())
        text = _REASONS[reason][len(paths) > 1]
        sentences.append(f"{_named(paths)} {text}{f'; {effect}' if effect else ''}")
    return sentences


def _reason(here: str | None, before: str | None, is_moved: bool, is_explained: bool) -> Reason | None:
    """Why a file differs, apart from the settings that explain it.

    Args:
        here, before: its digest on the host, and in the accepted release.
        is_moved: the desired file differs from the accepted one.
        is_explained: changed settings account for that.
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


def describe_change(change: Change, files: frozenset[str], drained: frozenset[str]) -> str:
    """`proxy_timeout 900 → 1000: httpd/httpd.conf; httpd reloads gracefully, nothing is cut`."""
    settings = join_words(f"{name} {format_change(old, new)}" for name, (old, new) in change.settings.items())
    return f"{settings}: {_named(sorted(files))}; {consequence(files, change.services, drained)}"


def consequence(files: frozenset[str], services: frozenset[str] | None, drained: frozenset[str]) -> str:
    """What users notice when these files are updated; "" for nothing.

    Args:
        services: those whose definition in compose.yaml changes; None if unknown, and then all may.
        drained: those that gateways drain first; if `services` is None, none unless they drain all of the host's.
    """
    is_drained = drained >= services if services else bool(drained)
    cut = "drained by its gateways first" if is_drained else "in-flight responses are cut"
    parts = []
    if services and COMPOSE in files:
        names = [CONTAINERS.get(service, service) for service in sorted(services)]
        noun, verb = ("containers", "are") if len(names) > 1 else ("container", "is")
        parts.append(f"the {noun} {join_words(names)} {verb} recreated, {cut}")
    elif services is None and COMPOSE in files:
        parts.append(f"containers that differ from it are recreated, {cut}")
    elif COMPOSE in files:
        parts.append("no container is recreated")
    if any(path.startswith(_HTTPD) for path in files) and "httpd" not in (services or ()):
        parts.append("httpd reloads gracefully, nothing is cut")
    if any(path.startswith("htdocs/") for path in files):
        parts.append("browsers load the new page on the next visit")
    return "; ".join(parts)


def _named(paths: Sequence[str]) -> str:
    """Up to three files by name, more by number."""
    return join_words(paths) if len(paths) <= 3 else f"{len(paths)} files ({', '.join(paths[:2])}, …)"
