"""The table of cases is whole, and what it says of other tests is so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.gates.cases import ELSEWHERE, GROUPS
from tests.support.named import missing


def test_every_row_is_somewhere(project: Path) -> None:
    rows = {case.number for cases in GROUPS.values() for case in cases} | set(ELSEWHERE)
    assert rows >= set(range(1, 36))
    assert missing(project, (name for names in ELSEWHERE.values() for name in names)) == []


@pytest.mark.parametrize("group", GROUPS)
def test_no_row_stands_twice(group: str) -> None:
    names = [(case.number, case.name) for case in GROUPS[group]]
    assert len(set(names)) == len(names)
