"""The result of each scenario is recorded when it ends, and is only valid for the same product."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.lab import record

pytest_plugins = ["pytester"]
SCENARIOS = """
import pytest
pytestmark = pytest.mark.scenario

def test_good():
    pass

def test_bad():
    assert False

@pytest.mark.skip
def test_left():
    pass
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "record.jsonl"
    monkeypatch.setattr(record, "FILE", file)
    return file


def test_last_run_counts(file: Path) -> None:
    assert record.last() == {}
    for passed in (False, True):
        record.add("tests/lab/test_a.py::test_x[1]", passed, 61.24, "abc")
    (ran,) = record.last().values()
    assert (ran.passed, ran.seconds, ran.product, ran.file) == (True, 61.2, "abc", "test_a.py")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\dZ", ran.ended)
    assert len(file.read_text().splitlines()) == 2


def test_table_includes_failures() -> None:
    runs = [
        record.Ran("tests/lab/faults/test_b.py::test_y", True, 100, "2026-11-21T10:00Z", "abc"),
        record.Ran("tests/lab/faults/test_b.py::test_z", False, 80, "2026-11-22T10:00Z", "abc"),
        record.Ran("tests/lab/test_a.py::test_x", True, 30, "2026-11-20T10:00Z", "abc"),
    ]
    assert list(record.table(runs))[2:] == [
        "| `faults/test_b.py` | 1 of 2 | 3 min | 2026-11-22 |",
        "| `test_a.py` | 1 of 1 | 0 min | 2026-11-20 |",
        "| all | 2 of 3 | 4 min | |",
    ]


def test_product_is_a_hash_of_what_a_deploy_uses() -> None:
    assert re.fullmatch("[0-9a-f]{12}", record.product())
    assert record.product() == record.product()


@pytest.mark.usefixtures("file")
def test_run_is_resumed(pytester: pytest.Pytester) -> None:
    """Tests that failed, were skipped, or ran with another product run again; tests that passed do not."""
    pytester.makeini("[pytest]\nmarkers = scenario")
    pytester.makepyfile(test_it=SCENARIOS)
    words = ("-p", "tests.lab.conftest", "-p", "no:cacheprovider", "test_it.py")
    pytester.inline_run(*words).assertoutcome(passed=1, failed=1, skipped=1)
    assert {test: ran.passed for test, ran in record.last().items()} == {
        "test_it.py::test_good": True,
        "test_it.py::test_bad": False,
    }
    pytester.inline_run(*words, "--resume").assertoutcome(passed=0, failed=1, skipped=1)
    record.add("test_it.py::test_good", True, 1, "another")
    pytester.inline_run(*words, "--resume").assertoutcome(passed=1, failed=1, skipped=1)


@pytest.mark.usefixtures("file")
def test_a_plan_is_no_result(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nmarkers = scenario")
    pytester.makepyfile(test_it=SCENARIOS)
    pytester.inline_run("-p", "tests.lab.conftest", "-p", "no:cacheprovider", "--setup-plan", "test_it.py")
    assert record.last() == {}
