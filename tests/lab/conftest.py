"""Scenarios start from the snapshot "deployed", which `make test` and its suites take after a deploy."""

from __future__ import annotations

from collections import defaultdict
from functools import cache

import pytest

from tests.browser.conftest import chromium, elsewhere, open_chat
from tests.lab import record
from tests.lab.machine import restore

__all__ = ["chromium", "deployed", "elsewhere", "open_chat"]

# Results are stored, unless nothing is executed.
_stored = True
# A scenario's phases (setup, call, teardown) that have ended.
_phases: dict[str, list[pytest.TestReport]] = defaultdict(list)
_product = cache(record.product)


@pytest.fixture
def deployed() -> None:
    """The machine in its state after a deploy."""
    restore("deployed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--resume", action="store_true", help="skip scenarios that have passed since the product last changed"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--resume", default=False):
        return
    runs = record.last()
    done = {test for test, ran in runs.items() if ran.passed and ran.product == _product()}
    skipped = [item for item in items if item.nodeid in done]
    items[:] = [item for item in items if item.nodeid not in done]
    config.hook.pytest_deselected(items=skipped)


def pytest_configure(config: pytest.Config) -> None:
    global _stored
    _stored = not (config.option.setuponly or config.option.setupplan)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if not _stored or "scenario" not in report.keywords:
        return
    _phases[report.nodeid].append(report)
    if report.when != "teardown":
        return
    phases = _phases.pop(report.nodeid)
    if not any(phase.skipped for phase in phases):
        passed = all(phase.passed for phase in phases)
        record.add(report.nodeid, passed, sum(phase.duration for phase in phases), _product())
