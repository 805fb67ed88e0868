"""The table of cases is complete, and the tests that it names exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.named import missing
from tests.support.proxy_rules.cases import ELSEWHERE, GROUPS


def test_every_row_has_a_test(project: Path) -> None:
    rows = {case.number for cases in GROUPS.values() for case in cases} | set(ELSEWHERE)
    assert rows >= set(range(1, 36))
    assert missing(project, (name for names in ELSEWHERE.values() for name in names)) == []


@pytest.mark.parametrize("group", GROUPS)
def test_rows_are_unique(group: str) -> None:
    names = [(case.number, case.name) for case in GROUPS[group]]
    assert len(set(names)) == len(names)
