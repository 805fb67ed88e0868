"""SECURITY.md: every row names tests that exist and have passed."""

from __future__ import annotations

import re

from tests.support.named import missing, unproven
from tests.support.shipped import PROJECT


def test_tests_of_every_threat_exist() -> None:
    rows = [line for line in (PROJECT / "SECURITY.md").read_text().splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 10
    for row in rows:
        names = re.findall(r"`(tests/[^`]+)`", row)
        assert names, row
        assert missing(PROJECT, [name for name in names if "::" in name]) == []
        for name in names:
            path, _, test = name.partition("::")
            assert (PROJECT / path).is_file(), row
            not_passed = unproven(PROJECT / path)
            assert test not in not_passed if test else not not_passed, f"{name} has not passed yet: {row}"
