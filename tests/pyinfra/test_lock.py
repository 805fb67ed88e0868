"""The deploy lock: taken once, refused with a message, released when its run ends."""

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
    """Start the program that holds a lock, as on a host."""
    running: list[subprocess.Popen[str]] = []

    def start(who: str = "anna@laptop", files: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        words = ["bash", "-c", SCRIPT.read_text(), "hearth-lock", str(tmp_path / "lock"), who, "90", *files]
        program = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        running.append(program)
        return program

    yield start
    for program in running:
        program.kill()
        program.communicate()


def first_line(program: subprocess.Popen[str]) -> str:
    assert program.stdout is not None
    return program.stdout.readline().strip()


def end(program: subprocess.Popen[str]) -> None:
    """Do what closing an ssh connection does to a program on the host."""
    assert program.stdin is not None
    program.stdin.close()
    assert program.wait(10) == 0


def test_second_run_learns_who_holds_the_lock(start: Start) -> None:
    assert first_line(start("anna@laptop (since 2026-01-31 12:03 UTC)")) == "taken"
    second = start("ben@desk (since 2026-01-31 12:05 UTC)")
    assert first_line(second) == "held anna@laptop (since 2026-01-31 12:03 UTC)"
    assert second.wait(10) == 0
    assert first_line(start()) == "held anna@laptop (since 2026-01-31 12:03 UTC)", (
        "the second run did not overwrite the holder"
    )


def test_lock_is_released_when_the_connection_closes(start: Start, tmp_path: Path) -> None:
    first = start()
    assert first_line(first) == "taken"
    end(first)
    assert (tmp_path / "lock").read_text() == ""
    assert first_line(start("ben@desk")) == "taken"


def test_lock_is_released_when_its_holder_is_killed(start: Start) -> None:
    first = start()
    assert first_line(first) == "taken"
    first.kill()
    first.wait(10)
    assert first_line(start("ben@desk")) == "taken"


def test_files_are_removed_with_the_lock(start: Start, tmp_path: Path) -> None:
    (tmp_path / "an askpass file").touch()
    first = start(files=(str(tmp_path / "an askpass file"), str(tmp_path / "none")))
    assert first_line(first) == "taken"
    assert first_line(start(files=(str(tmp_path / "an askpass file"),))).startswith("held")
    assert (tmp_path / "an askpass file").exists(), "not by the run that was refused"
    end(first)
    assert not (tmp_path / "an askpass file").exists()


def test_lock_file_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    words = ["bash", "-c", SCRIPT.read_text(), "hearth-lock", str(tmp_path / "not" / "there"), "anna", "90"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stdout == ""
    assert "not/there" in done.stderr


def test_holder_has_utc_time() -> None:
    noon = datetime(2026, 1, 31, 14, 3, tzinfo=timezone(timedelta(hours=2)))
    assert format_holder("anna", "laptop", noon) == "anna@laptop (since 2026-01-31 12:03 UTC)"
    assert format_holder("anna", "laptop", noon.astimezone(UTC)) == "anna@laptop (since 2026-01-31 12:03 UTC)"


@pytest.mark.parametrize(
    ("who", "expected"), [("anna@laptop (since …)", "by anna@laptop (since …);"), ("", "another run")]
)
def test_refusal_names_the_fix(who: str, expected: str) -> None:
    sentence = format_refusal("pi.local", who)
    assert sentence.startswith("pi.local is being deployed to")
    assert expected in sentence
    assert "deploy again" in sentence


# --- with pyinfra ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "is_dry"),
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
def test_dry_runs_are_detected(arguments: list[str], is_dry: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyinfra, "is_cli", True)
    monkeypatch.setattr(sys, "argv", ["pyinfra", *arguments])
    assert is_dry_run() is is_dry


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
    assert held(first, {}) is channel, "a run does not block itself"
    with pytest.raises(DeployError, match=r"@local is being deployed to by .+@.+ \(since 2.* UTC\); nothing was"):
        held(connected("@local"), {})
    channel[0].close()
    assert channel[1].read() == b"", "the program has exited"
    second = held(connected("@local"), {})
    assert second is not None
    second[0].close()
    second[1].read()


def test_a_lock_that_is_out_of_reach_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "DEPLOY_LOCK", str(tmp_path / "not" / "there"))
    with pytest.raises(DeployError, match=r"could not take the deploy lock, nothing was changed: .*not/there"):
        held(connected("@local"), {})
