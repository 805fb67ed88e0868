"""The doctor's fact: how it parses a host's output, and that its script runs."""

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

from hearth.docker.compose_up import IN_FLIGHT
from hearth.doctor.checks.host_state import judge
from hearth.paths import CHECKOUT
from hearth.preflight.facts import HostFacts
from hearth.stack.health_facts import Symptoms
from tests.support.doctor.work import work_of


def run(command: str) -> list[str]:
    """Output lines of a command, executed as by pyinfra."""
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=120)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_script_runs_here_and_its_output_is_parsed() -> None:
    symptoms = Symptoms().process(run(Symptoms().command()))
    if not symptoms["access"]:
        pytest.skip("no root, and no sudo without a password")
    assert symptoms["memory"]["MemTotal"] > 0
    assert symptoms["free_bytes"] > 0
    assert symptoms["models_free_bytes"] is None


def test_models_disk_is_inspected_too() -> None:
    symptoms = Symptoms().process(run(Symptoms().command("/proc/models")))
    if not symptoms["access"]:
        pytest.skip("no root, and no sudo without a password")
    # One file system without any space, in addition to Docker's.
    assert (symptoms["free_bytes"] > 0, symptoms["models_free_bytes"]) == (True, 0)


def test_section_names_are_unique() -> None:
    """Two sections with one name would be merged; the script is composed of those of other facts."""
    names = re.findall(r"@@(\w+)", Symptoms().command())
    assert sorted(names) == sorted(set(names))


def test_login_without_root_access() -> None:
    assert Symptoms().process([]) == {"access": False}
    for symptoms in (Symptoms().default(), Symptoms().process([])):
        (finding,) = judge("pi", symptoms, {})
        assert finding.cause.id == "host-not-looked-at"


def test_unresponsive_engine() -> None:
    error = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
    lines = ["@@access", *run(HostFacts().command(("/var/lib/docker",), ""))]
    lines += ["@@pending", "@@unread", "@@pulled", "@@hashes", "@@complaints", error, "@@project"]
    lines += ["@@memory", "MemTotal: 4000000 kB", "@@limits", "@@states", "", "@@environment", ""]
    symptoms = Symptoms().process([*lines, "@@errors"])
    assert symptoms["memory_limits"] is None
    assert symptoms["origins"] is None
    assert symptoms["containers"] == {}
    # Regardless of this machine's disk and programs.
    finding = judge("pi", symptoms, {"allowed_origins": ["http://a.example"]})[0]
    assert finding.cause.id == "engine-silent"
    assert finding.why.startswith("the Docker engine does not respond: Cannot connect")


# --- activity of Ollama: the script, with processes and a connection of this machine ------------------

IDLE = "import time; time.sleep(60)"
BUSY = "while True: pass"
# Its child is the model's process.
SERVER = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
KILLED = """time=x level=WARN msg="llama runner process no longer running" sys=9 string="signal: killed"
time=x level=INFO msg="Load failed" model=x error="llama runner process has terminated: signal: killed"
time=x level=ERROR msg="llama runner terminated" error="signal: killed"
"""


