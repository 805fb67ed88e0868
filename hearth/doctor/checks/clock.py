"""The host's clock against this machine's."""

from __future__ import annotations

import email.utils
from datetime import UTC, datetime

from hearth.doctor.causes import ollama as causes
from hearth.doctor.causes.cause import Finding
from hearth.doctor.checks.result import Step
from hearth.doctor.http_response import Answer

_TOLERATED = 60


def check_clock(answer: Answer, now: datetime) -> Step:
    """Compare the answer's `Date` (whole seconds) with the time at which it came."""
    try:
        there = email.utils.parsedate_to_datetime(answer.header("date"))
    except ValueError:
        return Step("clock", "the answer has no date", skipped=True)
    skew = (there.replace(tzinfo=there.tzinfo or UTC) - now).total_seconds()
    if abs(skew) <= _TOLERATED:
        return Step(
            "clock", f"agrees with this machine's within {max(1, round(abs(skew)))} s", data={"skew_s": round(skew)}
        )
    shown = _span(abs(skew))
    direction = "ahead of" if skew > 0 else "behind"
    seen = f"the host's clock is {shown} {direction} this machine's"
    words = {"skew": shown, "direction": direction}
    return Step("clock", seen, (Finding(causes.CLOCK_SKEW, seen, words),), {"skew_s": round(skew)})


def _span(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds > 1.95 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
