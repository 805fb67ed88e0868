"""How a gateway reads the state of its backends, and its marks."""

from __future__ import annotations

import subprocess

import pytest

from hearth.rollout.gateway import drain_script, drained_backends, take_back_script, try_script
from hearth.settings.model import Settings

A, B, C = "http://192.168.1.20:11434", "http://ollama:11434", "http://192.168.1.30:11434"


def status(*balancers: list[tuple[str, str]]) -> str:
    """What the real httpd 2.4.68 prints: balancer → (URL, status) of each backend."""
    lines = ["HTTP/1.1 200 OK", "Content-Type: text/plain; charset=ISO-8859-1", "", "BusyWorkers: 1"]
    for number, members in enumerate(balancers):
        lines.append(f"ProxyBalancer[{number}]Name: balancer://pool{number}")
        for place, (url, state) in enumerate(members):
            worker = f"ProxyBalancer[{number}]Worker[{place}]"
            lines += [
                f"{worker}Name: {url}",
                f"{worker}Status: Init {state}",
                f"{worker}Elected: 3",
                f"{worker}Busy: 0",
            ]
    return "\n".join(lines)


def holds(settings: Settings, shown: str, condition: str) -> bool:
    """Whether a function of the script is true, with this answer of httpd."""
    text = drain_script(settings, "a", A).partition("\n")[2].partition("\nmain() {")[0]
    script = f"{text}\nhttp() {{ cat <<'SHOWN'\n{shown}\nSHOWN\n}}\n{condition}"
    done = subprocess.run(["bash"], input=script, capture_output=True, text=True, timeout=20, check=False)
    assert not done.stderr, done.stderr
    return done.returncode == 0


@pytest.mark.parametrize(
    ("shown", "others", "drained", "used"),
    [
        (status([(A, "Ok "), (B, "Ok ")]), True, False, True),
        (status([(A, "Drn Ok "), (B, "Ok ")]), True, True, False),
        # The other one is off, in error, or drained.
        (status([(A, "Ok "), (B, "HcFl ")]), False, False, True),
        (status([(A, "Ok "), (B, "Ign Drn Ok ")]), False, False, True),
        # Back, and its health check has not noticed yet in one of two balancers.
        (status([(A, "Ok "), (B, "Ok ")], [(A, "HcFl "), (B, "Ok ")]), True, False, False),
        # Alone in one pool, and not in the other: only the other one has the mark.
        (status([(A, "Ok "), (B, "Ok ")], [(A, "Ok ")]), True, False, True),
        (status([(A, "Ok ")]), False, False, True),
        (status([(B, "Ok "), (C, "Ok ")]), False, False, False),
    ],
)
def test_the_state_of_a_backend(settings: Settings, shown: str, others: bool, drained: bool, used: bool) -> None:
    assert holds(settings, shown, f"has_others {A}") is others
    assert holds(settings, shown, f"is_drained {A}") is drained
    assert holds(settings, shown, f"is_used {A}") is used


def test_marks_are_definitions_for_httpd() -> None:
    assert drained_backends([]) == ()
    assert drained_backends(["Define DRAIN_192.168.1.20 +N", "Define DRAIN_pc +N"]) == (
        "192.168.1.20",
        "pc",
    )


def test_the_scripts_are_bash(settings: Settings) -> None:
    for script in (
        drain_script(settings, "a", A),
        try_script(settings, "a", ["tinyllama"]),
        take_back_script(settings, "a", A, ["tinyllama"]),
        take_back_script(settings, "a", A, None),
    ):
        inner = script.partition("\n")[2].rpartition("\n")[0]
        done = subprocess.run(["bash", "-n"], input=inner, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
