"""The metrics' operations: when they change something, and their scripts. The service itself: tests/proxy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hearth.metrics.facts import Metrics
from hearth.metrics.operations import install_metrics, install_script, removal_script, remove_metrics
from hearth.metrics.rules import PACKAGES, MetricsState, render_files
from hearth.paths import METRICS_SCRIPT, METRICS_UNIT
from hearth.runtime.written_files import digest
from tests.pyinfra.conftest import Result, Run
from tests.pyinfra.shell import check_syntax
from tests.support.shipped import shipped_settings

FILES = render_files(shipped_settings(metrics_access="anyone"))
RIGHT = MetricsState(
    packages=frozenset(PACKAGES),
    files={path: digest(text) for path, text in FILES.items()},
    active=True,
    enabled=True,
)


def install(run: Run, state: MetricsState) -> Result:
    return run(install_metrics, {Metrics: state}, files=FILES, timeout=60)


def test_metrics_in_sync_are_not_changed(run: Run) -> None:
    result = install(run, RIGHT)
    assert result.commands == []
    assert result.noop == "the metrics are collected"


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (MetricsState(), "the metrics' service is missing; adding it"),
        (replace(RIGHT, packages=frozenset({"curl", "jq", "openssl"})), "the metrics need mtail; installing"),
        (replace(RIGHT, active=False), "the metrics' service is not running; starting it"),
        (replace(RIGHT, enabled=False), "the metrics' service does not start with the host; enabling it"),
        (replace(RIGHT, files=RIGHT.files | {METRICS_SCRIPT: "0"}), f"{METRICS_SCRIPT} differs; writing it"),
        (
            replace(RIGHT, files={path: value for path, value in RIGHT.files.items() if path != METRICS_UNIT}),
            f"{METRICS_UNIT} is missing; writing it",
        ),
    ],
)
def test_a_difference_is_reported_and_fixed(run: Run, state: MetricsState, sentence: str) -> None:
    result = install(run, state)
    assert len(result.commands) == 1
    assert any(sentence in one for one in result.said), result.said


def test_packages_are_only_installed_if_missing() -> None:
    assert "apt_install" not in install_script(FILES, (), 60)
    script = install_script(FILES, ("mtail", "jq"), 60)
    check_syntax(script)
    assert "apt_install mtail jq" in script
    assert script.index("mask --runtime") < script.index("apt_install mtail jq") < script.index("unmask --runtime")
    # The host's own mtail, installed before, is not touched.
    assert "mtail.service" not in install_script(FILES, ("jq",), 60)


def test_the_removal(run: Run) -> None:
    check_syntax(removal_script())
    assert len(run(remove_metrics, {}).commands) == 1
