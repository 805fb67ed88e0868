"""Known passwords, keys and their hashes are searched for everywhere, and only found in their files."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hearth.paths import ROOT, SECRETS
from tests.acceptance.api import basic, bearer, call
from tests.lab.files_with import files_with
from tests.lab.machine import INVENTORY, PYINFRA, deploy, on_guest, pyinfra, url
from tests.lab.machine import ROOT as PROJECT

pytestmark = [pytest.mark.long, pytest.mark.scenario, pytest.mark.usefixtures("deployed")]

ANNA, BEN = "the-password-of-anna", "the-password-of-ben"
KEY, NEW_KEY = "nb-4f0c86d1a2b37e5f9c08", "nb-00a1f7d3c5e98b2460ff"
SECRET = (ANNA, BEN, KEY, NEW_KEY, basic("anna", ANNA)["Authorization"].split()[1])
# Processes on the guest during deploys, recorded twice per second by the guest itself.
WATCH = (
    "sudo systemd-run --quiet --collect --unit watch sh -c "
    "'while :; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null; echo; sleep 0.5; done >/var/tmp/processes'"
)


@dataclass
class Deployed:
    """Settings with secrets, and the output of the most verbose deploys with them."""

    directory: Path
    settings: tuple[str, ...]
    output: str = ""

    def write(self, name: str, secret: str) -> None:
        path = self.directory / name
        path.touch(0o600)
        path.write_text(f"{secret}\n")

    def verbosely(self, *options: str) -> int:
        words = [word for item in self.settings for word in ("--data", item)]
        done = subprocess.run(
            [PYINFRA, "-y", "-vvv", "--diff", "--debug-all", *options, *words, INVENTORY, "deploy.py"],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )
        self.output += done.stdout + done.stderr
        return done.returncode


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Deployed]:
    def source(name: str) -> dict[str, list[str] | str]:
        path = str(tmp_path / name)
        return {"command": ["cat", path]} if name == "ben" else {"file": path}

    one = Deployed(
        tmp_path,
        (
            'proxy_access="users or api_keys"',
            f"proxy_users={json.dumps({name: source(name) for name in ('anna', 'ben')})}",
            f"proxy_api_keys={json.dumps({'notebook': source('notebook')})}",
        ),
    )
    for name, secret in (("anna", ANNA), ("ben", BEN), ("notebook", KEY)):
        one.write(name, secret)
    on_guest(WATCH)
    assert one.verbosely() == 0, one.output[-3000:]
    yield one
    on_guest("sudo systemctl stop watch", check=False)


def hashes() -> list[str]:
    """Hashes of passwords and keys on the guest."""
    text = on_guest(f"sudo cat {SECRETS}/httpd/people {SECRETS}/httpd/programs.conf")
    found = re.findall(r"\$2y\$\S+", text) + re.findall(r"'([0-9a-f]{32,})'", text)
    assert len(found) >= 4, text
    return list(dict.fromkeys(found))


def test_secrets_are_stored_nowhere_and_hashes_only_in_their_files(host: Deployed) -> None:
    before = hashes()
    host.write("notebook", NEW_KEY)
    assert host.verbosely() == 0, host.output[-3000:]
    every = list(dict.fromkeys([*before, *hashes()]))
    for headers in (basic("anna", ANNA), basic("anna", "wrong"), bearer(NEW_KEY)):
        call(url(), "GET", "/api/tags", headers=headers)
    dry = deploy(*host.settings)
    assert (dry.code, dry.changed) == (0, ()), dry.output

    # pyinfra's output, which is verbose enough to contain all it knows.
    assert "docker compose" in host.output
    for word in (*SECRET, *every):
        assert word not in host.output
        assert word not in dry.output

    # All files on the guest: logs of containers and of the system, temporary files, recorded processes.
    assert on_guest("grep -c hearth-httpd /var/tmp/processes") != "0", "processes were recorded"
    on_guest("sudo systemctl stop watch")
    assert files_with(*SECRET, *every) == [f"{SECRETS}/httpd/people", f"{SECRETS}/httpd/programs.conf"]
    kept = on_guest(f"sudo cat {SECRETS}/httpd/people {SECRETS}/httpd/programs.conf")
    assert not [word for word in SECRET if word in kept]

    # The output of Docker.
    docker = on_guest(
        "sudo docker inspect hearth-httpd hearth-ollama; sudo docker logs hearth-httpd 2>&1; "
        "sudo docker logs hearth-ollama 2>&1; sudo docker compose -f /opt/hearth/compose.yaml config; "
        "sudo journalctl --boot --no-pager",
        timeout=600,
    )
    assert "hearth-httpd" in docker
    for word in (*SECRET, *every):
        assert word not in docker


def test_only_root_and_httpd_can_read_the_credentials(host: Deployed) -> None:  # noqa: ARG001
    modes = on_guest(f"sudo find {SECRETS} -printf '/%P %m %u %G\\n' | sort").splitlines()
    files = ["/httpd/people 640 root 33", "/httpd/programs.conf 640 root 33"]
    assert modes == ["/ 700 root 0", "/httpd 750 root 33", *files]
    for user in ("pi", "www-data", "nobody"):
        output = on_guest(f"sudo -u {user} cat {SECRETS}/httpd/people 2>&1", check=False)
        assert "Permission denied" in output, user
    inside = "sudo docker exec {user} hearth-httpd cat /usr/local/apache2/conf/secrets/people 2>&1"
    assert on_guest(inside.format(user="--user www-data")).startswith("anna:$2y$10$")
    assert "Permission denied" in on_guest(inside.format(user="--user nobody"), check=False)
    assert "Read-only file system" in on_guest(
        "sudo docker exec --user root hearth-httpd touch /usr/local/apache2/conf/secrets/x 2>&1", check=False
    )
    assert "No such file" in on_guest("sudo docker exec hearth-ollama ls /usr/local/apache2 2>&1", check=False)


def test_changed_credential_files_are_repaired(host: Deployed) -> None:
    on_guest(
        f"sudo chmod -R a+rX {SECRETS}; "
        f"echo 'eve:$2y$10$'$(printf x%.0s $(seq 53)) | sudo tee -a {SECRETS}/httpd/people; "
        f"sudo rm {SECRETS}/httpd/programs.conf"
    )
    run = deploy(*host.settings)
    assert run.code == 0, run.output
    assert "eve loses access" in run.output
    assert on_guest(f"sudo stat -c %a {SECRETS} {SECRETS}/httpd {SECRETS}/httpd/people").split() == [
        "700",
        "750",
        "640",
    ]
    assert call(url(), "GET", "/api/tags", headers=bearer(KEY)).status == 200
    quiet = deploy(*host.settings)
    assert (quiet.code, quiet.changed) == (0, ()), quiet.output


def test_backup_contains_no_secrets_and_uninstall_removes_them(host: Deployed, tmp_path: Path) -> None:
    every = hashes()
    run = pyinfra("deploys/backup.py", f"x_backup_to={tmp_path / 'backups'}", *host.settings)
    assert run.code == 0, run.output
    assert "secrets: not included" in run.output
    (path,) = (tmp_path / "backups").iterdir()
    content = path.read_bytes()
    assert b"proxy_users" in content, "the settings contain their sources"
    for word in (*SECRET, *every):
        assert word.encode() not in content
    removed = pyinfra("deploys/uninstall.py", *host.settings)
    assert removed.code == 0, removed.output
    assert on_guest(f"sudo ls -d {ROOT}", check=False) == ""
    back = pyinfra("deploys/restore.py", f"x_restore_from={path}")
    assert back.code == 0, back.output
    assert call(url(), "GET", "/api/tags").status == 401
    assert call(url(), "GET", "/api/tags", headers=basic("ben", BEN)).status == 200
