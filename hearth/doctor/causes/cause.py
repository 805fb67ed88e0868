"""A known cause of a problem, and a finding: a cause that applies."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["problem", "warning"]


@dataclass(frozen=True)
class Cause:
    """What can be wrong, and how to fix it.

    Attributes:
        id: also the anchor of its section in `docs/doctor.md`.
        title: a few words.
        why, cure: sentences. Each `{name}` is replaced with a value of the finding.
        severity: a `warning` still works today, and does not change the exit code.
        replaces: ids of less certain causes, which are omitted if this one is found.
    """

    id: str
    title: str
    why: str
    cure: str
    severity: Severity = "problem"
    replaces: tuple[str, ...] = ()

    @property
    def docs(self) -> str:
        return f"docs/doctor.md#{self.id}"


class _Values(dict[str, str]):
    """Values for the placeholders in a text; an unknown one becomes its name in capitals, an optional one nothing."""

    def __missing__(self, name: str) -> str:
        return "" if name.startswith("opt_") else name.upper().replace("_", " ")


def fill(text: str, values: Mapping[str, object] | None = None) -> str:
    """Replace the `{names}` in a text; unknown or empty ones become capitals (`PORT`), `{opt_…}` nothing."""
    known = _Values({name: str(value) for name, value in (values or {}).items() if str(value)})
    return string.Formatter().vformat(text, (), known)


@dataclass(frozen=True)
class Finding:
    """A cause that applies here, and the observation that shows it."""

    cause: Cause
    observed: str
    values: Mapping[str, object] = field(default_factory=dict)

    @property
    def why(self) -> str:
        return fill(self.cause.why, self.values)

    @property
    def cure(self) -> str:
        return fill(self.cause.cure, self.values)
