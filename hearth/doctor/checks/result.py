"""One step of the walk, and what it showed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hearth.doctor.causes.cause import Finding

State = Literal["ok", "warning", "problem", "skipped"]


@dataclass(frozen=True)
class Step:
    """What a step looked at, and what it saw.

    Attributes:
        name: one or two words.
        seen: one sentence, without a full stop.
        findings: what is wrong; none if all is well.
        data: the same for programs; primitives only.
        skipped: it was not tried, and `seen` says why.
        ends: the steps after it make no sense.
    """

    name: str
    seen: str
    findings: tuple[Finding, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    skipped: bool = False
    ends: bool = False

    @property
    def state(self) -> State:
        if self.skipped:
            return "skipped"
        severities = {finding.cause.severity for finding in self.findings}
        return "problem" if "problem" in severities else "warning" if severities else "ok"
