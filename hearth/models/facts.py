"""Models that the running Ollama has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactPreconditionError
from typing_extensions import override

from hearth.models.disk import FINDMNT, ModelDisk, parse_findmnt, parse_record
from hearth.models.names import name_from_manifest
from hearth.models.plan import compare_manifests
from hearth.paths import CONTAINERS, MODELS_DISK, PULLING_MODELS
from hearth.runtime.sections import parse_sections
from hearth.runtime.shell import DOCKER_WITH_TIMEOUT, quote

_ASK_REGISTRY = Path(__file__).with_name("registry_manifest.bash")
_SHOW_MANIFESTS = (
    "ollama list || echo @@failed; "
    'cd "${OLLAMA_MODELS:-/root/.ollama/models}/manifests" 2>/dev/null || exit 0; '
    'for m in */*/*/*; do [ -f "$m" ] && echo "@@local $m" && cat "$m" && echo; done; true'
)


@dataclass(frozen=True)
class ModelsState:
    """What a host has of models.

    Attributes:
        present: full names (`tinyllama:latest`) of the models that Ollama lists.
        sizes: the same names → sizes as Ollama writes them (`637 MB`).
        interrupted: names of models whose pull began and did not come to its end.
        changed: of the models asked about, those whose content is another in the registry.
        unknown: those of which that could not be learned, name → why.
        disk: the file system under the models' directory, where that was asked.
        recorded_disk: the one that models were put on before.
    """

    present: frozenset[str] = frozenset()
    interrupted: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()
    unknown: dict[str, str] = field(default_factory=dict)
    disk: ModelDisk | None = None
    recorded_disk: ModelDisk | None = None
    sizes: dict[str, str] = field(default_factory=dict)


class Models(FactBase[ModelsState]):
    """Models of the running Ollama, in one round trip.

    Args:
        models_dir: the directory that models live in, or "" for Docker's volume, whose disk nobody asks for.
        manifests: (model, URL of its manifest in the registry) for those of which to learn whether they changed.

    Raises:
        FactPreconditionError: the container is not there, or Ollama in it does not answer.
    """

    @staticmethod
    @override
    def default() -> ModelsState:
        return ModelsState()

    @override
    def command(self, models_dir: str = "", manifests: tuple[tuple[str, str], ...] = ()) -> str:
        directory = quote(models_dir)
        ollama = f"docker exec {CONTAINERS['ollama']}"
        lines = [
            "command -v docker >/dev/null || exit 0",
            f"{DOCKER_WITH_TIMEOUT}echo @@pulling; cat {PULLING_MODELS} 2>/dev/null",
        ]
        if models_dir:
            lines += [
                f"echo @@disk; echo {directory}; {FINDMNT} {directory} 2>/dev/null",
                f"echo @@record; cat {MODELS_DISK} 2>/dev/null",
            ]
        if manifests:
            lines += [
                f"echo @@models; {ollama} sh -c {quote(_SHOW_MANIFESTS)} 2>&1 || echo '@@failed'",
                quote("bash", "-c", _ASK_REGISTRY.read_text(), "bash", *(word for pair in manifests for word in pair)),
            ]
        else:
            lines.append(f"echo @@models; {ollama} ollama list 2>&1 || echo '@@failed'")
        return "; ".join(lines)

    @override
    def process(self, output: Iterable[str]) -> ModelsState:
        sections = parse_sections(output)
        if "failed" in sections:
            said = " ".join(sections.get("models", []))
            raise FactPreconditionError(type(self), f"Ollama did not list its models: {said}")
        changed, unknown = compare_manifests(
            {
                name_from_manifest(name.removeprefix("local ")): "\n".join(lines)
                for name, lines in sections.items()
                if name.startswith("local ")
            },
            {
                name.removeprefix("remote "): "\n".join(lines)
                for name, lines in sections.items()
                if name.startswith("remote ")
            },
        )
        return ModelsState(
            present=frozenset(model_sizes(sections["models"])),
            sizes=model_sizes(sections["models"]),
            interrupted=frozenset(sections["pulling"]) - {""},
            changed=changed,
            unknown=unknown,
            disk=parse_findmnt(sections.get("disk", [])),
            recorded_disk=parse_record(sections.get("record", [])),
        )


def model_sizes(lines: Iterable[str]) -> dict[str, str]:
    """Full names → sizes (`637 MB`), from what `ollama list` prints: NAME ID SIZE MODIFIED, a heading first."""
    fields = [line.split() for line in lines]
    return {words[0]: " ".join(words[2:4]) for words in fields[1:] if words}
