"""Places other than the lab's usual guest: each scenario is for one guest."""

from __future__ import annotations

import pytest

import lab


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A scenario marked `guest("bookworm")` runs where the lab is that one."""
    here = lab.status().guest
    for item in items:
        mark = item.get_closest_marker("guest")
        if mark and mark.args[0] != here:
            item.add_marker(
                pytest.mark.skip(reason=f"the lab's guest is {here}; HEARTH_LAB_GUEST={mark.args[0]} is another lab")
            )
