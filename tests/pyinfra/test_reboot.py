"""A run that reboots its host and continues: the real pyinfra, over ssh, to a server that really goes away."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hearth.runtime.pyinfra_process import run_pyinfra
from tests.support.shipped import PROJECT

DEPLOY = """
from pyinfra.operations import server

from hearth.runtime.keepalive import start_keepalive
from hearth.runtime.lock import acquire_deploy_lock
from hearth.boot import operations as boot

boot._DELAY = 1
start_keepalive()
acquire_deploy_lock({})
server.shell(name="Before", commands=["echo before $(flock -n lock true && echo free || echo held) >> said"])
boot.reboot_host(name="Reboot the host")
server.shell(name="After", commands=["echo after $(flock -n lock true && echo free || echo held) >> said"])
"""


@pytest.fixture(name="machine")
def _machine(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A directory for the host's state, and its port."""
    for name, script in (("reboot", "touch rebooting"), ("systemctl", 'echo "$@" >> said')):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.pyinfra.restarting_server", str(tmp_path)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout
    yield tmp_path, server.stdout.readline().strip()
    server.kill()
    server.wait()


def test_a_run_continues_after_a_reboot_with_the_lock(machine: tuple[Path, str]) -> None:
    directory, port = machine
    data = {"ssh_port": int(port), "ssh_user": "pi", "ssh_password": "x", "ssh_look_for_keys": False}
    data |= {"ssh_allow_agent": False, "ssh_known_hosts_file": str(directory / "known_hosts")}
    (directory / "inventory.py").write_text(f"pi = [('127.0.0.1', {data!r})]\n")
    (directory / "deploy.py").write_text(DEPLOY)
    run = run_pyinfra("-y", str(directory / "inventory.py"), str(directory / "deploy.py"), timeout=400)
    assert run.returncode == 0, run.stdout + run.stderr
    assert (directory / "said").read_text().splitlines() == [
        "before held",
        "is-system-running --wait",
        "after held",
    ], run.stderr
    assert "rebooting; waiting up to 15 minutes" in run.stderr
    assert "no response from the host" not in run.stderr
