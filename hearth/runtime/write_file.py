"""Shell function that writes a file atomically and durably."""

from __future__ import annotations

from pathlib import Path

WRITE_FILE = Path(__file__).with_suffix(".sh").read_text()
