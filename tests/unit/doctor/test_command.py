"""The doctor as a command: without installed packages, its exit codes, its output as text and as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.doctor.handlers import hearth
from tests.support.doctor.server import closed_port, serving


def doctor(project: Path, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run it without `site`: only the standard library and the checkout are available."""
    clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return subprocess.run(
        [sys.executable, "-S", "-m", "hearth.doctor", *arguments],
        cwd=project,
        env=clean | dict(env or {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_nothing_needs_to_be_installed(project: Path) -> None:
    bare = subprocess.run(
        [sys.executable, "-S", "-c", "import pydantic"], cwd=project, capture_output=True, check=False
    )
    assert bare.returncode, "pydantic is available without site-packages, so this test proves nothing"
    done = doctor(project, "--help")
    assert done.returncode == 0, done.stderr
    assert "--origin" in done.stdout


def test_every_module_imports_only_the_standard_library(project: Path) -> None:
    modules = [path.relative_to(project).with_suffix("") for path in (project / "hearth/doctor").rglob("[a-z]*.py")]
    assert len(modules) > 20
    code = "; ".join(f"import {'.'.join(module.parts)}" for module in sorted(modules))
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_problem(project: Path) -> None:
    with serving(hearth()) as port:
        done = doctor(project, f"http://127.0.0.1:{port}", "--timeout", "20")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("No problems found.")
    assert done.stderr == ""


def test_output_as_text_and_as_json(project: Path) -> None:
    with serving(hearth()) as port:
        arguments = (f"http://127.0.0.1:{port}", "--model", "nosuch:1b", "--timeout", "20")
        text = doctor(project, *arguments)
        as_json = doctor(project, *arguments, "--json")
    assert text.returncode == as_json.returncode == 1
    assert "  PROBLEM  models: nosuch:1b is missing" in text.stdout
    assert "  -        prompt: skipped: no model to prompt" in text.stdout
    assert "1. The host does not have that model" in text.stdout
    assert "More:  docs/doctor.md#model-missing" in text.stdout
    assert max(map(len, text.stdout.splitlines())) <= 100
    document = json.loads(as_json.stdout)
    assert (document["verdict"], document["exit_code"]) == ("problem", 1)
    (finding,) = document["findings"]
    assert finding["id"] == "model-missing"
    assert finding["severity"] == "problem"
    assert set(finding) == {"id", "severity", "step", "title", "seen", "cause", "cure", "docs"}
    assert [(step["name"], step["state"]) for step in document["steps"]][-3:] == [
        *(("models", "problem"), ("prompt", "skipped"), ("clock", "ok"))
    ]


def test_a_note_is_not_a_problem(project: Path) -> None:
    with serving(hearth(clock=timedelta(hours=-3))) as port:
        done = doctor(project, f"http://127.0.0.1:{port}", "--no-prompt")
    assert done.returncode == 0
    assert "  NOTE     clock:" in done.stdout
    assert "(works anyway)" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [["ftp://pi"], ["http://pi:99999"], [], ["pi", "--timeout", "0"], ["pi", "--tries", "many"], ["pi", "--nonsense"]],
)
def test_invalid_arguments(project: Path, arguments: list[str]) -> None:
    done = doctor(project, *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr


def test_steps_are_printed_as_they_finish(project: Path) -> None:
    command = [sys.executable, "-S", "-m", "hearth.doctor", f"127.0.0.1:{closed_port()}"]
    with subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert "Checking" in running.stdout.readline()
        assert " ok " in running.stdout.readline()
        running.stdout.read()  # the rest, so that it does not get a broken pipe
    assert running.returncode == 1
