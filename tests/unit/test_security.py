"""SECURITY.md: every row names tests, and they exist and were seen passing."""

from __future__ import annotations

import re
from pathlib import Path

from tests.named import missing, unproven

ROOT = Path(__file__).resolve().parent.parent.parent


def test_every_threat_names_tests_that_exist() -> None:
    rows = [line for line in (ROOT / "SECURITY.md").read_text().splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 10
    for row in rows:
        names = re.findall(r"`(tests/[^`]+)`", row)
        assert names, row
        assert missing(ROOT, [name for name in names if "::" in name]) == []
        for name in names:
            path, _, test = name.partition("::")
            assert (ROOT / path).is_file(), row
            waiting = unproven(ROOT / path)
            assert test not in waiting if test else not waiting, f"{name} was not yet seen passing: {row}"
