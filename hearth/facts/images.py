"""Container images of a host."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field

from pyinfra.api import FactBase
from typing_extensions import override

from hearth.facts.engine import EngineUnreachable
from hearth.host_paths import IMAGES_LOCK
from hearth.sections import parse_sections


@dataclass(frozen=True)
class ImagesState:
    """Ids (`sha256:…`) of images by reference.

    Attributes:
        present: as the engine has them now.
        pulled: as they came from the registry.
    """

    present: dict[str, str] = field(default_factory=dict)
    pulled: dict[str, str] = field(default_factory=dict)

    def missing(self, references: Iterable[str]) -> list[str]:
        """The references that are not there, or lead to another image than the one that was pulled."""
        return [
            reference
            for reference in references
            if reference not in self.present
            or self.pulled.get(reference, self.present[reference]) != self.present[reference]
        ]

    def unrecorded(self, references: Iterable[str]) -> dict[str, str]:
        """Those that were there before Hearth (`docker load` on a site without internet, say), to their ids."""
        return {
            reference: self.present[reference]
            for reference in references
            if reference in self.present and reference not in self.pulled
        }


class Images(FactBase[ImagesState]):
    """Whether the images of `references` are there, and are the ones that were pulled.

    Raises:
        EngineUnreachable: Docker is installed and does not answer.
    """

    @staticmethod
    @override
    def default() -> ImagesState:
        return ImagesState()

    @override
    def command(self, references: tuple[str, ...]) -> str:
        lines = ["echo @@pulled", f"cat {IMAGES_LOCK} 2>/dev/null", "echo @@present"]
        # One call for each, since with one missing the order of the others would be a guess.
        lines += [
            f"docker image inspect --format {shlex.quote(reference + ' {{.Id}}')} {shlex.quote(reference)} 2>&1"
            for reference in references
        ]
        return f"command -v docker >/dev/null || exit 0; {'; '.join(lines)}; true"

    @override
    def process(self, output: Iterable[str]) -> ImagesState:
        sections = parse_sections(output)
        for line in sections["present"]:
            if "docker daemon" in line.lower() or "docker.sock" in line:
                raise EngineUnreachable(type(self), line)
        return ImagesState(_pairs(sections["present"]), _pairs(sections["pulled"]))


def _pairs(lines: Iterable[str]) -> dict[str, str]:
    fields = (line.split() for line in lines)
    return {pair[0]: pair[1] for pair in fields if len(pair) == 2 and pair[1].startswith("sha256:")}
