"""The command `hearth`: what it accepts, what it runs, its help, its completion, and what its exit codes mean."""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from hearth.cli.command import cli, drift_words, pyinfra_words
from hearth.cli.pyinfra_main import INTERRUPTED, exit_code
from hearth.drift.__main__ import make_parser
from hearth.drift.verdict import Verdict
from tests.support.shipped import PROJECT

COMMANDS = (
    *("deploy", "bundle", "drift", "usage", "watch", "verify", "rollback", "backup", "restore", "uninstall", "doctor"),
    "completion",
)
SAME, DIFFERS, UNKNOWN = Verdict("same"), Verdict("differs"), Verdict("unknown")


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words), prog_name="hearth")


# --- Help -----------------------------------------------------------------------------------------


def test_the_help_lists_every_command_and_the_exit_codes() -> None:
    help_ = run("--help").output
    assert re.findall(r"(?m)^  (\w+) {2,}[A-Z]", help_.partition("Commands:")[2]) == list(COMMANDS)
    assert "Exit codes:" in help_
    assert "..." not in help_.partition("Commands:")[2]


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "completion"])
def test_each_help_has_examples_and_exit_codes(name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    help_ = result.output.lower()
    assert "exit codes" in help_
    assert f"\n  hearth {name} " in help_.replace("\n    ", "\n  ")


def test_the_commands_have_the_version_of_the_project() -> None:
    assert re.fullmatch(rf"hearth \d+\.\d+\.\d+ in {PROJECT}\n", run("--version").output)
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert run("--version").output.split()[1] == project["version"]


# --- Wrong usage ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("deploi",), "No such command 'deploi'"),
        (("deploy",), "Missing argument 'INVENTORY'"),
        (("deploy", "inventory/pi.py", "--nosuch"), "No such option"),
        (("deploy", "inventory/pi.py", "more.py", "-y"), "Got unexpected extra argument (more.py)"),
        (("deploy", "inventory/pi.py", "--data", "chat_title"), "'chat_title' is not NAME=VALUE"),
        (("deploy", "inventory/pi.py"), "Add --yes or --dry-run"),
        (("backup", "inventory/pi.py", "--to", "pyproject.toml"), "is a file"),
        (("restore", "inventory/pi.py"), "Missing option '--from'"),
        (("restore", "inventory/pi.py", "--from", "backups/nosuch.tar"), "does not exist"),
        (("drift", "inventory/pi.py", "--parallel", "0"), "0 is not in the range"),
        (("completion", "tcsh"), "'tcsh' is not one of 'bash', 'zsh', 'fish'"),
    ],
)
def test_wrong_usage_is_refused_with_2(monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str) -> None:
    monkeypatch.chdir(PROJECT)
    result = run(*words)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_the_doctor_refuses_a_wrong_address_with_2() -> None:
    result = run("doctor", "ftp://pi.local", "--no-prompt")
    assert result.exit_code == 2
    assert "pi.local" in result.output


# --- What is run ----------------------------------------------------------------------------------


def test_options_become_those_of_pyinfra() -> None:
    assert pyinfra_words("@local", "deploy.py") == ["@local", "deploy.py"]
    assert pyinfra_words(
        "@local",
        "deploy.py",
        yes=True,
        dry_run=True,
        limit=["pi", "a"],
        exclude=["b"],
        data=["proxy_port=86"],
        verbose=2,
        pyinfra_options=["--parallel", "2"],
    ) == [
        *("@local", "deploy.py", "-y", "--dry", "--limit", "pi", "--limit", "a", "--exclude", "b"),
        *("--data", "proxy_port=86", "-vv", "--parallel", "2"),
    ]


def test_an_inventory_of_the_current_directory_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert pyinfra_words("inventory/pi.py", "deploy.py")[0] == "inventory/pi.py"  # of the checkout
    (tmp_path / "inventory").mkdir()
    (tmp_path / "inventory/pi.py").touch()
    assert pyinfra_words("inventory/pi.py", "deploy.py")[0] == str(tmp_path / "inventory/pi.py")
    monkeypatch.chdir(PROJECT / "inventory")
    assert pyinfra_words("pi.py", "deploy.py")[0] == "inventory/pi.py"


