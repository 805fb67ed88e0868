"""What the doctor's fact makes of an Ollama's work, where no engine says which processes are its and httpd's."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from hearth.facts import symptoms
from hearth.facts.checkup import Checkup
from hearth.shell import quote

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
    port: int = 11434,
    said: str = "200",
    code: int = 0,
    log: str = "",
    patience: int = 4,
) -> dict[str, Any]:
    """The fact, by its own script.

    Args:
        directory: for files of its own.
        ollama, httpd: their main processes.
        port: at which that Ollama listens.
        said, code: what asking Ollama from within httpd's container gives.
        log: Ollama's.
        patience: seconds without work that are looked at.
    """
    program, lines = directory / "docker", directory / "log.txt"
    lines.write_text(log)
    program.write_text(_DOCKER.format(ollama=ollama, httpd=httpd, said=said, code=code, log=lines))
    program.chmod(0o755)
    script = Path(symptoms.__file__).with_suffix(".sh").read_text()
    assert ":2CAA$" in script
    assert "-lt 30 ]" in script
    script = script.replace(":2CAA$", f":{port:04X}$").replace("-lt 30 ]", f"-lt {patience} ]")
    names = f"PATH={directory}:$PATH ollama=hearth-ollama httpd=hearth-httpd killed={quote(symptoms.KILLED)}\n"
    told = [_ask(names + script), _ask(Checkup().command(("/var/lib/docker",), ""))]
    return symptoms.Symptoms().process(["@@access", *told[1], *told[0], "@@memory"])


def _ask(script: str) -> list[str]:
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""
    return done.stdout.splitlines()
