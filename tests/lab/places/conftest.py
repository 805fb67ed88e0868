"""Hosts other than the lab's usual guest: each scenario is for one guest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import lab
from tests.lab.places import steps


@pytest.fixture(scope="module")
def fresh_guest() -> Iterator[None]:
    """The guest of a separate lab, as after its first boot; it is shut down after the module's scenarios."""
    steps.begin()
    yield
    steps.end()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A scenario marked `guest("bookworm")` only runs in the lab with that guest."""
    current = lab.status().guest
    for item in items:
        mark = item.get_closest_marker("guest")
        if mark and mark.args[0] != current:
            item.add_marker(
                pytest.mark.skip(reason=f"the lab's guest is {current}; set HEARTH_LAB_GUEST={mark.args[0]}")
            )
