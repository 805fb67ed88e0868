"""Models of the running Ollama."""

from __future__ import annotations

import base64
from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path

from pyinfra import host
from pyinfra.api import FunctionCommand, StringCommand, operation
from pyinfra.api.exceptions import FactPreconditionError

from hearth.models.disk import ModelDisk
from hearth.models.facts import ModelFiles, ModelFilesState, Models
from hearth.models.local_files import LocalFile, files_of, send_command
from hearth.models.messages import explain_models, explain_unlisted, explain_variants
from hearth.models.plan import Task, plan_pulls, unlisted_models
from hearth.models.sizes import GB
from hearth.models.variants import (
    MISSING,
    create_request,
    damaged_files,
    file_request,
    has_file,
    variant_differences,
)
from hearth.paths import CONTAINERS, MODELS_DISK, PULLING_MODELS, ROOT
from hearth.runtime.commands import refused_command, streamed_command
from hearth.runtime.explain import explain
from hearth.runtime.fact_snapshot import current_fact
from hearth.runtime.journal import record_versions
from hearth.runtime.shell import quote
from hearth.runtime.write_file import WRITE_FILE
from hearth.settings.model_names import manifest_url, source_name
from hearth.settings.variant import Variant

_SCRIPT = Path(__file__).with_name("pull.bash")
_CREATE = Path(__file__).with_name("create.bash")


@operation()
def pull_models(
    models: tuple[str, ...], registry: str, timeout: int, retries: int, update: bool = False, models_dir: str = ""
) -> Generator[FunctionCommand | StringCommand, None, None]:
    """Pull missing models through the running server, with live progress.

    Models whose pull was interrupted are verified first, and pulled again if damaged. If one pull fails, the others are
    still pulled, and then the operation fails.

    Args:
        models: names as in Ollama's library (`llama3.2:1b`).
        registry: address of a registry to use instead, or "".
        timeout: seconds without progress after which a pull is retried.
        retries: how often; downloaded data is kept.
        update: also pull existing models whose content differs in the registry.
        models_dir: the models directory, or ""; its disk is recorded.
    """
    manifests = tuple((model, manifest_url(model, registry)) for model in models) if update else ()
    try:
        state = current_fact(Models, models_dir=models_dir, manifests=manifests)
    except FactPreconditionError as error:
        yield refused_command(str(error))
        return
    record_versions(sizes=state.sizes)
    tasks = plan_pulls(models, state.present, state.interrupted, state.changed)
    do_record = state.disk is not None and (
        state.recorded_disk is None or state.recorded_disk.directory != state.disk.directory
    )
    if not tasks and not state.unknown and not do_record:
        host.noop("all models present")
    explain_models(state.present, tasks)
    if state.disk is not None and do_record:
        explain(f"models are on {state.disk}; recording that, to detect a different disk later")
        # Before the pull: even an interrupted one has written to that disk.
        yield StringCommand(record_script(state.disk))
    if tasks:
        yield streamed_command(pull_script(tasks, registry, timeout, retries))
    if state.unknown:
        yield refused_command(
            "ollama_update_models = True, but Hearth could not check whether these models have changed: "
            + "; ".join(f"{model} ({why})" for model, why in sorted(state.unknown.items()))
            + ". They were not pulled again. Fix the cause and deploy again, or set ollama_update_models = False"
        )


@operation()
def create_variants(
    variants: Mapping[str, Variant], files: Mapping[str, LocalFile], only_missing: bool = False
) -> Generator[FunctionCommand, None, None]:
    """Create the variants that are missing or differ from the settings. Base models from a registry must be present.

    Args:
        variants: name → what it is made of, as in `ollama_model_variants`.
        files: the GGUF files on this computer, by their paths as in the settings.
        only_missing: leave existing ones as they are, even if they differ.
    """
    try:
        state = current_fact(ModelFiles, models=variant_models(variants))
    except FactPreconditionError as error:
        yield refused_command(str(error))
        return
    differences = {
        name: found
        for name, variant in variants.items()
        if (found := find_differences(name, variant, files, state)) and (found == MISSING or not only_missing)
    }
    if not differences:
        host.noop("model variants up to date")
        return
    explain_variants(state.manifests, differences)
    steps: dict[LocalFile | str, None] = {}  # two variants may have the same file
    for name in differences:
        try:
            steps |= dict.fromkeys(creation_steps(name, variants[name], files, state))
        except KeyError as error:
            yield refused_command(
                f"{name} (ollama_model_variants) is missing on the host, and its file {error} on this computer"
            )
            return
    for step in steps:
        if isinstance(step, LocalFile):
            explain(f"{step.path.name} ({step.size / GB:.2f} GB) is not on the host; sending it")
    for step in steps:
        yield send_command(step) if isinstance(step, LocalFile) else streamed_command(step)


