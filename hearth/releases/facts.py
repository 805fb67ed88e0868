"""The last accepted release of a host, and its current files and images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from typing_extensions import override

from hearth.docker.image_lock import image_ids
from hearth.paths import ACCEPTED, IMAGES_LOCK, RELEASES, ROOT
from hearth.releases.release import Release, parse_release
from hearth.runtime.sections import Sections, parse_digests, parse_sections
from hearth.runtime.shell import quote
from hearth.runtime.state_fact import StateFact

# Prints the section that `accepted_release` reads.
SHOW_ACCEPTED = f'echo @@accepted; id=$(cat {ACCEPTED} 2>/dev/null) && cat "{RELEASES}/$id/release.json" 2>/dev/null'


def accepted_release(sections: Sections) -> Release | None:
    """The last accepted release; None before the first, or if its record is unreadable."""
    try:
        return parse_release("\n".join(sections.get("accepted", [])))
    except (ValueError, TypeError):
        return None


@dataclass(frozen=True)
class ReleasesState:
    """Releases of a host.

    Attributes:
        accepted: the current release; None before the first, or if its record is unreadable.
        files: path relative to `/opt/hearth` → SHA-256 (hex) of the current file.
        images: reference → id, as recorded when pulled.
    """

    accepted: Release | None = None
    files: dict[str, str] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)


class Releases(StateFact[ReleasesState]):
    """The accepted release, and the current digests of `paths` and images."""

    @override
    def command(self, paths: tuple[str, ...]) -> str:
        return (
            f"cd {ROOT} 2>/dev/null || exit 0; echo @@images; cat {IMAGES_LOCK} 2>/dev/null; "
            f"echo @@digests; sha256sum {quote(*paths)} 2>/dev/null; "
            f"{SHOW_ACCEPTED}; true"
        )

    @override
    def process(self, output: Iterable[str]) -> ReleasesState:
        sections = parse_sections(output)
        return ReleasesState(
            accepted=accepted_release(sections),
            files=parse_digests(sections.get("digests", [])),
            images=image_ids(sections.get("images", [])),
        )
