"""Scenarios begin from the snapshot "deployed", which `make test` and `make test-scenarios` take after a deploy."""

from __future__ import annotations

import pytest

from tests.lab.machine import restore


@pytest.fixture
def deployed() -> None:
    """The machine as it was right after a deploy."""
    restore("deployed")
