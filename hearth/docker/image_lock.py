"""The file that records the image of each reference."""

from __future__ import annotations

from collections.abc import Iterable


def image_ids(lines: Iterable[str]) -> dict[str, str]:
    """`reference id` lines as a table; other lines are ignored."""
    fields = (line.split() for line in lines)
    return {pair[0]: pair[1] for pair in fields if len(pair) == 2 and pair[1].startswith("sha256:")}
