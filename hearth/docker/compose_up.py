"""Shell functions that start the containers, for operations and releases, and the one that lists requests in flight."""

from __future__ import annotations

from pathlib import Path

IN_FLIGHT = Path(__file__).with_name("in_flight.sh").read_text()
COMPOSE_UP = IN_FLIGHT + Path(__file__).with_suffix(".sh").read_text()
