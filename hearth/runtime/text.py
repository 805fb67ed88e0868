"""Text for values: lists, plurals, changes. Pure rules."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

_LONG = 60


def join_words(words: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last


def are_missing(names: Sequence[str], remedy: str) -> str:
    """`a is missing; pulling it`, `a and b are missing; pulling them`."""
    verb, pronoun = ("is", "it") if len(names) == 1 else ("are", "them")
    return f"{join_words(names)} {verb} missing; {remedy} {pronoun}"


def format_change(old: Any, new: Any) -> str:
    """`900 → 1000`; for lists, the items added and removed."""
    if isinstance(old, list) and isinstance(new, list):
        parts = [f"+ {_value(item)}" for item in new if item not in old]
        parts += [f"- {_value(item)}" for item in old if item not in new]
        return ", ".join(parts) or "in a different order"
    return f"{_value(old)} → {_value(new)}"


def _value(value: Any) -> str:
    if isinstance(value, str):
        text = value or '""'
    elif isinstance(value, dict) and "path" in value:
        text = str(value["path"])
    else:
        text = repr(value) if isinstance(value, bool | None) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"
