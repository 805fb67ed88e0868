"""Compare the host's clock with this machine's."""

from __future__ import annotations

import email.utils
from datetime import UTC, datetime

from hearth.doctor.causes import ollama as causes
from hearth.doctor.causes.cause import Finding
from hearth.doctor.checks.result import Step
from hearth.doctor.http_response import Response

_TOLERATED = 60


def check_clock(response: Response, now: datetime) -> Step:
    """Compare the response's `Date` (whole seconds) with the time of its arrival."""
    try:
        host_time = email.utils.parsedate_to_datetime(response.header("date"))
    except ValueError:
        return Step("clock", "the response has no date", skipped=True)
    skew = (host_time.replace(tzinfo=host_time.tzinfo or UTC) - now).total_seconds()
    if abs(skew) <= _TOLERATED:
        return Step(
            "clock",
            f"differs from this machine's by at most {max(1, round(abs(skew)))} s",
            data={"skew_s": round(skew)},
        )
    span = _span(abs(skew))
    direction = "ahead of" if skew > 0 else "behind"
    observed = f"the host's clock is {span} {direction} this machine's"
    values = {"skew": span, "direction": direction}
    return Step("clock", observed, (Finding(causes.CLOCK_SKEW, observed, values),), {"skew_s": round(skew)})


def _span(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds > 1.95 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
