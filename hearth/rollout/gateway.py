"""The scripts with which a gateway leaves out a backend, tries it, and takes it back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from hearth.docker.trial import TRIAL
from hearth.paths import BACKENDS_PATH, CONTAINERS, DRAINED_MARKS, HTTPD_CONF, RELOAD_PENDING, ROOT
from hearth.runtime.shell import quote
from hearth.runtime.write_file import WRITE_FILE
from hearth.settings.model import Settings

_SCRIPT = Path(__file__).with_suffix(".bash")
# Prints the section that `drained_backends` reads.
SHOW_MARKS = f"cat {DRAINED_MARKS} 2>/dev/null; true"


def drained_backends(lines: Sequence[str]) -> tuple[str, ...]:
    """Names of the backends that a gateway leaves out, from the output of `SHOW_MARKS`."""
    return tuple(line.split()[1].removeprefix("DRAIN_") for line in lines if line.startswith("Define DRAIN_"))


def drain_script(gateway: Settings, name: str, url: str) -> str:
    """Shell script that leaves out a backend, unless no other one is in use.

    Args:
        gateway: its settings.
        name, url: of the backend after this deploy; its httpd.conf may have others before the gateway's own turn.
    """
    return _script(gateway, f"drain {quote(name, url)}")


def try_script(gateway: Settings, name: str, url: str, models: Collection[str]) -> str:
    """Shell script that fails if a backend does not answer a test prompt through the gateway.

    Args:
        models: of the backend, from which the script chooses.
    """
    return _script(gateway, f"try {quote(name, url, *models)}")


def take_back_script(gateway: Settings, name: str, url: str) -> str:
    """Shell script that uses a backend again, if it was left out."""
    return _script(gateway, f"take_back {quote(name, url)}")


def try_and_take_back_script(
    gateway: Settings, name: str, url: str, models: Collection[str], *, must_answer: bool
) -> str:
    """Shell script that uses a backend again, if it was left out and answers a test prompt.

    Args:
        models: of the backend, from which the script chooses.
        must_answer: fail if it does not answer. Otherwise it stays left out.
    """
    entry = quote(name, url)
    return _script(
        gateway,
        f"is_left_out {entry} || exit 0\n"
        f"try {quote(name, url, *models)} || {{ keep_out {quote(name)}; exit {int(must_answer)}; }}\n"
        f"take_back {entry}",
    )


def _script(gateway: Settings, calls: str) -> str:
    variables = {
        "root": ROOT,
        "httpd": CONTAINERS["httpd"],
        "ollama": CONTAINERS["ollama"],
        "services": " ".join(gateway.images),
        "conf": HTTPD_CONF,
        "marks": DRAINED_MARKS,
        "pending": RELOAD_PENDING,
        "backends": BACKENDS_PATH,
        "patience": str(gateway.docker_health_timeout),
        "prompt_patience": str(gateway.proxy_timeout + 30),
    }
    header = "\n".join(f"{name}={quote(value)}" for name, value in variables.items())
    programs = WRITE_FILE + TRIAL + _SCRIPT.read_text()
    # As in hearth/releases/operations.py: with bash, and without standard input for the commands.
    return f"bash -s <<'HEARTH'\n{header}\n{programs}\nmain() {{\n{calls}\n}}\nmain </dev/null\nHEARTH"
