"""Shell functions that start the containers, for operations and releases."""

from __future__ import annotations

from pathlib import Path

COMPOSE_UP = Path(__file__).with_suffix(".sh").read_text()
