"""A host without pools gets exactly what it always got."""

from __future__ import annotations

import difflib

import pytest

from tests.support.golden import DIRECTORY, rendered

RENDERED = rendered()


@pytest.mark.parametrize("name", RENDERED)
def test_rendered_file_is_the_recorded_one(name: str) -> None:
    recorded = (DIRECTORY / name).read_text().splitlines()
    difference = "\n".join(difflib.unified_diff(recorded, RENDERED[name].decode().splitlines(), lineterm="", n=1))
    assert RENDERED[name] == (DIRECTORY / name).read_bytes(), (
        f"{name} changes for every host; if that is meant: python -m tests.support.golden\n{difference}"
    )
