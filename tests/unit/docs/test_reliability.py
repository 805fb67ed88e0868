"""docs/reliability.md: every failure mode names tests that have passed; those that have not are listed."""

from __future__ import annotations

import re

from tests.support.named import missing, unproven
from tests.support.shipped import PROJECT

LAB = PROJECT / "tests/lab"
TEXT = (PROJECT / "docs/reliability.md").read_text()
SHOWN = TEXT.partition("\n## Tested")[2].partition("\n## ")[0]


def test_tests_of_failure_modes_exist() -> None:
    names = re.findall(r"`((?:faults/|places/)?test_\w+\.py)::(\w+)", SHOWN)
    assert len(names) > 20
    assert missing(PROJECT, [f"tests/lab/{file}::{test}" for file, test in names]) == []


def test_tests_of_who_detects_what_exist() -> None:
    rows = TEXT.partition("\n## Who detects")[2].partition("\n## ")[0]
    paths = re.findall(r"`(tests/[\w/]+\.py::\w+)", rows)
    assert len(paths) > 10
    names = [f"tests/lab/{name}" for name in re.findall(r"`((?:faults/)?test_\w+\.py::\w+)", rows)]
    assert missing(PROJECT, [*paths, *names]) == []


def test_tests_that_have_not_passed_are_listed() -> None:
    files = {path.relative_to(LAB).as_posix(): unproven(path) for path in LAB.rglob("test_*.py")}
    not_passed = {name for name, tests in files.items() if tests}
    section = TEXT.partition("\n## Not passed yet")[2].partition("\n## ")[0]
    listed = set(re.findall(r"`((?:\w+/)?test_\w+\.py)", section))
    assert listed == not_passed
