"""The lock of a host: taken once, refused with a sentence, freed when the run that holds it ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyinfra
import pytest
from pyinfra.api import Config, DeployError, Inventory, State
from pyinfra.api.connect import connect_all
from pyinfra.api.state import StateStage
from pyinfra.context import ctx_host, ctx_state

from hearth.paths import CHECKOUT
from hearth.runtime import lock
from hearth.runtime.lock import acquire_deploy_lock, format_holder, format_refusal, is_dry_run

SCRIPT = CHECKOUT / "hearth/runtime/lock.bash"
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(name="start")
def _start(tmp_path: Path) -> Iterator[Start]:
    """Start the program that holds a lock, as a host would."""
    running: list[subprocess.Popen[str]] = []

    def start(who: str = "anna@laptop") -> subprocess.Popen[str]:
        words = ["bash", "-c", SCRIPT.read_text(), "hearth-lock", str(tmp_path / "lock"), who, "90"]
        program = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        running.append(program)
        return program

    yield start
    for program in running:
        program.kill()
        program.communicate()


def said(program: subprocess.Popen[str]) -> str:
    assert program.stdout is not None
    return program.stdout.readline().strip()


def end(program: subprocess.Popen[str]) -> None:
    """What the end of an ssh connection does to a program on the host."""
    assert program.stdin is not None
    program.stdin.close()
    assert program.wait(10) == 0


def test_the_second_is_told_who_holds_the_lock(start: Start) -> None:
    assert said(start("anna@laptop (since 2026-01-31 12:03 UTC)")) == "taken"
    second = start("ben@desk (since 2026-01-31 12:05 UTC)")
    assert said(second) == "held anna@laptop (since 2026-01-31 12:03 UTC)"
    assert second.wait(10) == 0
    assert said(start()) == "held anna@laptop (since 2026-01-31 12:03 UTC)", "the second left no name behind"


def test_the_lock_is_free_when_the_connection_has_ended(start: Start, tmp_path: Path) -> None:
    first = start()
    assert said(first) == "taken"
    end(first)
    assert (tmp_path / "lock").read_text() == ""
    assert said(start("ben@desk")) == "taken"


def test_the_lock_is_free_when_its_holder_was_killed(start: Start) -> None:
    first = start()
    assert said(first) == "taken"
    first.kill()
    first.wait(10)
    assert said(start("ben@desk")) == "taken"


def test_a_lock_that_cannot_be_made_is_no_free_lock(tmp_path: Path) -> None:
    words = ["bash", "-c", SCRIPT.read_text(), "hearth-lock", str(tmp_path / "not" / "there"), "anna", "90"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stdout == ""
    assert "not/there" in done.stderr


def test_a_holders_time_is_utc() -> None:
    noon = datetime(2026, 1, 31, 14, 3, tzinfo=timezone(timedelta(hours=2)))
    assert format_holder("anna", "laptop", noon) == "anna@laptop (since 2026-01-31 12:03 UTC)"
    assert format_holder("anna", "laptop", noon.astimezone(UTC)) == "anna@laptop (since 2026-01-31 12:03 UTC)"


@pytest.mark.parametrize(
    ("who", "expected"), [("anna@laptop (since …)", "by anna@laptop (since …);"), ("", "somebody")]
)
def test_a_refusal_says_what_to_do(who: str, expected: str) -> None:
    sentence = format_refusal("pi.local", who)
    assert sentence.startswith("pi.local is being deployed to")
    assert expected in sentence
    assert "deploy again" in sentence


# --- what pyinfra has to do with it ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "looks"),
    [
        (["inventory/pi.py", "deploy.py"], False),
        (["-y", "inventory/pi.py", "deploy.py"], False),
        (["-y", "--json", "inventory/pi.py", "deploy.py"], False),
        (["inventory/pi.py", "deploy.py", "--dry"], True),
        (["--json", "inventory/pi.py", "deploy.py"], True),
        (["--debug-operations", "inventory/pi.py", "deploy.py"], True),
        (["--data", "chat_title=--dry", "inventory/pi.py", "deploy.py"], False),
    ],
)
def test_a_run_that_only_looks_is_known(arguments: list[str], looks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyinfra, "is_cli", True)
    monkeypatch.setattr(sys, "argv", ["pyinfra", *arguments])
    assert is_dry_run() is looks


def connected(name: str, **data: Any) -> State:
    state = State(inventory=Inventory(([name], data)), config=Config())  # type: ignore[no-untyped-call]
    state.set_stage(StateStage.Connect)
    connect_all(state)
    state.set_stage(StateStage.Prepare)
    return state


def held(state: State, root: dict[str, Any]) -> Any:
    """Take the lock; the channel that holds it."""
    one = next(iter(state.inventory))
    with ctx_state.use(state), ctx_host.use(one):
        acquire_deploy_lock(root)
    return one.connector_data.get("hearth_lock")


def test_two_runs_on_one_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "DEPLOY_LOCK", str(tmp_path / "lock's file"))
    first = connected("@local")
    channel = held(first, {})
    assert channel is not None
    assert held(first, {}) is channel, "a run does not stand in its own way"
    with pytest.raises(DeployError, match=r"@local is being deployed to by .+@.+ \(since 2.* UTC\); nothing was"):
        held(connected("@local"), {})
    channel[0].close()
    assert channel[1].read() == b"", "the program has ended"
    second = held(connected("@local"), {})
    assert second is not None
    second[0].close()
    second[1].read()


def test_a_lock_that_is_out_of_reach_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "DEPLOY_LOCK", str(tmp_path / "not" / "there"))
    with pytest.raises(DeployError, match=r"could not be found out, and nothing was changed: .*not/there"):
        held(connected("@local"), {})


SUDO = """#!/bin/sh
# A sudo that wants the password "open sesame", and then runs the command.
[ "$2" != -n ] || { echo "sudo: a password is required" >&2; exit 1; }
[ "$($SUDO_ASKPASS)" = "open sesame" ] || { echo "sudo: no password was provided" >&2; exit 1; }
while [ "$1" != sh ]; do shift; done
exec "$@"
"""


@pytest.fixture
def sudo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "DEPLOY_LOCK", str(tmp_path / "lock"))
    (tmp_path / "sudo").write_text(SUDO)
    (tmp_path / "sudo").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")


@pytest.mark.usefixtures("sudo")
def test_a_sudo_that_wants_a_password_gets_the_inventorys() -> None:
    channel = held(connected("@local", _sudo_password="open sesame"), {"_sudo": True})
    assert channel is not None
    channel[0].close()
    channel[1].read()


@pytest.mark.usefixtures("sudo")
def test_a_sudo_that_wants_a_password_gets_the_persons(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def getpass(prompt: str) -> str:
        asked.append(prompt)
        return "open sesame"

    monkeypatch.setattr("pyinfra.connectors.util.getpass", getpass)
    channel = held(connected("@local"), {"_sudo": True})
    assert channel is not None
    assert len(asked) == 1
    channel[0].close()
    channel[1].read()


@pytest.mark.usefixtures("sudo")
def test_a_wrong_password_is_an_error_with_sudos_words() -> None:
    with pytest.raises(
        DeployError, match="could not be found out, and nothing was changed: sudo: no password was provided"
    ):
        held(connected("@local", _sudo_password="wrong"), {"_sudo": True})
