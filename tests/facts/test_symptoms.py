"""The doctor's fact: what it makes of a host's answers, and that its script runs."""

from __future__ import annotations

import re
import subprocess

import pytest

from hearth.doctor.host_state import judge
from hearth.facts.checkup import Checkup
from hearth.facts.symptoms import Symptoms


def ask(command: str) -> list[str]:
    """Lines that a command prints, run as pyinfra runs it."""
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=120)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_the_script_runs_here_and_its_answer_is_read() -> None:
    symptoms = Symptoms().process(ask(Symptoms().command()))
    if not symptoms["access"]:
        pytest.skip("no root, and no sudo without a password")
    assert symptoms["memory"]["MemTotal"] > 0
    assert symptoms["free_bytes"] > 0
    assert symptoms["models_free_bytes"] is None


def test_the_models_disk_is_looked_at_too() -> None:
    symptoms = Symptoms().process(ask(Symptoms().command("/proc/models")))
    if not symptoms["access"]:
        pytest.skip("no root, and no sudo without a password")
    # Of a file system that has no room at all, beside Docker's.
    assert (symptoms["free_bytes"] > 0, symptoms["models_free_bytes"]) == (True, 0)


def test_its_questions_have_different_names() -> None:
    """Two with one name would be read as one answer; the script is put together from those of other facts."""
    names = re.findall(r"@@(\w+)", Symptoms().command())
    assert sorted(names) == sorted(set(names))


def test_a_login_that_may_not_look() -> None:
    assert Symptoms().process([]) == {"access": False}
    for symptoms in (Symptoms().default(), Symptoms().process([])):
        (finding,) = judge("pi", symptoms, {})
        assert finding.cause.id == "host-not-looked-at"


def test_an_engine_that_does_not_answer() -> None:
    said = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
    lines = ["@@access", *ask(Checkup().command(("/var/lib/docker",), ""))]
    lines += ["@@pending", "@@pulled", "@@hashes", "@@complaints", said, "@@project"]
    lines += ["@@memory", "MemTotal: 4000000 kB", "@@limits", "@@states", "", "@@environment", ""]
    symptoms = Symptoms().process([*lines, "@@errors"])
    assert symptoms["memory_limits"] is None
    assert symptoms["origins"] is None
    assert symptoms["containers"] == {}
    # Whatever else this machine shows, of its disk and its programs.
    finding = judge("pi", symptoms, {"allowed_origins": ["http://a.example"]})[0]
    assert finding.cause.id == "engine-silent"
    assert finding.why.startswith("the Docker engine does not answer: Cannot connect")
