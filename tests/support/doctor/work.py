"""What the doctor's fact makes of an Ollama's work, where no engine says which processes are its and httpd's."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from typing import Any

from hearth.paths import CHECKOUT
from hearth.preflight.facts import HostFacts
from hearth.runtime.shell import quote
from hearth.stack.health_facts import KILLED, Symptoms

_DOCKER = """#!/bin/sh
case "$1 $*" in
logs*) cat {log};;
*hearth-ollama) echo {ollama};;
inspect*) echo {httpd};;
exec*) echo {said}; exit {code};;
esac
"""


def work_of(
    directory: Path,
    ollama: int,
    httpd: int,
    *,
    address: str = "",
    port: int = 11434,
    said: str = "200",
    code: int = 0,
    log: str = "",
    kills: int | None = None,
    patience: int = 4,
) -> dict[str, Any]:
    """The fact, by its own script.

    Args:
        directory: for files of its own.
        ollama, httpd: their main processes.
        address, port: at which that Ollama listens; an address keeps out what else is in this machine's network.
        said, code: what asking Ollama from within httpd's container gives.
        log: Ollama's.
        kills: how many processes the kernel says it ended there for want of memory; None where it does not count.
        patience: seconds without work that are looked at.
    """
    program, lines = directory / "docker", directory / "log.txt"
    lines.write_text(log)
    program.write_text(_DOCKER.format(ollama=ollama, httpd=httpd, said=said, code=code, log=lines))
    program.chmod(0o755)
    groups = directory / "cgroup"
    if kills is not None:
        own = next(line[3:] for line in Path(f"/proc/{ollama}/cgroup").read_text().splitlines() if line[:3] == "0::")
        events = Path(f"{groups}{own}/memory.events")
        events.parent.mkdir(parents=True, exist_ok=True)
        events.write_text(f"low 0\noom 1\noom_kill {kills}\noom_group_kill 0\n")
    script = (CHECKOUT / "hearth/stack/health_probe.sh").read_text()
    assert ":2CAA$" in script
    assert "-lt 30 ]" in script
    script = script.replace(":2CAA$", f"{_hex(address)}:{port:04X}$").replace("-lt 30 ]", f"-lt {patience} ]")
    names = f"PATH={directory}:$PATH ollama=hearth-ollama httpd=hearth-httpd groups={groups}\n"
    names += f"killed={quote(KILLED)}\n"
    told = [_ask(names + script), _ask(HostFacts().command(("/var/lib/docker",), ""))]
    return Symptoms().process(["@@access", *told[1], *told[0], "@@memory"])


def _hex(address: str) -> str:
    """As /proc/net/tcp has it."""
    return socket.inet_aton(address)[::-1].hex().upper() if address else ""


def _ask(script: str) -> list[str]:
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""
    return done.stdout.splitlines()
