"""The shipped settings, with single values replaced."""

from __future__ import annotations

import runpy
from functools import cache
from pathlib import Path
from typing import Any

from hearth.settings.load import load_settings
from hearth.settings.model import Settings

PROJECT = Path(__file__).resolve().parents[2]


@cache
def defaults() -> dict[str, Any]:
    """The values in `group_data/all.py`, by name."""
    names = runpy.run_path(str(PROJECT / "group_data" / "all.py"))
    return {name: value for name, value in names.items() if not name.startswith("__")}


def shipped_settings(**values: Any) -> Settings:
    """The shipped settings with the given changes."""
    return load_settings(defaults() | values)
