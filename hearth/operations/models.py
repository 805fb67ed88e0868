"""Models of the running Ollama."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from pyinfra import host
from pyinfra.api import FunctionCommand, operation
from pyinfra.api.exceptions import FactPreconditionError

from hearth.commands import refused, streamed
from hearth.facts.models import Models
from hearth.host_paths import CONTAINERS
from hearth.model_names import full_name
from hearth.reasons import explain_models
from hearth.shell import quote

_SCRIPT = Path(__file__).with_name("pull_model.bash")


@operation()
def pulled(
    models: tuple[str, ...], registry: str, timeout: int, retries: int
) -> Generator[FunctionCommand, None, None]:
    """Pull the models that Ollama does not have, through the running server, with live progress.

    Args:
        models: names as in Ollama's library (`llama3.2:1b`).
        registry: address of another registry to take them from, or "".
        timeout: seconds without progress after which a pull is taken up again.
        retries: how often that happens; what arrived is kept.
    """
    try:
        present = host.get_fact(Models)
    except FactPreconditionError as error:
        yield refused(str(error))
        return
    missing = [model for model in models if full_name(model) not in present]
    if not missing:
        host.noop("models are there")
    explain_models(present, missing)
    for model in missing:
        yield streamed(pull_script(model, registry, timeout, retries))


def source_name(model: str, registry: str) -> str:
    """The model's name in a registry of one's own: `http://10.0.0.1:5000/library/tinyllama`."""
    return f"{registry}/{model if '/' in model else f'library/{model}'}" if registry else model


def pull_script(model: str, registry: str, timeout: int, retries: int) -> str:
    """Shell script that pulls one model from inside Ollama's container, where bash is and curl is not."""
    words = ("docker", "exec", "-i", CONTAINERS["ollama"], "bash", "-s", "--")
    arguments = (model, source_name(model, registry), str(timeout), str(retries))
    return f"{quote(*words, *arguments)} <<'HEARTH'\n{_SCRIPT.read_text()}HEARTH"
