"""Shell functions that send test prompts, for releases and rolling deploys."""

from __future__ import annotations

from pathlib import Path

TRIAL = Path(__file__).with_suffix(".bash").read_text()
