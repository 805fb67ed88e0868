"""Tests that need a host or the lab: each requests fixtures that exist, which otherwise only a run there would show."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.shipped import PROJECT


@pytest.mark.parametrize(
    "arguments",
    [("tests/acceptance", "--inventory", "inventory/pi.py"), ("tests/browser",), ("tests/lab",), ("tests/proxy",)],
    ids=lambda arguments: arguments[0],
)
def test_every_fixture_exists(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--setup-plan", *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "fixtures used" in done.stdout
