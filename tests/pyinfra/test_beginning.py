"""What people get wrong the first time they use pyinfra ends with one sentence. Each is tried with the real pyinfra."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hearth.cli.inventory_check import find_invocation_error, group_names
from hearth.runtime.command_line import CommandLine
from tests.support.shipped import PROJECT

# Of another pyinfra than Hearth's: a package that is not there.
WITHOUT = (
    "import sys; sys.modules['pydantic'] = None; sys.argv[0] = 'pyinfra'; from pyinfra_cli.main import main; main()"
)


def pyinfra(*words: str, directory: Path = PROJECT, program: tuple[str, ...] = ("-m", "pyinfra")) -> str:
    """What pyinfra says to a mistake: a run that fails, and no traceback."""
    done = subprocess.run(
        [sys.executable, "-B", *program, *words],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "Traceback" not in said
    assert "nothing was changed" in said
    return said


@pytest.fixture(name="checkout")
def _checkout(tmp_path: Path) -> Path:
    """A checkout whose inventories and settings are ours to change."""
    for name in ("config.py", "deploy.py"):
        shutil.copy(PROJECT / name, tmp_path)
    for name in ("hearth", "inventory", "group_data"):
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("files", "lab"):
        (tmp_path / name).symlink_to(PROJECT / name)
    return tmp_path


def test_a_directory_is_no_inventory() -> None:
    said = pyinfra("inventory/", "deploy.py", "--dry")
    assert "inventory/ is a directory, not an inventory file" in said
    assert "inventory/pi.py" in said


def test_an_inventory_that_is_not_there() -> None:
    said = pyinfra("inventory/pie.py", "deploy.py", "-y")
    assert "there is no inventory file inventory/pie.py" in said
    assert "did you mean inventory/pi.py?" in said


def test_a_host_that_is_none() -> None:
    said = pyinfra("raspberrypi.invalid", "deploy.py", "-y")
    assert "raspberrypi.invalid is neither an inventory file nor a known host" in said
    assert "inventory/pi.py" in said


def test_the_name_of_an_inventory_without_its_directory() -> None:
    assert "proxmox.py; did you mean inventory/proxmox.py?" not in pyinfra("proxmox.py", "deploy.py", "-y")
    assert "did you mean inventory/proxmox.py?" in pyinfra("proxmox", "deploy.py", "-y")


@pytest.mark.parametrize("words", [("deploy.py", "-y"), ("deploy.py", "--dry"), ("debug-inventory",)])
def test_a_limit_that_matches_nothing(words: tuple[str, ...]) -> None:
    """pyinfra would end with success, having done nothing."""
    said = pyinfra("inventory/pi.py", *words, "--limit", "192.168.1.189", "--limit", "192.168.1.198")
    assert "--limit 192.168.1.198 matches no host" in said
    assert "inventory/pi.py has the hosts 192.168.1.189 and the groups all and pi" in said


def test_an_exclude_that_leaves_nothing() -> None:
    assert "--exclude pi leaves no host" in pyinfra("inventory/pi.py", "deploy.py", "-y", "--exclude", "pi")


def test_settings_for_a_group_that_there_is_not(checkout: Path) -> None:
    (checkout / "group_data" / "proxmoks.py").write_text('chat_title = "Cellar"\n')
    said = pyinfra("inventory/pi.py", "deploy.py", "-y", directory=checkout)
    assert "group_data/proxmoks.py has settings for the group proxmoks, but no inventory has that group" in said
    assert "did you mean proxmox.py?" in said


@pytest.mark.parametrize(
    "file", ["deploy.py", *(f"deploys/{name}.py" for name in ("backup", "restore", "rollback", "uninstall"))]
)
def test_another_directory_than_hearths_own(tmp_path: Path, file: str) -> None:
    said = pyinfra("@local", str(PROJECT / file), "-y", directory=tmp_path)
    assert f"pyinfra was started in {tmp_path}" in said
    assert f"`cd {PROJECT}` first" in said


def test_another_directory_is_right_with_chdir(tmp_path: Path) -> None:
    said = pyinfra("inventory/pi.py", "deploy.py", "--chdir", str(PROJECT), "--limit", "nosuch", directory=tmp_path)
    assert "--limit nosuch matches no host" in said


def test_settings_that_were_not_found(checkout: Path) -> None:
    """An inventory has settings of its own, and what the others are is in a directory that is not there."""
    shutil.rmtree(checkout / "group_data")
    said = pyinfra("@local", "deploy.py", "--dry", "--data", "proxy_port=86", directory=checkout)
    assert "hardly any settings at all: group_data/all.py was not found" in said


def test_another_pyinfra_than_hearths() -> None:
    said = pyinfra("inventory/pi.py", "deploy.py", "-y", program=("-c", WITHOUT))
    assert "lacks the Python packages pydantic" in said
    assert "make setup" in said


# --- Rules ----------------------------------------------------------------------------------------


def groups_of(path: Path, text: str) -> set[str] | None:
    path.write_text(text)
    return group_names(path)


def test_groups_are_read_off_an_inventorys_text(tmp_path: Path) -> None:
    file = tmp_path / "home.py"
    text = "from x import cellar\npi = ['a']\nif pi:\n    attic: list[str] = []\n"
    assert groups_of(file, text) == {"home", "cellar", "pi", "attic"}
    for unclear in ("globals()['pi'] = []", "from x import *", "pi = ["):
        assert groups_of(file, unclear) is None


def none() -> None:
    return None


def test_what_may_be_meant_is_let_through(tmp_path: Path) -> None:
    (tmp_path / "group_data").mkdir()
    for name in ("pi", "all", "_shared", "home"):
        (tmp_path / "group_data" / f"{name}.py").touch()
    (tmp_path / "home.py").write_text("pi = ['a']\n")
    for asked in ("home.py", "a,b", "@local", "@docker/debian"):
        assert find_invocation_error(CommandLine(asked), tmp_path, none) == ""
    assert find_invocation_error(CommandLine("kitchen", data=("ssh_hostname=a.example",)), tmp_path, none) == ""
    assert find_invocation_error(CommandLine("kitchen"), tmp_path, lambda: {"all": ["kitchen"]}) == ""
    (tmp_path / "group_data" / "cellar.py").touch()
    assert "cellar" in find_invocation_error(CommandLine("home.py"), tmp_path, none)
    # A connector may bring groups that no file tells of.
    (tmp_path / "home.py").write_text("pi = ['@terraform']\n")
    assert find_invocation_error(CommandLine("home.py"), tmp_path, none) == ""


def test_patterns_are_those_of_pyinfra(tmp_path: Path) -> None:
    (tmp_path / "home.py").write_text("pi = []\n")
    hosts = {"all": ["a1", "a2", "b1"], "pi": ["a1", "b1"]}

    def mistake(limit: tuple[str, ...], exclude: tuple[str, ...] = ()) -> str:
        return find_invocation_error(CommandLine("home.py", limit=limit, exclude=exclude), tmp_path, lambda: hosts)

    assert [mistake(limit) for limit in [("a*",), ("pi",), ("[a]1",), ("a1", "b1")]] == [""] * 4
    assert mistake(("a*",), ("b*",)) == mistake((), ("a*",)) == ""
    assert "--limit c* matches no host" in mistake(("a1", "c*"))
    assert "--exclude c1 matches no host" in mistake((), ("c1",))
    assert "leaves no host" in mistake(("a1",), ("pi",))
