"""Models that the running Ollama has."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pyinfra.api.exceptions import FactPreconditionError
from typing_extensions import override

from hearth.models.disk import FINDMNT, ModelDisk, parse_findmnt, parse_record
from hearth.models.plan import compare_manifests
from hearth.paths import CONTAINERS, MODELS_DISK, OUTBOUND_DOCKER, PULLING_MODELS
from hearth.runtime.sections import parse_sections
from hearth.runtime.shell import DOCKER_WITH_TIMEOUT, quote, script_without_comments
from hearth.runtime.state_fact import StateFact
from hearth.settings.model_names import manifest_path, name_from_manifest

_LIST = script_without_comments(Path(__file__).with_name("list.sh"))
_FETCH_MANIFESTS = Path(__file__).with_name("registry_manifest.bash")
_SHOW_MANIFESTS = (
    "ollama list || echo @@failed; "
    'cd "${OLLAMA_MODELS:-/root/.ollama/models}/manifests" 2>/dev/null || exit 0; '
    'for m in */*/*/*; do [ -f "$m" ] && echo "@@local $m" && cat "$m" && echo; done; true'
)
# The manifests of the given models, and their files below 1 MiB, which are base64-encoded.
_SHOW_MODELS = r"""ollama list >/dev/null || { echo @@failed; exit; }
cd "${OLLAMA_MODELS:-/root/.ollama/models}" 2>/dev/null || exit 0
echo @@blobs; for file in blobs/sha256-*; do [[ -f $file && $file != *-partial* ]] && stat -c '%s %n' "$file"; done
for wanted in "$@"; do
  for manifest in manifests/*/*/*/*; do
    # Ollama ignores case in names.
    model=${manifest#manifests/}
    [[ -f $manifest && ${model,,} == "${wanted,,}" ]] || continue
    echo "@@local $model"; cat "$manifest"; echo
    echo "@@files $model"
    grep -Eo '"digest": ?"sha256:[0-9a-f]{64}"' "$manifest" | grep -Eo '[0-9a-f]{64}' | while read -r digest; do
      file=blobs/sha256-$digest
      [[ -f $file ]] && (($(stat -c %s "$file") < 1048576)) && echo "sha256:$digest $(base64 -w0 "$file")"
    done
  done
done
true"""


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
                f"proxy_file={OUTBOUND_DOCKER} "
                + quote(
                    "bash", "-c", _FETCH_MANIFESTS.read_text(), "bash", *(word for pair in manifests for word in pair)
                ),
            ]
        else:
            lines += [
                f"echo @@tags; container={CONTAINERS['ollama']}; tags=$({_LIST})",
                'case $tags in {*\'"models"\'*) printf "%s\\n" "$tags" ;; *) '
                # With what is wrong, if anything is.
                f"echo @@models; {ollama} ollama list 2>&1 || echo '@@failed' ;; esac",
            ]
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
        sizes = model_sizes(sections["models"]) if "models" in sections else _sizes_of_tags(sections.get("tags", []))
        return ModelsState(
            present=frozenset(sizes),
            sizes=sizes,
            interrupted=frozenset(sections["pulling"]) - {""},
            changed=changed,
            unknown=unknown,
            disk=parse_findmnt(sections.get("disk", [])),
            recorded_disk=parse_record(sections.get("record", [])),
        )


@dataclass(frozen=True)
class ModelFilesState:
    """What models consist of.

    Attributes:
        manifests: full name → text of the manifest; models that are missing are not in it.
        files: digest (`sha256:…`) → content, of their files below 1 MiB.
        blobs: digest → bytes, of all complete files in Ollama's store.
    """

    manifests: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    blobs: dict[str, int] = field(default_factory=dict)


class ModelFiles(StateFact[ModelFilesState]):
    """Manifests and small files of some models.

    Args:
        models: their names.

    Raises:
        FactPreconditionError: the container is missing, or Ollama in it does not respond.
    """

    @override
    def command(self, models: tuple[str, ...]) -> str:
        paths = (manifest_path(model) for model in models)
        inside = quote("docker", "exec", CONTAINERS["ollama"], "bash", "-c", _SHOW_MODELS, "bash", *paths)
        return f"command -v docker >/dev/null || exit 0; {DOCKER_WITH_TIMEOUT}{inside} 2>&1 || echo @@failed"

    @override
    def process(self, output: Iterable[str]) -> ModelFilesState:
        return parse_model_files(output, type(self))


def parse_model_files(output: Iterable[str], fact: type[ModelFiles] = ModelFiles) -> ModelFilesState:
    """The state from the output of the script above.

    Raises:
        FactPreconditionError: Ollama did not respond.
    """
    output = list(output)
    sections = parse_sections(output)
    if "failed" in sections:
        errors = " ".join(line for line in output if not line.startswith("@@"))
        raise FactPreconditionError(fact, f"Ollama did not list its models: {errors}")
    sizes = (line.partition(" ") for line in sections.get("blobs", []) if line)
    blobs = {name.removeprefix("blobs/").replace("-", ":", 1): int(size) for size, _, name in sizes}
    manifests, files = {}, {}
    for title, lines in sections.items():
        kind, _, path = title.partition(" ")
        if kind == "local":
            manifests[name_from_manifest(path)] = "\n".join(lines)
        elif kind == "files":
            for line in lines:
                digest, _, content = line.partition(" ")
                if digest:
                    files[digest] = base64.b64decode(content)
    return ModelFilesState(manifests, files, blobs)


def model_sizes(lines: Iterable[str]) -> dict[str, str]:
    """Full names → sizes (`637 MB`), from the output of `ollama list`: NAME ID SIZE MODIFIED, after a heading."""
    fields = [line.split() for line in lines]
    return {words[0]: " ".join(words[2:4]) for words in fields[1:] if words}


def _sizes_of_tags(lines: Iterable[str]) -> dict[str, str]:
    """The same from the response of Ollama's `/api/tags`."""
    models = json.loads("\n".join(lines))["models"] or []
    return {one["name"]: _human_size(int(one["size"])) for one in models}


def _human_size(size: int) -> str:
    """Bytes as `ollama list` prints them: `637 MB`, `1.3 GB`."""
    factor, unit = next((pair for pair in ((10**9, "GB"), (10**6, "MB"), (10**3, "KB")) if size >= pair[0]), (1, "B"))
    value = size / factor
    return f"{value:.1f} {unit}" if value < 10 and value != int(value) else f"{int(value)} {unit}"
