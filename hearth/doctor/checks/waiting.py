"""A question that gets no answer: whether its model is being loaded, and whether Ollama was restarted meanwhile."""

from __future__ import annotations

import http.client
import time
from dataclasses import dataclass

from hearth.doctor.checks.api import VERSION
from hearth.doctor.http_client import Endpoint, call

# The slowest cards that are sold for a Pi, and what else belongs to a load: bytes per second, seconds.
_SLOW_CARD, _BEGINNING = 10_000_000, 60.0
# A container that Docker starts again: some seconds, more under emulation.
_BACK_IN = 90.0


@dataclass(frozen=True)
class Silence:
    """What is known of a model that gave no word.

    Attributes:
        loaded: seconds in which Ollama said that the model is in memory; None if it did not.
        loading: seconds that it takes to load it from a slow card; 0 if its size is not known.
    """

    loaded: float | None = None
    loading: float = 0.0

    def evidence(self, patience: float) -> str:
        """Why the model is not being loaded, "" where it may be."""
        if self.loaded is not None:
            return f"asked to load it and nothing else, Ollama said in {self.loaded:.1f} s that it is in memory"
        if 0 < self.loading < patience:
            return f"even from a slow card that takes no more than {self.loading:.0f} s"
        return ""


def explain_silence(way: Endpoint, path: str, model: str, size: int) -> Silence:
    """Ask for the model to be in memory, which takes no slot: it is answered at once also where questions are not.

    Args:
        size: of the model in bytes, 0 if unknown.
    """
    loading = _BEGINNING + size / _SLOW_CARD if size else 0.0
    try:
        answer = call(way, "POST", path, {"model": model, "stream": False})
    except (OSError, http.client.HTTPException):
        return Silence(None, loading)
    document = answer.json()
    is_loaded = answer.status == 200 and isinstance(document, dict) and document.get("done_reason") == "load"
    return Silence(answer.seconds if is_loaded else None, loading)


def comes_back(way: Endpoint, seconds: float = _BACK_IN) -> bool:
    """Whether Ollama answers a quick question, now or after a restart."""
    until = time.monotonic() + seconds
    while True:
        try:
            if call(way, "GET", VERSION).status == 200:
                return True
        except (OSError, http.client.HTTPException):
            pass
        if time.monotonic() > until:
            return False
        time.sleep(1)