def options_of(command: click.Command) -> set[str]:
    return {name for one in command.params if isinstance(one, click.Option) for name in one.opts}


def test_drift_has_the_options_of_its_module() -> None:
    """Every one of them, and with the same meaning."""
    parser = make_parser()
    assert options_of(cli.commands["drift"]) == set(re.findall(r"(?m)^  (--[a-z]+)", parser.format_help()))
    options = {"limit": ("a", "b"), "data": ("x=1",), "json": True, "quiet": True, "timeout": 9.0, "parallel": 2}
    options["bundle"] = "house.hearth"
    expected = argparse.Namespace(inventory="@local", limit=["a", "b"], data=["x=1"], json=True, quiet=True)
    expected.timeout, expected.parallel, expected.bundle = 9.0, 2, "house.hearth"
    assert parser.parse_args(drift_words("@local", options)) == expected
    nothing = {
        "limit": (),
        "data": (),
        "json": False,
        "quiet": False,
        "timeout": None,
        "parallel": None,
        "bundle": None,
    }
    assert drift_words("@local", nothing) == ["@local"]


# --- Exit codes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "began", "preview", "expected"),
    [
        (0, True, None, 0),
        (1, True, None, 1),
        (1, False, None, 2),  # refused, not ready, unreachable
        (0, False, None, 1),  # declined
        (0, False, [SAME, SAME], 0),
        (0, False, [SAME, DIFFERS], 1),
        (0, False, [UNKNOWN, DIFFERS], 2),
        (2, False, None, 2),
        (INTERRUPTED, True, None, 130),
        (INTERRUPTED, False, None, 130),
    ],
)
def test_exit_codes(code: int, began: bool, preview: list[Verdict] | None, expected: int) -> None:
    assert exit_code(code, began=began, preview=preview) == expected


# --- Completion -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_code_for_a_shell_calls_hearth(shell: str) -> None:
    result = run("completion", shell)
    assert result.exit_code == 0
    assert f"_HEARTH_COMPLETE={shell}_complete" in result.output


def complete(line: str, directory: Path, scripts: Path) -> set[str]:
    """What a real bash offers at the end of a line, after the documented line of its start-up file."""
    hearth = scripts / "hearth"
    hearth.write_text(f'#!/bin/sh\nexec {sys.executable} -m hearth.cli.command "$@"\n')
    hearth.chmod(0o755)
    words = line.split(" ")
    script = f"""
eval "$(hearth completion bash)"
COMP_WORDS=({" ".join(f"'{word}'" for word in words)}) COMP_CWORD={len(words) - 1}
_hearth_completion hearth "${{COMP_WORDS[-1]}}" "" && printf '%s\\n' "${{COMPREPLY[@]}}"
complete -p hearth >&2
"""
    environment = os.environ | {"PATH": f"{scripts}:{os.environ['PATH']}", "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "_hearth_completion hearth" in done.stderr
    return set(done.stdout.split())


def test_bash_completes_commands_options_and_files(tmp_path: Path) -> None:
    assert complete("hearth d", PROJECT, tmp_path) == {"deploy", "drift", "doctor"}
    assert complete("hearth deploy --d", PROJECT, tmp_path) == {"--data", "--dry-run", "--dry"}
    assert complete("hearth doctor --i", PROJECT, tmp_path) == {"--inventory", "--inside-timeout"}
    assert complete("hearth completion f", PROJECT, tmp_path) == {"fish"}
    # Bash itself completes the file, with `compopt -o default`, which needs a terminal.
    assert complete("hearth deploy inv", PROJECT, tmp_path) == set()


def test_interrupted_is_what_shells_make_of_ctrl_c() -> None:
    assert INTERRUPTED == 128 + signal.SIGINT == 130
