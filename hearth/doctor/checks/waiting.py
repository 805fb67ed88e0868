"""A prompt without an answer: whether its model is still loading, and whether Ollama was restarted meanwhile."""

from __future__ import annotations

import http.client
import time
from dataclasses import dataclass

from hearth.doctor.checks.api import VERSION
from hearth.doctor.http_client import Endpoint, call

# Bytes per second of the slowest SD cards on sale, and seconds for the rest of a load.
_SLOW_CARD, _OVERHEAD = 10_000_000, 60.0
# Until a container that Docker restarts responds: some seconds, more under emulation.
_RESTART_SECONDS = 90.0


@dataclass(frozen=True)
class Silence:
    """What is known about a model that did not answer.

    Attributes:
        loaded_in: seconds until Ollama reported that the model is in memory; None if it did not.
        load_estimate: seconds to load it from a slow card; 0 if its size is unknown.
    """

    loaded_in: float | None = None
    load_estimate: float = 0.0

    def evidence(self, patience: float) -> str:
        """Why the model is not loading, "" if it may be."""
        if self.loaded_in is not None:
            return f"Ollama, asked only to load it, reported within {self.loaded_in:.1f} s that it is in memory"
        if 0 < self.load_estimate < patience:
            return f"even from a slow card, loading takes no more than {self.load_estimate:.0f} s"
        return ""


def probe_load(endpoint: Endpoint, path: str, model: str, size: int) -> Silence:
    """Ask Ollama only to load the model, which takes no slot: the response comes at once even if prompts get none.

    Args:
        size: of the model in bytes; 0 if unknown.
    """
    load_estimate = _OVERHEAD + size / _SLOW_CARD if size else 0.0
    try:
        response = call(endpoint, "POST", path, {"model": model, "stream": False})
    except (OSError, http.client.HTTPException):
        return Silence(None, load_estimate)
    document = response.json()
    is_loaded = response.status == 200 and isinstance(document, dict) and document.get("done_reason") == "load"
    return Silence(response.seconds if is_loaded else None, load_estimate)


def wait_until_back(endpoint: Endpoint, seconds: float = _RESTART_SECONDS) -> bool:
    """Whether Ollama responds to a quick request, now or after a restart."""
    until = time.monotonic() + seconds
    while True:
        try:
            if call(endpoint, "GET", VERSION).status == 200:
                return True
        except (OSError, http.client.HTTPException):
            pass
        if time.monotonic() > until:
            return False
        time.sleep(1)