@contextmanager
def request() -> Iterator[int]:
    """A connection of this process to its own listening port; yields the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            yield port


@contextmanager
def serving(model: str) -> Iterator[int]:
    """A process with such a child; yields its pid."""
    words = [sys.executable, "-c", SERVER, model]
    with subprocess.Popen(words, start_new_session=True) as server:
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
        until = time.monotonic() + 10
        while not children.read_text() and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(0.5)  # the start of the child's interpreter uses CPU time
        try:
            yield server.pid
        finally:
            os.killpg(server.pid, signal.SIGKILL)


@pytest.mark.parametrize(("model", "is_busy"), [(IDLE, False), (BUSY, True)])
def test_idle_model_is_distinguished_from_a_busy_one(tmp_path: Path, model: str, is_busy: bool) -> None:
    with request() as port, serving(model) as server:
        symptoms = work_of(tmp_path, server, os.getpid(), port=port, log=KILLED)
    work = symptoms["work"]
    assert (work["questions"], work["models"]) == (1, 1)
    assert (work["cpu_seconds"] > 0.2) is is_busy, work
    assert (work["seconds"] >= 4) is not is_busy, "activity is detected at once"
    assert (symptoms["kills"], symptoms["way"]) == (2, "")


def test_probe_does_not_wait_without_a_request(tmp_path: Path) -> None:
    started = time.monotonic()
    with request() as port:
        free = port
    error = "ollama: Name or service not known"
    symptoms = work_of(tmp_path, os.getpid(), os.getpid(), port=free, said=error, code=1, log=KILLED, kills=5)
    assert symptoms["kills"] == 5, "the kernel's counter wins over the log"
    assert symptoms["work"] is None
    assert symptoms["way"] == error
    assert time.monotonic() - started < 4


def test_request_that_finishes_meanwhile_is_not_evidence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, serving(IDLE) as server:
        port = listener.getsockname()[1]
        asking = socket.create_connection(("127.0.0.1", port))
        threading.Timer(1, asking.close).start()
        assert work_of(tmp_path, server, os.getpid(), port=port)["work"] is None


# --- With pools: a request of httpd's list may be at another backend -----------------------------------

_HTTPD, _OLLAMA, _PC = "030012AC:D2F0", "020012AC:2CAA", "1401A8C0:2CAA"
_GATEWAY = "BD01A8C0:9999"  # 192.168.1.189


def _table(path: Path, *connections: tuple[str, str], unacknowledged: int = 0) -> Path:
    queues = f"{unacknowledged:08X}:00000000"
    lines = (
        f"   {number}: {here} {there} 01 {queues} 00:00000000 0" for number, (here, there) in enumerate(connections)
    )
    path.write_text("  sl  local_address rem_address   st\n" + "".join(f"{line}\n" for line in lines))
    return path


@pytest.mark.parametrize("is_here", [True, False])
def test_doctor_counts_the_requests_to_this_hosts_ollama(tmp_path: Path, is_here: bool) -> None:
    """Not an idle client of the published port, or a response that another backend streams."""
    idle = (_OLLAMA, "010012AC:9999")
    both_ends = [(_OLLAMA, _HTTPD)] if is_here else []
    prefix = "0" * 16 + "FFFF0000"
    mapped = [(prefix + here, prefix + there) for here, there in (idle, *both_ends)]
    _table(tmp_path / "ollama-tcp6", *mapped)
    _table(tmp_path / "httpd-tcp", ("030012AC:AAAA", _PC), *([(_HTTPD, _OLLAMA)] if is_here else []))
    probe = (CHECKOUT / "hearth/stack/health_probe.sh").read_text()
    function = "requests() {" + probe.partition("requests() {")[2].partition("\n}\n")[0] + "\n}\nrequests"
    function = IN_FLIGHT + function
    assert "/proc/$1/net/tcp6" in function
    function = function.replace("/proc/$1/net/", f"{tmp_path}/$1-")
    variables = "has_pools=1 ollama_main=ollama httpd_main=httpd"
    done = subprocess.run(["sh", "-c", f"{variables}\n{function}"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ([_HTTPD] if is_here else [])


@pytest.mark.parametrize(
    ("variables", "peer", "unacknowledged", "counted"),
    [
        ({"HEARTH_POOLS": "1"}, _HTTPD, 0, f"{_HTTPD} "),
        ({"HEARTH_POOLS": "1"}, "010012AC:9999", 0, ""),
        ({}, "010012AC:9999", 0, "17-1"),
        ({"HEARTH_GATEWAYS": "192.168.1.10 192.168.1.189"}, _GATEWAY, 0, f"{_GATEWAY} "),
        ({"HEARTH_GATEWAYS": "192.168.1.10 192.168.1.18"}, _GATEWAY, 0, ""),
        ({"HEARTH_GATEWAYS": "192.168.1.189"}, _GATEWAY, 500, ""),  # it lost its power
        # One of several equal nodes.
        ({"HEARTH_GATEWAYS": "192.168.1.189", "HEARTH_POOLS": "1"}, _GATEWAY, 0, f"{_GATEWAY} "),
        ({"HEARTH_GATEWAYS": "192.168.1.189", "HEARTH_POOLS": "1"}, _HTTPD, 0, f"{_HTTPD} "),
    ],
)
def test_health_check_ignores_idle_connections_and_other_backends(
    tmp_path: Path, variables: dict[str, str], peer: str, unacknowledged: int, counted: str
) -> None:
    """It would restart this Ollama, if one of its models is loaded and a client keeps an idle connection."""
    check = (CHECKOUT / "files/ollama/health.bash").read_text()
    table = _table(tmp_path / "tcp", (_OLLAMA, peer), unacknowledged=unacknowledged)
    for old, new in {
        "/proc/net/tcp /proc/net/tcp6": str(table),
        "/tmp/hearth-health": f"{tmp_path}/state",
        "/tmp/hearth-gave-up": f"{tmp_path}/gave-up",
        "/proc/[0-9]*": "/nothing",
        "kill -": ": -",
    }.items():
        assert old in check
        check = check.replace(old, new)
    # The list of httpd, which a shell of its own asks for.
    check = check.replace("timeout 6 bash -c '", "echo 17-1; return; : '")
    programs = {"ollama": "", "getent": "echo 172.18.0.3 STREAM httpd"}
    for name, script in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "OLLAMA_NO_CLOUD": "1", **variables}
    done = subprocess.run(["bash", "-c", check], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "state").read_text().splitlines()[1] == counted
