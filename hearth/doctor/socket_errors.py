"""Classify connection errors of any system."""

from __future__ import annotations

from typing import Literal

Reason = Literal[
    "refused", "timeout", "host-unreachable", "network-unreachable", "host-down", "forbidden", "reset", "other"
]

# Numbers, not names from the `errno` module: an error has a different number on each system, and errors recorded on one
# system can be classified on another.
_NUMBERS: dict[str, dict[int, Reason]] = {
    "Linux": {
        1: "forbidden",
        13: "forbidden",
        99: "network-unreachable",
        100: "network-unreachable",
        101: "network-unreachable",
        104: "reset",
        110: "timeout",
        111: "refused",
        112: "host-down",
        113: "host-unreachable",
    },
    "Darwin": {
        1: "forbidden",
        13: "forbidden",
        49: "network-unreachable",
        50: "network-unreachable",
        51: "network-unreachable",
        54: "reset",
        60: "timeout",
        61: "refused",
        64: "host-down",
        65: "host-unreachable",
    },
    "Windows": {
        10013: "forbidden",
        10049: "network-unreachable",
        10050: "network-unreachable",
        10051: "network-unreachable",
        10054: "reset",
        10060: "timeout",
        10061: "refused",
        10064: "host-down",
        10065: "host-unreachable",
    },
}


def reason_of(error: OSError, system: str) -> Reason:
    """Classify an error of `connect`.

    Args:
        system: as in `ClientEnvironment`; an unknown one is treated as Linux.
    """
    if isinstance(error, TimeoutError) and error.errno is None:
        return "timeout"  # our own timeout, not the system's
    number = getattr(error, "winerror", None) or error.errno or 0
    return _NUMBERS.get(system, _NUMBERS["Linux"]).get(number, "other")
