"""Shell functions that write files which are on the disk before they have their names."""

from __future__ import annotations

from pathlib import Path

WRITE_FILE = Path(__file__).with_suffix(".sh").read_text()
