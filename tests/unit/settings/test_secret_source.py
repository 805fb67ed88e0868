"""Secrets are read from their source once, and no message contains one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from hearth.settings import secret_source
from hearth.settings.secret_source import Source, SourceError, read_secret

SECRET = "hunter2-and-more"


@pytest.fixture(autouse=True)
def _empty_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_source, "_read", {})


def read(**source: Any) -> str:
    return read_secret(Source.model_validate(source)).get_secret_value()


def refusal(**source: Any) -> str:
    with pytest.raises(SourceError) as caught:
        read(**source)
    assert SECRET not in str(caught.value)
    # Not in a traceback either.
    assert SECRET not in repr(caught.value.__context__)
    return str(caught.value)


def private(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_an_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARTH_ANNA", f"{SECRET} ä")
    assert read(env="HEARTH_ANNA") == f"{SECRET} ä"


def test_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = private(tmp_path / "anna", f"{SECRET}\n".encode())
    assert read(file=str(path)) == f"{SECRET}\n"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read(file="~/anna") == f"{SECRET}\n"


def test_a_command_is_run_without_a_shell() -> None:
    assert read(command=["printf", "%s", f"{SECRET} $HOME; *"]) == f"{SECRET} $HOME; *"


def test_a_source_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "count"
    source = {"command": ["sh", "-c", f"echo x >>{path}; echo {SECRET}"]}
    assert [read(**source) for _ in range(3)] == [f"{SECRET}\n"] * 3
    assert path.read_text() == "x\n"


def test_a_secret_has_no_readable_representation() -> None:
    secret = read_secret(Source(command=("echo", SECRET)))
    assert SECRET not in f"{secret} {secret!r} {list(secret_source._read.values())}"


def test_an_unreadable_source_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEARTH_NOBODY", raising=False)
    assert refusal(env="HEARTH_NOBODY").startswith("the environment variable HEARTH_NOBODY is not set on this machine")
    assert refusal(file="/no/such/file") == (
        "could not read the file /no/such/file on this machine: No such file or directory"
    )
    assert "could not read the file /etc" in refusal(file="/etc")
    assert refusal(command=["no-such-program"]) == (
        "could not run the command `no-such-program`: No such file or directory"
    )


def test_a_world_readable_file_is_rejected(tmp_path: Path) -> None:
    path = private(tmp_path / "anna", SECRET.encode(), 0o644)
    assert refusal(file=str(path)) == f"the file {path} is world-readable; run `chmod 600` on it"


@pytest.mark.parametrize("content", [b"", b"\n", b" \n\n"])
def test_an_empty_secret_is_rejected(tmp_path: Path, content: bytes) -> None:
    assert "the value is empty" in refusal(file=str(private(tmp_path / "anna", content)))


@pytest.mark.parametrize("content", [b"\xff\xfe" + SECRET.encode(), SECRET.encode() + b"\0"])
def test_a_binary_secret_is_rejected(tmp_path: Path, content: bytes) -> None:
    assert "the value is not UTF-8 text" in refusal(file=str(private(tmp_path / "anna", content)))


def test_the_output_of_a_failing_command_is_not_shown(capfd: pytest.CaptureFixture[str]) -> None:
    script = "import os; print(os.environ['X']); print(os.environ['X'], file=__import__('sys').stderr); exit(3)"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("X", SECRET)
        message = refusal(command=[sys.executable, "-c", script])
    assert "exited with 3; its output is hidden" in message
    assert SECRET not in "".join(capfd.readouterr())


def test_a_command_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_source, "COMMAND_TIMEOUT", 0.2)
    # Even if a child process keeps the output open.
    assert refusal(command=["sh", "-c", "sleep 5 & echo x; sleep 5"]).endswith("timed out after 0.2 s")


def test_a_command_can_not_prompt_on_standard_input() -> None:
    assert "the value is empty" in refusal(command=["cat"])
