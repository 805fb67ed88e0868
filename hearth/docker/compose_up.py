"""The shell that brings the containers up, for operations and for a release's trial."""

from __future__ import annotations

from pathlib import Path

COMPOSE_UP = Path(__file__).with_suffix(".sh").read_text()
