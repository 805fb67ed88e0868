"""Models that the running Ollama has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pyinfra.api.exceptions import FactPreconditionError
from typing_extensions import override

from hearth.models.disk import FINDMNT, ModelDisk, parse_findmnt, parse_record
from hearth.models.names import name_from_manifest
from hearth.models.plan import compare_manifests
from hearth.paths import CONTAINERS, MODELS_DISK, PULLING_MODELS
from hearth.runtime.sections import parse_sections
from hearth.runtime.shell import DOCKER_WITH_TIMEOUT, quote
from hearth.runtime.state_fact import StateFact

_FETCH_MANIFESTS = Path(__file__).with_name("registry_manifest.bash")
_SHOW_MANIFESTS = (
    "ollama list || echo @@failed; "
    'cd "${OLLAMA_MODELS:-/root/.ollama/models}/manifests" 2>/dev/null || exit 0; '
    'for m in */*/*/*; do [ -f "$m" ] && echo "@@local $m" && cat "$m" && echo; done; true'
)


@dataclass(frozen=True)
class ModelsState:
    """The models of a host.

    Attributes:
        present: full names (`tinyllama:latest`) of the models that Ollama lists.
        sizes: the same names → sizes as Ollama prints them (`637 MB`).
        interrupted: names of models whose pull was interrupted.
        changed: those of the given models whose content differs in the registry.
        unknown: those for which that is unknown, name → reason.
        disk: the file system under the models directory, if queried.
        recorded_disk: the file system of an earlier deploy.
    """

    present: frozenset[str] = frozenset()
    interrupted: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()
    unknown: dict[str, str] = field(default_factory=dict)
    disk: ModelDisk | None = None
    recorded_disk: ModelDisk | None = None
    sizes: dict[str, str] = field(default_factory=dict)


class Models(StateFact[ModelsState]):
    """Models of the running Ollama, in one round trip.

    Args:
        models_dir: the models directory, or "" for Docker's volume, whose disk is not queried.
        manifests: (model, URL of its manifest in the registry) for each model to compare with the registry.

    Raises:
        FactPreconditionError: the container is missing, or Ollama in it does not respond.
    """

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
                quote(
                    "bash", "-c", _FETCH_MANIFESTS.read_text(), "bash", *(word for pair in manifests for word in pair)
                ),
            ]
        else:
            lines.append(f"echo @@models; {ollama} ollama list 2>&1 || echo '@@failed'")
        return "; ".join(lines)

    @override
    def process(self, output: Iterable[str]) -> ModelsState:
        sections = parse_sections(output)
        if "failed" in sections:
            errors = " ".join(sections.get("models", []))
            raise FactPreconditionError(type(self), f"Ollama did not list its models: {errors}")
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
    """Full names → sizes (`637 MB`), from the output of `ollama list`: NAME ID SIZE MODIFIED, after a heading."""
    fields = [line.split() for line in lines]
    return {words[0]: " ".join(words[2:4]) for words in fields[1:] if words}
