"""One step of a diagnosis, and its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hearth.doctor.causes.cause import Finding

State = Literal["ok", "warning", "problem", "skipped"]


@dataclass(frozen=True)
class Step:
    """The result of one step.

    Attributes:
        name: one or two words.
        observed: what was found, one sentence without a full stop.
        findings: the problems and notes; empty if there are none.
        data: the same as data for `--json`; primitives only.
        skipped: it did not run, and `observed` gives the reason.
        ends: the steps after it would be pointless.
    """

    name: str
    observed: str
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