def creation_steps(
    name: str, variant: Variant, files: Mapping[str, LocalFile], state: ModelFilesState
) -> list[LocalFile | str]:
    """The files to send and the shell scripts to run, in order, that create a variant.

    Raises:
        KeyError: a file that it is made from does not exist on this computer; with its path.
    """
    own, base = files_of(variant, files), variant.base_model(name)
    lacking: list[LocalFile | str] = [file for file in own if state.blobs.get(file.digest) != file.size]
    steps = [*lacking]
    if variant.base_file and (lacking or not has_file(base, own[0].digest, state.manifests)):
        steps.append(create_script(base, file_request(base, own[0].digest)))
    request = create_request(name, variant, own[-1].digest if variant.adapter_file else "")
    steps.append(create_script(name, request, damaged_files(name, base, state.manifests, state.files)))
    return steps


def find_differences(name: str, variant: Variant, files: Mapping[str, LocalFile], state: ModelFilesState) -> list[str]:
    """As `variant_differences`; also if the host's copies of the GGUF files are not those of this computer."""
    try:
        own = files_of(variant, files)
    except KeyError:
        own = []  # after a restore: not needed if the variant exists
    adapter = own[-1].digest if own and variant.adapter_file else ""
    found = variant_differences(name, variant, state.manifests, state.files, adapter)
    if found == MISSING or not own:
        return found
    if variant.base_file and not has_file(variant.base_model(name), own[0].digest, state.manifests):
        return ["its GGUF file"]
    if not found and any(state.blobs.get(file.digest) != file.size for file in own):
        return ["its GGUF file, which is damaged"]
    return found


@operation()
def prune_models(models: tuple[str, ...]) -> Generator[FunctionCommand, None, None]:
    """Remove models that are not in `models`. Files shared with listed models are kept."""
    try:
        state = current_fact(Models)
    except FactPreconditionError as error:
        yield refused_command(str(error))
        return
    unlisted = unlisted_models(models, state.present)
    if not models:
        yield refused_command(
            "ollama_models = []: not removing all models; list at least one, or set ollama_prune_models = False"
        )
    elif unlisted:
        explain_unlisted(unlisted)
        yield streamed_command(_inside([(model, model, "remove") for model in unlisted], 0, 0))
    else:
        host.noop("no unlisted models")


def variant_models(variants: Mapping[str, Variant]) -> tuple[str, ...]:
    """Names of the variants and of their base models."""
    return tuple(dict.fromkeys([*variants, *(variant.base_model(name) for name, variant in variants.items())]))


def record_script(disk: ModelDisk) -> str:
    """Shell script that records the disk of the models."""
    return f"{WRITE_FILE}printf %s {quote(disk.dump())} | put {MODELS_DISK}"


def pull_script(tasks: Sequence[Task], registry: str, timeout: int, retries: int) -> str:
    """Shell script that pulls models from inside Ollama's container, which has bash but no curl.

    All in one `docker exec`, which is slow to start on a small host. The mark for an interrupted pull is on disk before
    the pull starts, and is removed when the script finishes, even if pulls failed: then all downloaded data was
    flushed.
    """
    names = quote(*(task.model for task in tasks))
    triples = [(task.model, source_name(task.model, registry), task.what) for task in tasks]
    return f"""mkdir -p {ROOT} && printf '%s\\n' {names} >> {PULLING_MODELS} && sync {PULLING_MODELS} || exit 2
{_inside(triples, timeout, retries)}
code=$?
[ $code -gt 1 ] || rm -f {PULLING_MODELS}
exit $code"""


def create_script(name: str, request: str, damaged: Iterable[str] = ()) -> str:
    """Shell script that creates a model from inside Ollama's container, after removing damaged files (digests).

    In base64, since each of several shells would otherwise add its own quotes to a limited length.
    """
    body = base64.b64encode(request.encode()).decode()
    command = quote("docker", "exec", "-i", CONTAINERS["ollama"], "bash", "-s")
    return f"{command} <<'HEARTH'\n{_CREATE.read_text()}create {quote(name, body, *damaged)}\nHEARTH"


def _inside(triples: Iterable[tuple[str, str, str]], timeout: int, retries: int) -> str:
    """Command that runs the script in the container; (model, name to pull it by, task) for each model."""
    words = ["docker", "exec", "-i", CONTAINERS["ollama"], "bash", "-s", "--", str(timeout), str(retries)]
    words += [word for triple in triples for word in triple]
    return f"{quote(*words)} <<'HEARTH'\n{_SCRIPT.read_text()}HEARTH"
