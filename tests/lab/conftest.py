"""Scenarios begin from the snapshot "deployed", which `make test` and `make test-scenarios` take after a deploy."""

from __future__ import annotations

import pytest

from tests.browser.conftest import chromium, elsewhere, open_chat
from tests.lab.machine import restore

__all__ = ["chromium", "deployed", "elsewhere", "open_chat"]


@pytest.fixture
def deployed() -> None:
    """The machine as it was right after a deploy."""
    restore("deployed")
