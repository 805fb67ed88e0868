"""The doctor's fact about an Ollama outside Docker: a fake `docker` reports its process and httpd's."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from typing import Any

from hearth.docker.compose_up import IN_FLIGHT
from hearth.paths import CHECKOUT, REQUESTS_PATH
from hearth.preflight.facts import HostFacts
from hearth.runtime.shell import quote
from hearth.stack.health_facts import KILLED, Symptoms

_DOCKER = """#!/bin/sh
case "$1 $*" in
logs*) cat {log};;
*hearth-ollama) echo {ollama};;
inspect*) echo {httpd};;
exec*hearth-requests*) [ -z "{requests}" ] || exec curl -sf --interface {source} "{requests}"; exit 1;;
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
    url: str = "",
    said: str = "200",
    code: int = 0,
    log: str = "",
    kills: int | None = None,
    patience: int = 4,
) -> dict[str, Any]:
    """The fact, from its own script.

    Args:
        directory: for temporary files.
        ollama, httpd: process ids of their main processes.
        address, port: where that Ollama listens; with an address, other servers on this machine are ignored.
        url: of the httpd that lists the requests in flight; without one, each connection counts.
        said, code: output and exit code of a request to Ollama from httpd's container.
        log: Ollama's log.
        kills: the kernel's count of processes killed there for lack of memory; None if it does not count.
        patience: seconds without activity to observe.
    """
    program, log_file = directory / "docker", directory / "log.txt"
    log_file.write_text(log)
    program.write_text(
        _DOCKER.format(
            ollama=ollama,
            httpd=httpd,
            said=said,
            code=code,
            log=log_file,
            requests=url and url + REQUESTS_PATH,
            source=address,
        )
    )
    program.chmod(0o755)
    groups = directory / "cgroup"
    if kills is not None:
        own = next(line[3:] for line in Path(f"/proc/{ollama}/cgroup").read_text().splitlines() if line[:3] == "0::")
        events = Path(f"{groups}{own}/memory.events")
        events.parent.mkdir(parents=True, exist_ok=True)
        events.write_text(f"low 0\noom 1\noom_kill {kills}\noom_group_kill 0\n")
    script = IN_FLIGHT + (CHECKOUT / "hearth/stack/health_probe.sh").read_text()
    assert ":2CAA$" in script
    assert "-lt 30 ]" in script
    script = script.replace(":2CAA$", f"{_hex(address)}:{port:04X}$").replace("-lt 30 ]", f"-lt {patience} ]")
    variables = f"PATH={directory}:$PATH ollama=hearth-ollama httpd=hearth-httpd groups={groups}\n"
    variables += f"killed={quote(KILLED)}\n"
    outputs = [_run(variables + script), _run(HostFacts().command(("/var/lib/docker",), ""))]
    return Symptoms().process(["@@access", *outputs[1], *outputs[0], "@@memory"])


def _hex(address: str) -> str:
    """In the format of /proc/net/tcp."""
    return socket.inet_aton(address)[::-1].hex().upper() if address else ""


def _run(script: str) -> list[str]:
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""
    return done.stdout.splitlines()
