"""Commands between marks, by this machine's shells. `tests/proxy/test_login.py` has a real sshd, and more shells."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyinfra.api import Config
from pyinfra.connectors import local, ssh
from pyinfra.context import ctx_config

from hearth.paths import CHECKOUT
from hearth.runtime import host_shell
from hearth.runtime.host_shell import HostOutput, in_english, install_host_shell, marked_command

TOKEN = "0123456789ab"


def run(command: str, shell: str = "sh", **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run a command as a login shell that prints before and after it."""
    line = f"echo Welcome; echo warns >&2; {marked_command(command, TOKEN, **options)}; c=$?; echo Bye; exit $c"
    return subprocess.run([shell, "-c", line], capture_output=True, timeout=30, env={"PATH": "/usr/bin:/bin"})


def output(content: bytes, sizes: list[int] | None = None) -> HostOutput:
    """What is read of a stream that arrives in pieces of these sizes, then byte by byte."""
    stream = io.BytesIO(content)
    left = iter(sizes or [])
    return HostOutput(None, lambda most: stream.read(min(next(left, 1), most)), TOKEN)


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_only_the_commands_own_output_is_read(shell: str) -> None:
    done = run("printf 'no newline'; echo \"it's wrong\" >&2; exit 7", shell)
    assert done.returncode == 7
    assert done.stdout.startswith(b"Welcome")
    assert output(done.stdout).read() == b"no newline"
    assert output(done.stderr).read() == b"it's wrong\n"


def test_errors_are_not_marked_in_a_terminal() -> None:
    assert run("true", has_errors=False).stderr == b"warns\n"


def test_a_shell_that_shows_its_commands() -> None:
    done = subprocess.run(
        ["bash", "-xc", f"{marked_command('cat /nowhere', TOKEN)}; true"], capture_output=True, timeout=30
    )
    assert output(done.stderr).read() == b"cat: /nowhere: No such file or directory\n"


def test_without_marks_everything_is_read() -> None:
    """A login shell that refuses says why."""
    assert output(b"This account is currently not available.\n").read() == b"This account is currently not available.\n"
    assert output(b"").read() == b""


def test_an_output_that_breaks_off_is_read_so_far() -> None:
    assert output(f"Welcome\nbegin-{TOKEN}half an en".encode()).read() == b"half an en"
    assert output(f"begin-{TOKEN}half an end-{TOKEN[:5]}".encode()).read() == f"half an end-{TOKEN[:5]}".encode()


@given(st.binary(), st.binary(), st.binary(), st.lists(st.integers(1, 40)))
def test_any_bytes_in_any_pieces(before: bytes, content: bytes, after: bytes, sizes: list[int]) -> None:
    stream = before + f"begin-{TOKEN}".encode() + content + f"end-{TOKEN}".encode() + after
    assert output(stream, sizes).read() == content


@settings(deadline=None)  # it starts a shell
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_any_word_reaches_the_command(word: str) -> None:
    import shlex

    assert output(run(f"printf %s {shlex.quote(word)}").stdout).read() == word.encode()


def test_lines_are_read_as_they_arrive() -> None:
    pieces = iter([f"Welcome\nbegin-{TOKEN}taken\n".encode()])
    # Another read would block, as the program that holds the deploy lock prints nothing more.
    assert HostOutput(None, lambda _: next(pieces), TOKEN).readline() == b"taken\n"


def test_commands_run_in_english() -> None:
    done = subprocess.run(
        ["sh", "-c", in_english("echo $LC_ALL-$LANGUAGE")],
        capture_output=True, text=True, env={"LC_ALL": "de_DE.UTF-8", "LANGUAGE": "de"},
    )  # fmt: skip
    assert done.stdout == "C.UTF-8-\n"
    assert output(run("echo $LC_ALL-$LANGUAGE").stdout).read() == b"C.UTF-8-\n"


def test_language_alone_translates_nothing() -> None:
    """With LC_ALL=C.UTF-8 alone, Debian 12 would translate this."""
    line = marked_command("ls /nowhere", TOKEN)
    done = subprocess.run(["sh", "-c", line], capture_output=True, env={"PATH": "/usr/bin:/bin", "LANGUAGE": "de"})
    assert output(done.stderr).read() == b"ls: cannot access '/nowhere': No such file or directory\n"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Config]:
    monkeypatch.setattr(ssh, "SSHClient", ssh.SSHClient)
    monkeypatch.setattr(local, "run_local_process", local.run_local_process)
    with ctx_config.use(Config()):  # type: ignore[no-untyped-call]
        install_host_shell()
        yield ctx_config.get()  # type: ignore[no-untyped-call]


def test_pyinfra_uses_it_for_every_connection(installed: Config) -> None:
    """Fails if pyinfra moves what is replaced."""
    assert ssh.SSHClient is host_shell.HostClient
    assert installed.copy().SHELL == host_shell.SHELL, "deploy files get a copy"
    assert local.run_local_process("echo $LC_ALL")[1].stdout == "C.UTF-8"


@pytest.mark.parametrize(
    "bypass",
    ["FileUploadCommand", "FileDownloadCommand", "put_file", "get_file", "SUDO_PASSWORD_REQUIRED", "open_channel"],
)
def test_nothing_in_hearth_bypasses_it(bypass: str) -> None:
    """SFTP, separate channels, and sudo's messages."""
    found = [
        f"{path.relative_to(CHECKOUT)}: {line.strip()}"
        for path in (CHECKOUT / "hearth").rglob("*.py")
        for line in path.read_text().splitlines()
        if bypass in line
    ]
    assert not found
