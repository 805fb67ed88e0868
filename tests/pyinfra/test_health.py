"""The doctor's fact: what it makes of a host's answers, and that its script runs."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hearth.doctor.checks.host_state import judge
from hearth.preflight.facts import HostFacts
from hearth.stack.health_facts import Symptoms
from tests.support.doctor.work import work_of


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
    lines = ["@@access", *ask(HostFacts().command(("/var/lib/docker",), ""))]
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


# --- What Ollama does with its questions: the script, with processes and a connection of this machine --------

IDLE = "import time; time.sleep(60)"
BUSY = "while True: pass"
# Its child is the model's process.
SERVER = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
KILLED = """time=x level=WARN msg="llama runner process no longer running" sys=9 string="signal: killed"
time=x level=INFO msg="Load failed" model=x error="llama runner process has terminated: signal: killed"
time=x level=ERROR msg="llama runner terminated" error="signal: killed"
"""


@contextmanager
def question() -> Iterator[int]:
    """A connection of this process to a port that it listens on; gives the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            yield port


@contextmanager
def serving(model: str) -> Iterator[int]:
    """A process with such a child; gives its number."""
    words = [sys.executable, "-c", SERVER, model]
    with subprocess.Popen(words, start_new_session=True) as server:
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
        until = time.monotonic() + 10
        while not children.read_text() and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(0.5)  # the child is an interpreter that starts, which is work
        try:
            yield server.pid
        finally:
            os.killpg(server.pid, signal.SIGKILL)


@pytest.mark.parametrize(("model", "is_busy"), [(IDLE, False), (BUSY, True)])
def test_a_model_that_does_nothing_is_told_from_one_that_works(tmp_path: Path, model: str, is_busy: bool) -> None:
    with question() as port, serving(model) as server:
        symptoms = work_of(tmp_path, server, os.getpid(), port=port, log=KILLED)
    work = symptoms["work"]
    assert (work["questions"], work["models"]) == (1, 1)
    assert (work["cpu_seconds"] > 0.2) is is_busy, work
    assert (work["seconds"] >= 4) is not is_busy, "what is at work is seen at once"
    assert (symptoms["kills"], symptoms["way"]) == (2, "")


def test_without_a_question_nothing_is_waited_for(tmp_path: Path) -> None:
    begun = time.monotonic()
    with question() as port:
        free = port
    said = "ollama: Name or service not known"
    symptoms = work_of(tmp_path, os.getpid(), os.getpid(), port=free, said=said, code=1, log=KILLED, kills=5)
    assert symptoms["kills"] == 5, "the kernel knows better than the log"
    assert symptoms["work"] is None
    assert symptoms["way"] == said
    assert time.monotonic() - begun < 2


def test_a_question_that_is_answered_meanwhile_was_no_sign(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, serving(IDLE) as server:
        port = listener.getsockname()[1]
        asking = socket.create_connection(("127.0.0.1", port))
        threading.Timer(1, asking.close).start()
        assert work_of(tmp_path, server, os.getpid(), port=port)["work"] is None
