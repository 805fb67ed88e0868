"""Names that others choose (disks, programs, directories), with whatever they contain: real ones, on this machine."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from hearth.host.ports import Listener
from hearth.models.disk import ModelDisk
from hearth.paths import DAEMON_JSON, DOCKER_DIR
from hearth.preflight.facts import HostFacts, HostFactsState
from tests.pyinfra.confined import missing_privileges

# As a share of a Windows server may be called, and made to look like the fields of df.
SOURCE = "//nas/My Share 1 2 3 4% /x"
SIZE = 64 * 2**20
NAMED = """
import ctypes, socket, sys
ctypes.CDLL(None).prctl(15, sys.argv[1].encode())
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
"""


def inspect(
    setup: str, paths: tuple[str, ...] = (DOCKER_DIR,), models_dir: str = "", **moved: str | Path
) -> HostFactsState:
    """The facts of this machine, in a mount namespace of their own.

    Args:
        setup: shell that runs in it first.
        moved: for a keyword: the file or directory that takes the place of one on a host.
    """
    places = {"daemon": DAEMON_JSON, "fstab": "/etc/fstab", "home": "/home/"}
    command = HostFacts().command(paths, models_dir)
    for name, path in moved.items():
        assert places[name] in command
        command = command.replace(places[name], str(path))
    script = f"{setup}\nsh -c {shlex.quote(command)}"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-ec", script], capture_output=True, text=True, check=True, timeout=60
    )
    return HostFacts().process(done.stdout.splitlines())


@pytest.fixture(autouse=True)
def _possible() -> None:
    if why := missing_privileges():
        pytest.skip(why)


@pytest.mark.parametrize("name", ["my disk", "Größe 1 2 3 4% ", r"back\slash", 'a "quote"', "tab\there", "@@disk"])
def test_disk_is_measured_whatever_its_name(tmp_path: Path, name: str) -> None:
    disk, daemon, fstab = tmp_path / name, tmp_path / "daemon.json", tmp_path / "fstab"
    disk.mkdir()
    models = tmp_path / "models"
    models.symlink_to(disk)
    daemon.write_text(json.dumps({"data-root": str(disk)}, ensure_ascii=False))
    escaped = str(disk).replace("\\", r"\134").replace(" ", r"\040").replace("\t", r"\011")
    fstab.write_text(f"# disks\n{SOURCE.replace(' ', chr(92) + '040')} {escaped} tmpfs defaults 0 0\n")
    mount = f"mount -t tmpfs -o size={SIZE} {shlex.quote(SOURCE)} {shlex.quote(str(disk))}"
    paths = (DOCKER_DIR, str(models)) if name.isprintable() and not set(name) & set('"\\') else (str(models),)
    found = inspect(mount, paths, str(models), daemon=daemon, fstab=fstab)
    shown = str(disk).replace("\t", "?").rstrip()
    assert found.free_bytes == dict.fromkeys(paths, SIZE)
    assert found.file_system == dict.fromkeys(paths, shown)
    assert found.not_mounted == ()
    assert found.models_disk == ModelDisk(str(models), "", SOURCE, str(disk))
    assert found.models_file_system == "tmpfs"
    assert inspect("true", paths, str(models), daemon=daemon, fstab=fstab).not_mounted == (str(disk),)


@pytest.mark.parametrize(
    "name", ["my server", 'say "hi"', 'a",pid=1', "x:y LISTEN", "@@containers", "a\nb c d e:f", "a\nLISTEN"]
)
def test_listener_is_found_whatever_its_program_is_called(name: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", NAMED, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout
        port = int(program.stdout.readline())
        found = next(one for one in inspect("true").listeners if one.port == port)
        program.communicate("")
    if "\n" in name or '",' in name:  # not told apart from the fields around it
        assert found.address == "127.0.0.1"
    else:
        assert found == Listener("127.0.0.1", port, name, program.pid)


def test_models_in_a_home_with_spaces_are_found(tmp_path: Path) -> None:
    """And other files are not models: macOS leaves .DS_Store everywhere."""
    manifests = tmp_path / "DOMAIN anna 100%s/.ollama/models/manifests"
    model = manifests / "registry.ollama.ai/library/llama3.2/1b"
    model.parent.mkdir(parents=True)
    for file in (model, manifests / ".DS_Store", manifests / "registry.ollama.ai/.DS_Store", model.with_name("1b (2)")):
        file.touch()
    found = inspect("true", home=f"{tmp_path}/").existing_services.stores
    assert found[str(tmp_path / "DOMAIN anna 100%s/.ollama")] == ("llama3.2:1b",)


def test_other_files_are_not_models(tmp_path: Path) -> None:
    manifests = tmp_path / "models/manifests"
    model = manifests / "hf.co/someone/model/Q4"
    model.parent.mkdir(parents=True)
    for file in (model, manifests / ".DS_Store", model.with_name(".DS_Store"), manifests / "hf.co/notes.txt"):
        file.touch()
    assert inspect("true", (str(tmp_path),), str(tmp_path)).models == {"hf.co/someone/model:Q4"}
