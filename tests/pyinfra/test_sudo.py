"""sudo's password is prompted for by exit code, whatever sudo says. `tests/proxy/test_login.py` has a real sudo."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import Config, DeployError, Inventory, State
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.state import StateStage
from pyinfra.context import ctx_host, ctx_state

from hearth.cli.session import find_login
from hearth.runtime import lock, sudo
from hearth.runtime.lock import acquire_deploy_lock
from hearth.runtime.sudo import settle_sudo_password

SUDO = """#!/bin/sh
# A sudo that requires the password "open sesame", and then runs the command.
for word in "$1" "$2" "$3"; do
  [ "$word" != -n ] || { echo "sudo: Ein Passwort ist notwendig" >&2; exit 1; }
done
[ "$($SUDO_ASKPASS)" = "open sesame" ] || { echo "sudo: Es wurde kein Passwort angegeben" >&2; exit 1; }
while [ "$1" != sh ]; do shift; done
exec "$@"
"""
Connect = Callable[..., State]


@pytest.fixture
def connected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """Connects to this machine, whose sudo is the one above; its files are gone after the test."""
    monkeypatch.setattr(lock, "DEPLOY_LOCK", str(tmp_path / "lock"))
    (tmp_path / "sudo").write_text(SUDO)
    (tmp_path / "sudo").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(sudo, "_has_terminal", lambda: True)
    (tmp_path / "temporary").mkdir()
    states = []

    def connect(**data: Any) -> State:
        config = Config(TEMP_DIR=str(tmp_path / "temporary"))  # type: ignore[no-untyped-call]
        state = State(inventory=Inventory((["@local"], data)), config=config)  # type: ignore[no-untyped-call]
        state.set_stage(StateStage.Connect)
        connect_all(state)
        state.set_stage(StateStage.Prepare)
        states.append(state)
        return state

    yield connect
    for state in states:
        disconnect_all(state)
    assert not list((tmp_path / "temporary").iterdir())


def settle(state: State, then: Callable[..., None] = lambda _root: None) -> Any:
    """What a run does with this machine first; the machine as pyinfra's host."""
    one = next(iter(state.inventory))
    with ctx_state.use(state), ctx_host.use(one):
        settle_sudo_password({"_sudo": True}, find_login().sudo_is_free)
        then({"_sudo": True})
    return one


def typed(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    """Answers to the prompts; the prompts so far."""
    prompts: list[str] = []
    left = list(answers)

    def getpass(prompt: str) -> str:
        prompts.append(prompt)
        return left.pop(0)

    monkeypatch.setattr(sudo, "getpass", getpass)
    return prompts


def test_password_from_the_inventory(connected: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = typed(monkeypatch)
    host = settle(connected(_sudo_password="open sesame"), acquire_deploy_lock)
    assert not prompts
    host.connector_data["hearth_lock"][0].close()
    host.connector_data["hearth_lock"][1].read()


def test_password_from_a_prompt_is_used_for_the_lock(connected: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = typed(monkeypatch, "open sesame")
    host = settle(connected(), acquire_deploy_lock)
    assert len(prompts) == 1
    assert prompts[0].endswith("sudo password: ")
    host.connector_data["hearth_lock"][0].close()
    host.connector_data["hearth_lock"][1].read()


def test_mistyped_password_is_prompted_for_again(connected: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = typed(monkeypatch, "open barley", "open sesame")
    settle(connected())
    assert len(prompts) == 2


def test_three_wrong_passwords_are_an_error_with_sudos_words(
    connected: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, "a", "b", "c")
    with pytest.raises(
        DeployError, match=r"nothing was changed: sudo: Es wurde kein Passwort angegeben\. `sudo -v` on"
    ):
        settle(connected())


def test_wrong_password_in_the_inventory_is_an_error(connected: Connect) -> None:
    with pytest.raises(DeployError, match=r"\(_sudo_password\), nothing was changed: sudo: Es wurde kein"):
        settle(connected(_sudo_password="wrong"))


def test_no_answer_is_an_error(connected: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    def getpass(_prompt: str) -> str:
        raise EOFError  # Ctrl-D

    monkeypatch.setattr(sudo, "getpass", getpass)
    with pytest.raises(DeployError, match="no password for sudo was entered; nothing was changed"):
        settle(connected())


def test_no_terminal_is_an_error(connected: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sudo, "_has_terminal", lambda: False)
    with pytest.raises(DeployError, match="there is no terminal to prompt for it; nothing was changed"):
        settle(connected())


def test_sudo_without_a_password_is_not_prompted_for(
    connected: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sudo").write_text("#!/bin/sh\nexit 0\n")
    prompts = typed(monkeypatch)
    settle(connected())
    assert not prompts
