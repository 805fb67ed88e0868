"""Whether Docker and Ollama respond."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pyinfra import host
from typing_extensions import override

from hearth.paths import CONTAINERS
from hearth.runtime.explain import is_preparing
from hearth.runtime.state_fact import StateFact


@dataclass(frozen=True)
class ReachabilityState:
    """Which services respond on a host.

    Attributes:
        engine: `absent` (not installed), `silent` (installed, but does not respond) or `answers`.
        ollama: `answers`, else the status of its container (`running`, `exited`, …), "" if there is none.
    """

    engine: Literal["absent", "silent", "answers"] = "absent"
    ollama: str = ""


class Reachability(StateFact[ReachabilityState]):
    """Why other facts are empty while pyinfra prepares, when it treats `EngineUnreachable` as "not yet"."""

    @override
    def command(self) -> str:
        name = CONTAINERS["ollama"]
        return (
            "command -v docker >/dev/null || exit 0; "
            "timeout 30 docker version --format '{{.Server.Version}}' >/dev/null 2>&1 || { echo silent; exit 0; }; "
            f"echo answers; timeout 30 docker exec {name} ollama list >/dev/null 2>&1 && echo answers || "
            f"docker inspect --type container --format '{{{{.State.Status}}}}' {name} 2>/dev/null; true"
        )

    @override
    def process(self, output: Iterable[str]) -> ReachabilityState:
        engine, *ollama = (line.strip() for line in output)
        return ReachabilityState("answers" if engine == "answers" else "silent", next(filter(None, ollama), ""))


ENGINE_SILENT = "the Docker engine does not respond, so the state of its images and containers is unknown"


def find_reachability() -> ReachabilityState:
    """Which services respond. Only queried while preparing: during execution, other facts succeeded or failed."""
    return host.get_fact(Reachability) if is_preparing() else ReachabilityState("answers", "answers")
