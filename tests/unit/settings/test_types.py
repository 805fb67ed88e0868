"""Sizes and durations as numbers. (Rejected values: test_model.)"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.settings.types import duration_in_seconds, size_in_bytes


@pytest.mark.parametrize(("size", "expected"), [("1k", 1024), ("32m", 33554432), ("3g", 3221225472), ("0m", 0)])
def test_sizes_are_binary(size: str, expected: int) -> None:
    assert size_in_bytes(size) == expected


@pytest.mark.parametrize("size", ["", "m", "10", "1.5g", "10M", "-1m", "10mb"])
def test_invalid_sizes(size: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        size_in_bytes(size)


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [("90s", 90), ("5m", 300), ("1h30m", 5400), ("1h1m1s", 3661), ("0", 0), ("-1", float("inf"))],
)
def test_durations(duration: str, seconds: float) -> None:
    assert duration_in_seconds(duration) == seconds


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_parts_of_a_duration_add_up(hours: int, minutes: int) -> None:
    together = duration_in_seconds(f"{hours}h{minutes}m")
    assert together == duration_in_seconds(f"{hours}h") + duration_in_seconds(f"{minutes}m")
