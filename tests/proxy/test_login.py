"""A German host whose sudo needs a password and whose login shells print: real sshd, sudo and shells."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import artefacts
from lab.progress import Stages
from tests.proxy.login_host import PASSWORD, SHELLS, LoginHost, write_script
from tests.support.proxy_rules.behaviour import wait_until
from tests.support.terminal import CONFIRM, PROMPT, pyinfra, pyinfra_in_terminal

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="a separate host needs root")

PROBE = str(Path(__file__).with_name("login_deploy.py"))
NOISE = "Willkommen! @@clock 99"
# Shell → a file that it reads when sshd starts it, and lines that print before and after every command.
START_UP = {
    "dash": (".profile", ()),  # dash reads no file here
    "bash": (".bashrc", (f"echo '{NOISE}'; echo 'echo warns' >&2; set -x", "trap 'echo Goodbye' EXIT")),
    "zsh": (".zshenv", (f"echo '{NOISE}'; echo 'echo warns' >&2", "zshexit() { echo Goodbye }")),
    "fish": (
        ".config/fish/config.fish",
        (f"echo '{NOISE}'; echo 'echo warns' >&2", "function bye --on-event fish_exit; echo Goodbye; end"),
    ),
    "tcsh": (".tcshrc", (f"echo '{NOISE}'", "printf 'no newline'")),
}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoginHost]:
    with Stages() as stages:
        parts = artefacts.build(("login",), stages)
    with LoginHost(parts["login"] / "root", tmp_path_factory.mktemp("login")) as one:
        assert "Ein Passwort ist notwendig" in one.execute("env LC_ALL=de_DE.UTF-8 su bash -c 'sudo -n true'").output
        german = one.execute("env LC_ALL=de_DE.UTF-8 apt-get -s install no-such-package").output
        assert "kann nicht gefunden werden" in german
        for user, (name, lines) in START_UP.items():
            path = f"/home/{user}/{name}"
            done = one.execute(f"mkdir -p {path.rpartition('/')[0]}; {write_script(path, *lines)}; chmod -R a+rX /home")
            assert done.code == 0, done.output
        yield one


def leftovers(host: LoginHost) -> str:
    return host.execute("ls -A /tmp | grep pyinfra").output


@pytest.mark.parametrize("shell", SHELLS)
def test_any_login_shell_that_prints(host: LoginHost, shell: str) -> None:
    run = pyinfra("-y", host.inventory(shell, _sudo_password=PASSWORD), PROBE)
    assert run.returncode == 0, run.stdout + run.stderr
    found = json.loads(run.stdout.splitlines()[0])
    holder = found.pop("holder")
    assert holder.startswith("held ")
    assert "(since 2" in holder
    assert found == {
        "streamed": True,
        "text": True,
        "failed": True,
        "errors": ["cat: /nowhere: No such file or directory", "said this"],
        "locale": ["C.UTF-8-"],
        "apt": "E: Unable to locate package no-such-package",
        "system": "debian",
    }
    assert leftovers(host) == ""


def test_password_is_prompted_for_in_german(host: LoginHost) -> None:
    code, shown = pyinfra_in_terminal(host.inventory("bash"), "deploy.py", "--dry", answers=[(PROMPT, PASSWORD)])
    assert code == 1, shown
    assert shown.count(PROMPT) == 1
    assert "would be changed: Docker | Configure the engine" in shown
    assert NOISE not in shown
    assert leftovers(host) == ""


def test_wrong_password_can_be_corrected(host: LoginHost) -> None:
    answers = [(PROMPT, "wrong"), (PROMPT, PASSWORD)]
    code, shown = pyinfra_in_terminal(host.inventory("bash"), "deploy.py", "--dry", answers=answers)
    assert code == 1, shown
    assert shown.count(PROMPT) == 2
    assert "would be changed: Docker" in shown


def test_password_without_a_terminal_is_one_error(host: LoginHost) -> None:
    run = pyinfra(host.inventory("bash"), "deploy.py", "--dry")
    assert run.returncode == 2
    assert "anmeldung: sudo needs a password, and there is no terminal to prompt for it; nothing" in run.stderr
    assert "Traceback" not in run.stderr


def test_wrong_password_in_the_inventory_is_one_error(host: LoginHost) -> None:
    run = pyinfra("-y", host.inventory("bash", _sudo_password="wrong"), "deploy.py")
    assert run.returncode == 2
    assert "does not accept the given password (_sudo_password), nothing was changed: sudo: " in run.stderr
    assert "Traceback" not in run.stderr
    assert leftovers(host) == ""


def test_login_shell_that_exits_is_one_error(host: LoginHost) -> None:
    host.execute("useradd --create-home --shell /bin/bash exiting")
    host.execute(write_script("/home/exiting/.bashrc", "echo Tschüss", "exit 0"))
    run = pyinfra("-y", host.inventory("exiting"), "deploy.py")
    assert run.returncode == 2
    assert "anmeldung: its login shell did not run Hearth's first command, nothing was changed" in run.stderr
    assert "Traceback" not in run.stderr


def test_the_doctor_reads_a_host_that_prints(host: LoginHost) -> None:
    """Its login has sudo without a password, and everything that it prints could be a section of the doctor's facts."""
    host.execute("useradd --create-home --groups sudo --shell /bin/bash sections")
    host.execute(write_script("/home/sections/.bashrc", "echo @@complaints; echo @@kills; echo nonsense"))
    host.execute("echo 'sections ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/sections")
    run = pyinfra("--json", host.inventory("sections"), "fact", "hearth.stack.health_facts.Symptoms")
    assert run.returncode == 0, run.stderr
    (facts,) = json.loads(run.stdout).values()
    assert facts["anmeldung"]["access"] is True
    assert facts["anmeldung"]["deployed"] is False


def test_without_the_locale(host: LoginHost) -> None:
    """A host without C.UTF-8 falls back to C, not to its own language."""
    assert host.execute("mv /usr/lib/locale/C.utf8 /usr/lib/locale/away; LC_ALL=C.UTF-8 bash -c :").output != ""
    try:
        run = pyinfra("-y", host.inventory("bash", _sudo_password=PASSWORD), PROBE)
    finally:
        host.execute("mv /usr/lib/locale/away /usr/lib/locale/C.utf8")
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout.splitlines()[0])["errors"][0] == "cat: /nowhere: No such file or directory"


def test_interrupted_run_leaves_no_file(host: LoginHost) -> None:
    code, shown = pyinfra_in_terminal(
        host.inventory("bash"), "deploy.py", answers=[(PROMPT, PASSWORD)], stop_at=CONFIRM
    )
    assert code == 130, shown
    assert leftovers(host) == ""


def test_killed_run_leaves_no_file(host: LoginHost) -> None:
    code, shown = pyinfra_in_terminal(
        host.inventory("bash"), "deploy.py", answers=[(PROMPT, PASSWORD)], kill_at=CONFIRM
    )
    assert code == -9, shown
    wait_until(lambda: leftovers(host) == "", 30)  # by the lock's program on the host
