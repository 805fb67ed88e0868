"""Secrets are read from where the settings say, once, and no message tells one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from hearth.settings import secret_source
from hearth.settings.secret_source import Source, SourceError, read_secret

SECRET = "hunter2-and-more"


@pytest.fixture(autouse=True)
def _nothing_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_source, "_read", {})


def read(**source: Any) -> str:
    return read_secret(Source.model_validate(source)).get_secret_value()


def refusal(**source: Any) -> str:
    with pytest.raises(SourceError) as caught:
        read(**source)
    assert SECRET not in str(caught.value)
    # Not even for those who ask for the whole story.
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


def test_what_was_read_shows_nowhere() -> None:
    secret = read_secret(Source(command=("echo", SECRET)))
    assert SECRET not in f"{secret} {secret!r} {list(secret_source._read.values())}"


def test_what_can_not_be_had_is_told_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEARTH_NOBODY", raising=False)
    assert refusal(env="HEARTH_NOBODY").startswith("the environment variable HEARTH_NOBODY is not set here")
    assert refusal(file="/no/such/file").endswith(
        "can't be read here, on the machine that deploys: No such file or directory"
    )
    assert "the file /etc can't be read" in refusal(file="/etc")
    assert (
        refusal(command=["no-such-program"]) == "the command `no-such-program` can't be run: No such file or directory"
    )


def test_a_file_that_everybody_may_read_is_refused(tmp_path: Path) -> None:
    path = private(tmp_path / "anna", SECRET.encode(), 0o644)
    assert refusal(file=str(path)) == f"the file {path} can be read by everybody on this machine; `chmod 600` it"


@pytest.mark.parametrize("content", [b"", b"\n", b" \n\n"])
def test_nothing_is_no_secret(tmp_path: Path, content: bytes) -> None:
    assert "gives nothing" in refusal(file=str(private(tmp_path / "anna", content)))


@pytest.mark.parametrize("content", [b"\xff\xfe" + SECRET.encode(), SECRET.encode() + b"\0"])
def test_what_is_no_text_is_no_secret(tmp_path: Path, content: bytes) -> None:
    assert "gives no text" in refusal(file=str(private(tmp_path / "anna", content)))


def test_words_of_a_command_that_fails_are_not_shown(capfd: pytest.CaptureFixture[str]) -> None:
    script = "import os; print(os.environ['X']); print(os.environ['X'], file=__import__('sys').stderr); exit(3)"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("X", SECRET)
        message = refusal(command=[sys.executable, "-c", script])
    assert "ended with 3; what it said is not shown" in message
    assert SECRET not in "".join(capfd.readouterr())


def test_a_command_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_source, "PATIENCE", 0.2)
    # One whose own child holds the output open, too.
    assert refusal(command=["sh", "-c", "sleep 5 & echo x; sleep 5"]).endswith("gave nothing for 0.2 s")


def test_a_command_that_asks_on_standard_input_gets_no_answer() -> None:
    assert "gives nothing" in refusal(command=["cat"])
