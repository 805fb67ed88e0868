"""Credentials on a host, installed by the real pyinfra: as hashes where possible, and visible nowhere on the way."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import bcrypt
import pytest

from hearth.access.operations import read_installed_script, receive_script
from hearth.paths import HTTPD_GROUP
from lab import shell
from tests.pyinfra.shell import check_syntax
from tests.support.shipped import PROJECT

# Of this run alone: the watcher sees every process of the machine, and other tests have their secrets on command lines.
RUN = token_hex(8)
ANNA, BEN, NEW_ANNA = (f"{RUN}-password-of-{name}" for name in ("anna", "ben", "new-anna"))
KEY, NEW_KEY = f"nb-old-{RUN}", f"nb-new-{RUN}"
PROVIDER_KEY, NEW_PROVIDER_KEY = f"sk-proj-old-{RUN}", f"sk-proj-new-{RUN}"
DEPLOY = """
from pyinfra import host, state
from hearth.access.deploy import access
from hearth.cli.session import find_login, load_all_settings, root_arguments
root_arguments(find_login())
access(settings=load_all_settings(state.inventory)[host.name])
"""


def test_scripts_are_valid_shell() -> None:
    for script in (read_installed_script(), receive_script(True), receive_script(False)):
        check_syntax(script)


class Machine:
    """A machine's /opt, and the users' files on the machine that deploys."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.opt = directory / "opt"
        self.opt.mkdir()
        (directory / "deploy.py").write_text(DEPLOY)
        self.output = ""
        self.processes = ""

    def keep(self, name: str, secret: str) -> dict[str, str]:
        path = self.directory / name
        path.touch(0o600)
        path.write_text(f"{secret}\n")
        return {"file": str(path)}

    def deploy(self, *options: str, **values: Any) -> tuple[int, str]:
        """Run pyinfra as verbosely as possible, with another `/opt` than the machine's; exit code and output."""
        inventory = self.directory / "inventory.py"
        inventory.write_text(f"hosts = [('@local', {values!r})]\n")
        run = [str(Path(sys.executable).parent / "pyinfra"), *(options or ("-y",)), "-vvv", "--diff", "--debug-all"]
        script = 'mount --bind "$1" /opt; shift; exec "$@"'
        words = ["unshare", "--mount", "sh", "-c", script, "sh", str(self.opt), *run]
        stop = threading.Event()
        watcher = threading.Thread(target=self._watch_processes, args=(stop,))
        watcher.start()
        try:
            done = subprocess.run(
                [*shell.sudo(), *words, str(inventory), str(self.directory / "deploy.py")],
                cwd=PROJECT,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        finally:
            stop.set()
            watcher.join()
        self.output += done.stdout + done.stderr
        return done.returncode, done.stdout + done.stderr

    def _watch_processes(self, stop: threading.Event) -> None:
        lines: set[str] = set()
        while not stop.wait(0.03):
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    lines.add(process.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:  # it has exited meanwhile
                    continue
        self.processes += "\n".join(lines)

    def as_root(self, *words: str) -> str:
        return subprocess.run([*shell.sudo(), *words], capture_output=True, text=True, check=True).stdout

    def file(self, name: str) -> str:
        return self.as_root("cat", str(self.opt / "hearth/secrets/httpd" / name))

    def rights(self) -> dict[str, str]:
        found = self.as_root("find", str(self.opt / "hearth"), "-printf", "%P %m %U %G\\n")
        return dict(line.split(" ", 1) for line in found.splitlines())


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    if os.geteuid() and not shell.sudo():
        pytest.skip("needs root or sudo, to mount another /opt")
    one = Machine(tmp_path)
    yield one
    one.as_root("rm", "-rf", str(one.opt / "hearth"))


def changed(run: tuple[int, str]) -> int:
    code, said = run
    assert code == 0, said
    return said.count("[@local] Success")


def test_from_first_install_to_rotation_no_secret_is_visible(machine: Machine) -> None:
    # Long enough for the process watcher on a busy machine, too.
    slow = ["sh", "-c", 'cat "$0" && sleep 0.5', machine.keep("ben", BEN)["file"]]
    people = {"anna": machine.keep("anna", ANNA), "ben": {"command": slow}}
    values: dict[str, Any] = {
        "proxy_access": "users or api_keys",
        "proxy_users": people,
        "proxy_api_keys": {"notebook": machine.keep("notebook", KEY)},
    }
    assert changed(machine.deploy(**values)) == 1
    group = str(HTTPD_GROUP)
    right = {
        "secrets": "700 0 0",
        "secrets/httpd": f"750 0 {group}",
        "secrets/httpd/people": f"640 0 {group}",
        "secrets/httpd/programs.conf": f"640 0 {group}",
    }
    assert right.items() <= machine.rights().items()
    assert set(machine.rights()) == {"", *right, ".reload-httpd"}
    hashes = dict(line.split(":") for line in machine.file("people").splitlines())
    assert {
        name: bcrypt.checkpw(word.encode(), hashes[name].encode()) for name, word in (("anna", ANNA), ("ben", BEN))
    } == {
        "anna": True,
        "ben": True,
    }
    before = machine.file("people"), machine.file("programs.conf")

    machine.as_root("rm", str(machine.opt / "hearth/.reload-httpd"))
    assert changed(machine.deploy(**values)) == 0, "a second run changes nothing"
    assert before == (machine.file("people"), machine.file("programs.conf"))
    assert ".reload-httpd" not in machine.rights()

    machine.keep("anna", NEW_ANNA)
    assert changed(machine.deploy(**values)) == 1
    assert "anna has a new password; httpd applies it at once" in machine.output
    assert machine.file("people").splitlines()[1] == before[0].splitlines()[1], "ben's hash stays"
    assert ".reload-httpd" not in machine.rights(), "a password needs no reload"

    machine.keep("notebook", NEW_KEY)
    assert changed(machine.deploy(**values)) == 1
    assert ".reload-httpd" in machine.rights()
    assert machine.file("programs.conf") != before[1]

    machine.as_root("chmod", "0644", str(machine.opt / "hearth/secrets/httpd/people"))
    assert changed(machine.deploy(**values)) == 1
    assert "has the wrong owner or mode" in machine.output
    assert right.items() <= machine.rights().items()

    machine.as_root("rm", str(machine.opt / "hearth/.reload-httpd"))
    provider = {"url": "https://api.openai.com/v1", "key": machine.keep("openai", PROVIDER_KEY)}
    values |= {"proxy_providers": {"openai": provider}}
    right |= {"secrets/httpd/providers.conf": f"640 0 {group}"}
    assert changed(machine.deploy(**values)) == 1
    assert "the provider openai is new; httpd reloads gracefully, nothing is cut" in machine.output
    assert set(machine.rights()) == {"", *right, ".reload-httpd"}
    assert right.items() <= machine.rights().items()
    assert f'"Bearer {PROVIDER_KEY}"' in machine.file("providers.conf")
    machine.as_root("rm", str(machine.opt / "hearth/.reload-httpd"))
    assert changed(machine.deploy(**values)) == 0
    machine.keep("openai", NEW_PROVIDER_KEY)
    machine.deploy("--dry", **values)
    assert "the provider openai has a new key or address; httpd reloads gracefully" in machine.output
    assert PROVIDER_KEY in machine.file("providers.conf")
    assert changed(machine.deploy(**values)) == 1
    assert f'"Bearer {NEW_PROVIDER_KEY}"' in machine.file("providers.conf")
    assert ".reload-httpd" in machine.rights()

    values |= {"proxy_access": "users", "proxy_api_keys": {}, "proxy_users": {"anna": people["anna"]}}
    values |= {"proxy_providers": {}}
    assert changed(machine.deploy(**values)) == 1
    assert machine.file("providers.conf") == ""
    assert machine.file("programs.conf") == ""
    assert [line.partition(":")[0] for line in machine.file("people").splitlines()] == ["anna"]

    found = re.findall(r"\$2y\$10\$\S+|'[0-9a-f]{32,}'", before[0] + before[1] + machine.file("people"))
    assert len(found) > 4
    assert "pyinfra" in machine.processes
    assert 'sh -c cat "$0" && sleep 0.5' in machine.processes
    assert "command -v sudo" in machine.output, "verbose enough to show other commands"
    for secret in (
        ANNA,
        BEN,
        KEY,
        NEW_KEY,
        PROVIDER_KEY,
        NEW_PROVIDER_KEY,
        NEW_ANNA,
        *(one.strip("'") for one in found),
    ):
        assert secret not in machine.output
        assert secret not in machine.processes


def test_a_dry_run_changes_nothing_and_reports_new_users(machine: Machine) -> None:
    values = {"proxy_access": "users", "proxy_users": {"anna": machine.keep("anna", ANNA)}}
    machine.deploy("--dry", **values)
    assert "anna is new; httpd applies it at once" in machine.output
    assert not (machine.opt / "hearth").exists()
    assert ANNA not in machine.output


def test_unreadable_credentials_end_the_run_before_any_change(machine: Machine) -> None:
    values = {
        "proxy_access": "users or api_keys",
        "proxy_users": {"anna": {"file": str(machine.directory / "nothing")}, "ben": machine.keep("ben", "short")},
        "proxy_api_keys": {"notebook": {"command": ["sh", "-c", f"echo {KEY}; exit 7"]}},
    }
    assert machine.deploy(**values)[0] != 0
    assert "could not read these credentials, nothing was changed:" in machine.output
    assert "@local: proxy_users[anna]: could not read the file " in machine.output
    assert "@local: proxy_users[ben]: the file " in machine.output
    assert "@local: proxy_api_keys[notebook]: the command " in machine.output
    assert "Traceback" not in machine.output
    assert not (machine.opt / "hearth").exists()


def test_the_next_run_completes_an_interrupted_one(machine: Machine) -> None:
    values = {"proxy_access": "users", "proxy_users": {"anna": machine.keep("anna", ANNA)}}
    assert changed(machine.deploy(**values)) == 1
    secrets = machine.opt / "hearth/secrets"
    machine.as_root("mkdir", str(secrets / ".incoming"))
    machine.as_root("sh", "-c", f"echo half >{secrets}/.incoming/people; rm {secrets}/httpd/people")
    assert changed(machine.deploy(**values)) == 1
    assert machine.file("people").startswith("anna:$2y$10$")
    assert not any(".incoming" in path for path in machine.rights())
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
