"""A known cause of trouble, and a finding of one."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["problem", "warning"]


@dataclass(frozen=True)
class Cause:
    """What can be wrong, and what helps.

    Attributes:
        id: also the anchor of its section in `docs/doctor.md`.
        title: a few words.
        why, cure: sentences. `{name}` in them is replaced by what a finding knows.
        severity: a `warning` works today and does not change the exit code.
        replaces: ids of causes that are but guesses at this one, and are left out beside it.
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


class _Words(dict[str, str]):
    """Words for the names in a text; an unknown one stands there in capitals, an optional one not at all."""

    def __missing__(self, name: str) -> str:
        return "" if name.startswith("opt_") else name.upper().replace("_", " ")


def fill(text: str, words: Mapping[str, object] | None = None) -> str:
    """The text with its `{names}` replaced; unknown or empty ones by capitals (`PORT`), `{opt_…}` by nothing."""
    known = _Words({name: str(value) for name, value in (words or {}).items() if str(value)})
    return string.Formatter().vformat(text, (), known)


@dataclass(frozen=True)
class Finding:
    """A cause that applies here, and what of it was seen."""

    cause: Cause
    seen: str
    words: Mapping[str, object] = field(default_factory=dict)

    @property
    def why(self) -> str:
        return fill(self.cause.why, self.words)

    @property
    def cure(self) -> str:
        return fill(self.cause.cure, self.words)
