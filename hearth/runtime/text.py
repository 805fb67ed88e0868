"""Words for values: lists, plurals, changes. Pure rules."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

_LONG = 60


def join_words(words: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last


def are_missing(names: Sequence[str]) -> str:
    """`a is not there; it is`, `a and b are not there; they are`: a verb follows."""
    return f"{join_words(names)} {'is not there; it is' if len(names) == 1 else 'are not there; they are'}"


def format_change(old: Any, new: Any) -> str:
    """`900 → 1000`; of lists, what came and what went."""
    if isinstance(old, list) and isinstance(new, list):
        parts = [f"+ {_value(item)}" for item in new if item not in old]
        parts += [f"- {_value(item)}" for item in old if item not in new]
        return ", ".join(parts) or "in another order"
    return f"{_value(old)} → {_value(new)}"


def _value(value: Any) -> str:
    if isinstance(value, str):
        text = value or '""'
    elif isinstance(value, dict) and "path" in value:
        text = str(value["path"])
    else:
        text = repr(value) if isinstance(value, bool | None) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"
