"""Settings for the unit tests: the shipped defaults, with single values replaced."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from hearth.settings import Settings

# The machine may be busy with virtual machines: a slow example is no failure.
hypothesis.settings.register_profile("hearth", deadline=None)
hypothesis.settings.load_profile("hearth")

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def project() -> Path:
    """The project's directory."""
    return PROJECT


@pytest.fixture(scope="session")
def defaults() -> dict[str, Any]:
    """What `group_data/all.py` sets: name to value."""
    names = runpy.run_path(str(PROJECT / "group_data" / "all.py"))
    return {name: value for name, value in names.items() if not name.startswith("__")}


@pytest.fixture(scope="session")
def make_settings(defaults: dict[str, Any]) -> Callable[..., Settings]:
    """Settings as shipped, with the given values instead of the defaults."""

    def make(**values: Any) -> Settings:
        return Settings.from_data(defaults | values)

    return make


@pytest.fixture(scope="session")
def settings(make_settings: Callable[..., Settings]) -> Settings:
    """The settings as shipped."""
    return make_settings()
