"""The doctor's findings for a URL, without a process of its own."""

from __future__ import annotations

from typing import Any

from hearth.doctor.client_environment import ClientEnvironment
from hearth.doctor.report import collect_findings
from hearth.doctor.runner import Diagnosis, Options
from hearth.doctor.target import parse_target


def causes(url: str, **options: Any) -> list[str]:
    """Ids of the findings, in order; `options` are those of the diagnosis, which attempts each request once."""
    steps = Diagnosis(parse_target(url), ClientEnvironment(), Options(tries=1, **options)).steps()
    return [finding.cause.id for _, finding in collect_findings(list(steps))]
