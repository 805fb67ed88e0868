"""Models that the running Ollama has."""

from __future__ import annotations

from collections.abc import Iterable

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactPreconditionError
from typing_extensions import override

from hearth.host_paths import CONTAINERS
from hearth.shell import DOCKER_ANSWERS


class Models(FactBase[frozenset[str]]):
    """Full names (`tinyllama:latest`) of the models that Ollama lists.

    Raises:
        FactPreconditionError: the container runs, and Ollama in it does not answer.
    """

    @staticmethod
    @override
    def default() -> frozenset[str]:
        return frozenset()

    @override
    def command(self) -> str:
        return (
            f"command -v docker >/dev/null || exit 0; {DOCKER_ANSWERS}echo @@models; "
            f"docker exec {CONTAINERS['ollama']} ollama list 2>&1 || echo '@@failed'"
        )

    @override
    def process(self, output: Iterable[str]) -> frozenset[str]:
        lines = list(output)
        if "@@failed" in lines:
            said = " ".join(line for line in lines if not line.startswith("@@"))
            raise FactPreconditionError(type(self), f"Ollama did not list its models: {said}")
        # First line: NAME ID SIZE MODIFIED
        return frozenset(line.split()[0] for line in lines[2:] if line.strip())
