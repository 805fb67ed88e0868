"""`hearth deploy` and `hearth drift` with the real pyinfra: their messages and exit codes, from any directory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.shipped import PROJECT

# An address of this machine's own, where nobody listens on port 1.
UNREACHABLE = ("127.0.0.9", "--data", "ssh_port=1", "--data", "ssh_known_hosts_file=/dev/null")


def hearth(*words: str, directory: Path = PROJECT) -> tuple[int, str]:
    """Exit code and output of the command, started in that directory."""
    done = subprocess.run(
        [sys.executable, "-B", "-m", "hearth.cli.command", *words],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    output = done.stdout + done.stderr
    assert "Traceback" not in output
    return done.returncode, output


def test_an_invalid_setting_is_2(tmp_path: Path) -> None:
    code, output = hearth("deploy", "@local", "--dry-run", "--data", "proxy_port=0", directory=tmp_path)
    assert code == 2, output
    assert "@local: proxy_port = 0: Input should be greater than or equal to 1" in output


def test_a_missing_inventory_is_2(tmp_path: Path) -> None:
    code, output = hearth("deploy", "inventory/pie.py", "--yes", directory=tmp_path)
    assert code == 2
    assert "did you mean inventory/pi.py?" in output


def test_an_option_that_pyinfra_does_not_have_is_2() -> None:
    code, output = hearth("deploy", "@local", "--dry-run", "--", "--nosuch")
    assert code == 2
    assert "No such option '--nosuch'" in output


def test_an_inventory_is_found_in_the_current_directory_and_in_the_checkout(tmp_path: Path) -> None:
    (tmp_path / "home.py").write_text("home = ['a.invalid']\n")
    for inventory, hosts in (("home.py", "a.invalid"), ("inventory/pi.py", "192.168.1.189")):
        code, output = hearth("deploy", inventory, "--dry-run", "--limit", "nosuch", directory=tmp_path)
        assert code == 2
        assert f"has the hosts {hosts}" in output


@pytest.mark.parametrize("words", [("deploy", "--yes"), ("deploy", "--dry-run"), ("drift",)])
def test_a_host_that_can_not_be_reached_is_2(words: tuple[str, ...]) -> None:
    code, output = hearth(*words, *UNREACHABLE)
    assert code == 2
    assert "Could not connect" in output


def test_a_relative_directory_for_backups_is_the_callers(tmp_path: Path) -> None:
    """pyinfra runs in the checkout."""
    code, output = hearth("restore", "inventory/pi.py", "--from", "mine", "--yes", directory=tmp_path)
    assert (code, "'mine' does not exist" in output) == (2, True)
    (tmp_path / "mine").mkdir()
    code, output = hearth("restore", "@local", "--from", "mine", "--yes", directory=tmp_path)
    assert code == 2
    assert f"there is no backup of @local in {tmp_path / 'mine'}" in output


# --- The exit codes of runs that change something, with deploy files of our own ---------------------


def run(file: Path, *options: str, answer: str = "") -> int:
    """Exit code of a run of pyinfra on this machine."""
    return subprocess.run(
        [sys.executable, "-B", "-m", "hearth.cli.pyinfra_main", "@local", file.name, *options],
        cwd=file.parent,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        input=answer,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    ).returncode


@pytest.fixture(name="deploy_file")
def _deploy_file(tmp_path: Path) -> Path:
    """Puts a file, which is there after the first run."""
    file = tmp_path / "deploy_file.py"
    file.write_text(
        f"from pyinfra.operations import files\nfiles.file(name='Create it', path='{tmp_path}/made', present=True)\n"
    )
    return file


def test_a_dry_run_tells_whether_something_would_change(deploy_file: Path) -> None:
    assert run(deploy_file, "--dry") == 1
    assert run(deploy_file, "-y") == 0
    assert (deploy_file.parent / "made").exists()
    assert run(deploy_file, "--dry") == 0


def test_to_decline_is_1_and_to_confirm_is_0(deploy_file: Path) -> None:
    assert run(deploy_file, answer="no\n") == 1
    assert not (deploy_file.parent / "made").exists()
    assert run(deploy_file, answer="\n") == 0
    assert (deploy_file.parent / "made").exists()


def test_an_operation_that_fails_is_1(deploy_file: Path) -> None:
    with deploy_file.open("a") as text:
        text.write("from pyinfra.operations import server\nserver.shell(name='Fail', commands=['false'])\n")
    assert run(deploy_file, "-y") == 1


def test_what_can_only_be_unknown_is_2(tmp_path: Path) -> None:
    file = tmp_path / "deploy_file.py"
    file.write_text(
        "from hearth.runtime.explain import explain\nexplain('the engine does not respond', kind='unknown')\n"
    )
    assert run(file, "--dry") == 2


@pytest.mark.parametrize("options", [("-y",), ()])
def test_interrupted_is_130(tmp_path: Path, options: tuple[str, ...]) -> None:
    """While it executes, and while it asks."""
    file = tmp_path / "deploy_file.py"
    file.write_text(
        f"from pyinfra.operations import server\nserver.shell(commands=['touch {tmp_path}/began; sleep 30'])\n"
    )
    said = tmp_path / "said"
    with (
        said.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-B", "-m", "hearth.cli.pyinfra_main", "@local", file.name, *options],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(PROJECT)},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
            # In the background of a script, SIGINT is ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        ) as process,
    ):
        deadline = time.monotonic() + 60
        while not (tmp_path / "began").exists() and "Press enter" not in said.read_text():
            assert time.monotonic() < deadline, said.read_text()
            assert process.poll() is None, said.read_text()
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=60) == 130
    assert "Interrupted." in said.read_text()
