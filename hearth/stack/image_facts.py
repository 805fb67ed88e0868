"""Container images of a host."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from typing_extensions import override

from hearth.docker.facts import EngineUnreachable
from hearth.docker.image_lock import image_ids
from hearth.paths import IMAGES_LOCK, PULLING
from hearth.runtime.sections import parse_sections
from hearth.runtime.shell import DOCKER_WITH_TIMEOUT, quote
from hearth.runtime.state_fact import StateFact


@dataclass(frozen=True)
class ImagesState:
    """Ids (`sha256:…`) of images by reference.

    Attributes:
        present: as the engine has them now.
        pulled: as recorded after the pull.
        unfinished: references whose pull was interrupted.
    """

    present: dict[str, str] = field(default_factory=dict)
    pulled: dict[str, str] = field(default_factory=dict)
    unfinished: frozenset[str] = frozenset()

    def missing(self, references: Iterable[str]) -> list[str]:
        """The references that are missing, refer to an image other than the one pulled, or may be damaged."""
        return [
            reference
            for reference in references
            if reference not in self.present
            or reference in self.unfinished
            or self.pulled.get(reference, self.present[reference]) != self.present[reference]
        ]

    def unrecorded(self, references: Iterable[str]) -> dict[str, str]:
        """References that existed before Hearth (e.g. by `docker load` on a site without internet) → their ids."""
        return {
            reference: self.present[reference]
            for reference in references
            if reference in self.present and reference not in self.pulled and reference not in self.unfinished
        }


class Images(StateFact[ImagesState]):
    """Whether the images of `references` exist, and are the ones that were pulled.

    Raises:
        EngineUnreachable: Docker is installed and does not respond.
    """

    @override
    def command(self, references: tuple[str, ...]) -> str:
        # One call if all exist, which prints their ids in order; else one call for each.
        names = quote(*references)
        return (
            f"command -v docker >/dev/null || exit 0; {DOCKER_WITH_TIMEOUT}"
            f"echo @@pulled; cat {IMAGES_LOCK} 2>/dev/null; echo @@unfinished; cat {PULLING} 2>/dev/null; "
            f"echo @@present; set -- {names}; "
            'if ids=$(docker image inspect --format "{{.Id}}" "$@" 2>/dev/null); then '
            'for id in $ids; do [ $# = 0 ] || { echo "$1 $id"; shift; }; done; '
            'elif [ $? = 124 ]; then echo "$ids"; else '
            'for name; do docker image inspect --format "$name {{.Id}}" "$name" 2>&1; done; fi; true'
        )

    @override
    def process(self, output: Iterable[str]) -> ImagesState:
        sections = parse_sections(output)
        for line in sections["present"]:
            if "docker daemon" in line.lower() or "docker.sock" in line:
                raise EngineUnreachable(type(self), line)
        # "boot reference"; hearth/docker/pull_images.sh explains the boot id.
        unfinished = frozenset(fields[1] for line in sections["unfinished"] if len(fields := line.split()) == 2)
        return ImagesState(image_ids(sections["present"]), image_ids(sections["pulled"]), unfinished)
