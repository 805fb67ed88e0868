"""Places other than the lab's usual guest: each scenario is for one guest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import lab
from tests.lab.places import steps


@pytest.fixture(scope="module")
def fresh_guest() -> Iterator[None]:
    """The guest of a lab of its own, as after its first boot; shut down once the module's scenarios are through."""
    steps.begin()
    yield
    steps.end()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A scenario marked `guest("bookworm")` runs where the lab is that one."""
    here = lab.status().guest
    for item in items:
        mark = item.get_closest_marker("guest")
        if mark and mark.args[0] != here:
            item.add_marker(
                pytest.mark.skip(reason=f"the lab's guest is {here}; HEARTH_LAB_GUEST={mark.args[0]} is another lab")
            )
