"""Passwords and keys on a host, put there by a real pyinfra: only as hashes, and seen nowhere on the way."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from hearth.access.operations import put_script, read_installed_script
from hearth.paths import HTTPD_GROUP
from lab import shell
from tests.pyinfra.shell import check_syntax
from tests.support.shipped import PROJECT

ANNA, BEN = "the-password-of-anna", "the-password-of-ben"
KEY, NEW_KEY = "nb-4f0c86d1a2b37e5f9c08", "nb-00a1f7d3c5e98b2460ff"
DEPLOY = """
from pyinfra import host, state
from hearth.access.deploy import access
from hearth.cli.session import load_all_settings, root_arguments
root_arguments()
access(settings=load_all_settings(state.inventory)[host.name])
"""


def test_scripts_are_good_shell() -> None:
    for script in (read_installed_script(), put_script(True), put_script(False)):
        check_syntax(script)


class Place:
    """A machine's /opt, and what people keep on the machine that deploys."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.opt = directory / "opt"
        self.opt.mkdir()
        (directory / "deploy.py").write_text(DEPLOY)
        self.said = ""
        self.seen = ""

    def keep(self, name: str, secret: str) -> dict[str, str]:
        path = self.directory / name
        path.touch(0o600)
        path.write_text(f"{secret}\n")
        return {"file": str(path)}

    def deploy(self, *options: str, **values: Any) -> tuple[int, str]:
        """Run pyinfra as loudly as it can, with `/opt` in place of the machine's; exit code and output."""
        inventory = self.directory / "inventory.py"
        inventory.write_text(f"hosts = [('@local', {values!r})]\n")
        run = [str(Path(sys.executable).parent / "pyinfra"), *(options or ("-y",)), "-vvv", "--diff", "--debug-all"]
        script = 'mount --bind "$1" /opt; shift; exec "$@"'
        words = ["unshare", "--mount", "sh", "-c", script, "sh", str(self.opt), *run]
        stop = threading.Event()
        looking = threading.Thread(target=self._look_at_processes, args=(stop,))
        looking.start()
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
            looking.join()
        self.said += done.stdout + done.stderr
        return done.returncode, done.stdout + done.stderr

    def _look_at_processes(self, stop: threading.Event) -> None:
        lines: set[str] = set()
        while not stop.wait(0.03):
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    lines.add(process.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:  # it has ended meanwhile
                    continue
        self.seen += "\n".join(lines)

    def as_root(self, *words: str) -> str:
        return subprocess.run([*shell.sudo(), *words], capture_output=True, text=True, check=True).stdout

    def file(self, name: str) -> str:
        return self.as_root("cat", str(self.opt / "hearth/secrets/httpd" / name))

    def rights(self) -> dict[str, str]:
        found = self.as_root("find", str(self.opt / "hearth"), "-printf", "%P %m %U %G\\n")
        return dict(line.split(" ", 1) for line in found.splitlines())


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    if os.geteuid() and not shell.sudo():
        pytest.skip("needs root or sudo, for an /opt of its own")
    one = Place(tmp_path)
    yield one
    one.as_root("rm", "-rf", str(one.opt / "hearth"))


def changed(run: tuple[int, str]) -> int:
    code, said = run
    assert code == 0, said
    return said.count("[@local] Success")


def test_from_nothing_to_a_rotation_and_no_secret_is_seen(place: Place) -> None:
    # Long enough that looking at processes sees it on a busy machine, too.
    slow = ["sh", "-c", 'cat "$0" && sleep 0.5', place.keep("ben", BEN)["file"]]
    people = {"anna": place.keep("anna", ANNA), "ben": {"command": slow}}
    values: dict[str, Any] = {
        "proxy_access": "users or api_keys",
        "proxy_users": people,
        "proxy_api_keys": {"notebook": place.keep("notebook", KEY)},
    }
    assert changed(place.deploy(**values)) == 1
    group = str(HTTPD_GROUP)
    right = {
        "secrets": "700 0 0",
        "secrets/httpd": f"750 0 {group}",
        "secrets/httpd/people": f"640 0 {group}",
        "secrets/httpd/programs.conf": f"640 0 {group}",
    }
    assert right.items() <= place.rights().items()
    assert set(place.rights()) == {"", *right, ".reload-httpd"}
    hashes = dict(line.split(":") for line in place.file("people").splitlines())
    assert {
        name: bcrypt.checkpw(word.encode(), hashes[name].encode()) for name, word in (("anna", ANNA), ("ben", BEN))
    } == {
        "anna": True,
        "ben": True,
    }
    before = place.file("people"), place.file("programs.conf")

    place.as_root("rm", str(place.opt / "hearth/.reload-httpd"))
    assert changed(place.deploy(**values)) == 0, "the second time nothing is to do"
    assert before == (place.file("people"), place.file("programs.conf"))
    assert ".reload-httpd" not in place.rights()

    place.keep("anna", "another-password")
    assert changed(place.deploy(**values)) == 1
    assert "anna has another password; httpd sees it at once" in place.said
    assert place.file("people").splitlines()[1] == before[0].splitlines()[1], "ben's hash stays"
    assert ".reload-httpd" not in place.rights(), "a password needs no reload"

    place.keep("notebook", NEW_KEY)
    assert changed(place.deploy(**values)) == 1
    assert ".reload-httpd" in place.rights()
    assert place.file("programs.conf") != before[1]

    place.as_root("chmod", "0644", str(place.opt / "hearth/secrets/httpd/people"))
    assert changed(place.deploy(**values)) == 1
    assert "has another owner or mode" in place.said
    assert right.items() <= place.rights().items()

    values |= {"proxy_access": "users", "proxy_api_keys": {}, "proxy_users": {"anna": people["anna"]}}
    assert changed(place.deploy(**values)) == 1
    assert place.file("programs.conf") == ""
    assert [line.partition(":")[0] for line in place.file("people").splitlines()] == ["anna"]

    found = re.findall(r"\$2y\$10\$\S+|'[0-9a-f]{32,}'", before[0] + before[1] + place.file("people"))
    assert len(found) > 4
    assert "pyinfra" in place.seen
    assert 'sh -c cat "$0" && sleep 0.5' in place.seen
    assert "command -v sudo" in place.said, "it is loud enough to tell what other commands are"
    for secret in (ANNA, BEN, KEY, NEW_KEY, "another-password", *(one.strip("'") for one in found)):
        assert secret not in place.said
        assert secret not in place.seen


def test_looking_changes_nothing_and_says_who_is_new(place: Place) -> None:
    values = {"proxy_access": "users", "proxy_users": {"anna": place.keep("anna", ANNA)}}
    place.deploy("--dry", **values)
    assert "anna is new; httpd sees it at once" in place.said
    assert not (place.opt / "hearth").exists()
    assert ANNA not in place.said


def test_what_can_not_be_had_ends_the_run_before_anything_is_done(place: Place) -> None:
    values = {
        "proxy_access": "users or api_keys",
        "proxy_users": {"anna": {"file": str(place.directory / "nothing")}, "ben": place.keep("ben", "short")},
        "proxy_api_keys": {"notebook": {"command": ["sh", "-c", f"echo {KEY}; exit 7"]}},
    }
    assert place.deploy(**values)[0] != 0
    assert "these passwords and keys can't be had, and nothing was changed:" in place.said
    assert "@local: proxy_users[anna]: the file " in place.said
    assert "@local: proxy_users[ben]: the file " in place.said
    assert "@local: proxy_api_keys[notebook]: the command " in place.said
    assert "Traceback" not in place.said
    assert not (place.opt / "hearth").exists()


def test_a_run_that_was_cut_is_finished_by_the_next(place: Place) -> None:
    values = {"proxy_access": "users", "proxy_users": {"anna": place.keep("anna", ANNA)}}
    assert changed(place.deploy(**values)) == 1
    secrets = place.opt / "hearth/secrets"
    place.as_root("mkdir", str(secrets / ".incoming"))
    place.as_root("sh", "-c", f"echo half >{secrets}/.incoming/people; rm {secrets}/httpd/people")
    assert changed(place.deploy(**values)) == 1
    assert place.file("people").startswith("anna:$2y$10$")
    assert not any(".incoming" in path for path in place.rights())
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
