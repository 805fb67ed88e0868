"""What the doctor finds at an address, called as the function that it is."""

from __future__ import annotations

from typing import Any

from hearth.doctor.client_environment import ClientEnvironment
from hearth.doctor.report import found
from hearth.doctor.runner import Diagnosis, Options
from hearth.doctor.target import parse_target


def causes(url: str, **options: Any) -> list[str]:
    """Ids of the findings, in order; `options` are those of the walk, which tries each thing once."""
    steps = Diagnosis(parse_target(url), ClientEnvironment(), Options(tries=1, **options)).steps()
    return [finding.cause.id for _, finding in found(list(steps))]
