"""Common mistakes with pyinfra end in one clear message. Each is made with the real pyinfra."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hearth.cli.inventory_check import find_invocation_error, group_names
from hearth.runtime.command_line import CommandLine
from tests.pyinfra.program import run_python
from tests.support.shipped import PROJECT

# A pyinfra from another environment than Hearth's: it lacks a package.
WITHOUT = (
    "import sys; sys.modules['pydantic'] = None; sys.argv[0] = 'pyinfra'; from pyinfra_cli.main import main; main()"
)


def pyinfra(*words: str, directory: Path = PROJECT, program: tuple[str, ...] = ("-m", "pyinfra")) -> str:
    """Run pyinfra with a mistake: it fails without a traceback. Return its output."""
    done = run_python(directory, *program, *words)
    output = done.stdout + done.stderr
    assert done.returncode == 1, output
    assert "Traceback" not in output
    assert "nothing was changed" in output
    return output


@pytest.fixture(name="checkout")
def _checkout(tmp_path: Path) -> Path:
    """A checkout with inventories and settings that the test may change."""
    for name in ("config.py", "deploy.py"):
        shutil.copy(PROJECT / name, tmp_path)
    for name in ("hearth", "inventory", "group_data"):
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("files", "lab"):
        (tmp_path / name).symlink_to(PROJECT / name)
    return tmp_path


def test_a_directory_instead_of_an_inventory() -> None:
    output = pyinfra("inventory/", "deploy.py", "--dry")
    assert "inventory/ is a directory, not an inventory file" in output
    assert "inventory/pi.py" in output


def test_a_missing_inventory() -> None:
    output = pyinfra("inventory/pie.py", "deploy.py", "-y")
    assert "there is no inventory file inventory/pie.py" in output
    assert "did you mean inventory/pi.py?" in output


def test_an_unknown_host() -> None:
    output = pyinfra("raspberrypi.invalid", "deploy.py", "-y")
    assert "raspberrypi.invalid is neither an inventory file nor a known host" in output
    assert "inventory/pi.py" in output


def test_an_inventory_name_without_its_directory() -> None:
    assert "proxmox.py; did you mean inventory/proxmox.py?" not in pyinfra("proxmox.py", "deploy.py", "-y")
    assert "did you mean inventory/proxmox.py?" in pyinfra("proxmox", "deploy.py", "-y")


@pytest.mark.parametrize("words", [("deploy.py", "-y"), ("deploy.py", "--dry"), ("debug-inventory",)])
def test_a_limit_that_matches_nothing(words: tuple[str, ...]) -> None:
    """pyinfra itself would do nothing and report success."""
    output = pyinfra("inventory/pi.py", *words, "--limit", "192.168.1.189", "--limit", "192.168.1.198")
    assert "--limit 192.168.1.198 matches no host" in output
    assert "inventory/pi.py has the hosts 192.168.1.189 and the groups all and pi" in output


def test_an_exclude_that_leaves_nothing() -> None:
    assert "--exclude pi leaves no host" in pyinfra("inventory/pi.py", "deploy.py", "-y", "--exclude", "pi")


def test_settings_for_an_unknown_group(checkout: Path) -> None:
    (checkout / "group_data" / "proxmoks.py").write_text('chat_title = "Cellar"\n')
    output = pyinfra("inventory/pi.py", "deploy.py", "-y", directory=checkout)
    assert "group_data/proxmoks.py has settings for the group proxmoks, but no inventory has that group" in output
    assert "did you mean proxmox.py?" in output


@pytest.mark.parametrize(
    "file", ["deploy.py", *(f"deploys/{name}.py" for name in ("backup", "restore", "rollback", "uninstall"))]
)
def test_another_directory_than_the_checkout(tmp_path: Path, file: str) -> None:
    output = pyinfra("@local", str(PROJECT / file), "-y", directory=tmp_path)
    assert f"pyinfra was started in {tmp_path}" in output
    assert f"`cd {PROJECT}` first" in output


def test_another_directory_works_with_chdir(tmp_path: Path) -> None:
    output = pyinfra("inventory/pi.py", "deploy.py", "--chdir", str(PROJECT), "--limit", "nosuch", directory=tmp_path)
    assert "--limit nosuch matches no host" in output


def test_missing_settings(checkout: Path) -> None:
    """An inventory with some settings, without the directory of the others."""
    shutil.rmtree(checkout / "group_data")
    output = pyinfra("@local", "deploy.py", "--dry", "--data", "proxy_port=86", directory=checkout)
    assert "almost no settings: group_data/all.py was not found" in output


def test_a_pyinfra_from_another_environment() -> None:
    output = pyinfra("inventory/pi.py", "deploy.py", "-y", program=("-c", WITHOUT))
    assert "lacks the Python packages pydantic" in output
    assert "make setup" in output


# --- Rules ----------------------------------------------------------------------------------------


def groups_of(path: Path, text: str) -> set[str] | None:
    path.write_text(text)
    return group_names(path)


def test_groups_are_found_in_the_text_of_an_inventory(tmp_path: Path) -> None:
    file = tmp_path / "home.py"
    text = "from x import cellar\npi = ['a']\nif pi:\n    attic: list[str] = []\n"
    assert groups_of(file, text) == {"home", "cellar", "pi", "attic"}
    for unclear in ("globals()['pi'] = []", "from x import *", "pi = ["):
        assert groups_of(file, unclear) is None


def none() -> None:
    return None


def test_valid_invocations_are_accepted(tmp_path: Path) -> None:
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
    # A connector may add groups that are in no file.
    (tmp_path / "home.py").write_text("pi = ['@terraform']\n")
    assert find_invocation_error(CommandLine("home.py"), tmp_path, none) == ""


def test_patterns_match_like_pyinfras(tmp_path: Path) -> None:
    (tmp_path / "home.py").write_text("pi = []\n")
    hosts = {"all": ["a1", "a2", "b1"], "pi": ["a1", "b1"]}

    def mistake(limit: tuple[str, ...], exclude: tuple[str, ...] = ()) -> str:
        return find_invocation_error(CommandLine("home.py", limit=limit, exclude=exclude), tmp_path, lambda: hosts)

    assert [mistake(limit) for limit in [("a*",), ("pi",), ("[a]1",), ("a1", "b1")]] == [""] * 4
    assert mistake(("a*",), ("b*",)) == mistake((), ("a*",)) == ""
    assert "--limit c* matches no host" in mistake(("a1", "c*"))
    assert "--exclude c1 matches no host" in mistake((), ("c1",))
    assert "leaves no host" in mistake(("a1",), ("pi",))
