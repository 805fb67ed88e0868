"""Shell functions that use apt, for scripts that install packages."""

from __future__ import annotations

from pathlib import Path

APT = Path(__file__).with_suffix(".sh").read_text()
