"""The backends that a gateway leaves out."""

from __future__ import annotations

from collections.abc import Iterable

from typing_extensions import override

from hearth.rollout.gateway import SHOW_MARKS, drained_backends
from hearth.runtime.state_fact import StateFact


class Drained(StateFact[tuple[str, ...]]):
    """Names of the backends that this gateway leaves out: a deploy changes them, or ended before it took them back."""

    @override
    def command(self) -> str:
        return SHOW_MARKS

    @override
    def process(self, output: Iterable[str]) -> tuple[str, ...]:
        return drained_backends(list(output))
