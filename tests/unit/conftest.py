"""Settings for the unit tests: the shipped defaults, with single values replaced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from hearth.settings.model import Settings
from tests.support import shipped

# The machine may be busy with virtual machines: a slow example is not a failure.
hypothesis.settings.register_profile("hearth", deadline=None)
hypothesis.settings.load_profile("hearth")


@pytest.fixture(scope="session")
def project() -> Path:
    """The project's directory."""
    return shipped.PROJECT


@pytest.fixture(scope="session")
def defaults() -> dict[str, Any]:
    """The settings in `group_data/all.py`: name to value."""
    return shipped.defaults()


@pytest.fixture(scope="session")
def make_settings() -> Callable[..., Settings]:
    """Build settings from the defaults, with some values replaced."""
    return shipped.shipped_settings


@pytest.fixture(scope="session")
def settings() -> Settings:
    """The default settings."""
    return shipped.shipped_settings()
