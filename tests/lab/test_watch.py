"""`hearth watch`: a drifted host is repaired, a message about it arrives, and systemd runs the timer's service."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hearth.watch.schedule import Job, systemd_service, systemd_timer
from tests.lab.machine import INVENTORY, ROOT, on_guest, wait_until
from tests.support.ntfy import Ntfy, serving_ntfy

pytestmark = pytest.mark.scenario


@pytest.fixture
def ntfy() -> Iterator[Ntfy]:
    with serving_ntfy() as server:
        yield server


def watch(directory: Path, ntfy: Ntfy, *options: str) -> subprocess.CompletedProcess[str]:
    """One check, with its own state."""
    urls = directory / "notify"
    urls.write_text(ntfy.url)
    urls.chmod(0o600)
    words = ["watch", INVENTORY, "--once", "--notify", f"file:{urls}", *options]
    done = subprocess.run(
        [sys.executable, "-m", "hearth.cli.command", *words],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(Path.home()), "XDG_STATE_HOME": str(directory)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    print(f"\n{done.stdout}{done.stderr}")
    return done


@pytest.mark.usefixtures("deployed")
def test_a_drifted_host_is_reported_repaired_and_reported_again(tmp_path: Path, ntfy: Ntfy) -> None:
    on_guest("sudo docker stop hearth-httpd")
    assert watch(tmp_path, ntfy).returncode == 1
    [drifted] = ntfy.messages
    assert drifted["title"].endswith(" has drifted")
    assert "hearth-httpd has exited" in drifted["message"]
    assert f"To repair: hearth deploy {INVENTORY}" in drifted["message"]

    assert watch(tmp_path, ntfy, "--repair").returncode == 0
    assert ntfy.messages[1]["title"].endswith(" had drifted and was repaired")
    assert on_guest("sudo docker inspect -f '{{.State.Running}}' hearth-httpd") == "true"

    checked = watch(tmp_path, ntfy, "--repair")
    assert checked.returncode == 0
    assert "in sync" in checked.stdout


@pytest.mark.long
@pytest.mark.usefixtures("deployed")
def test_an_unreachable_host_is_reported_once(tmp_path: Path, ntfy: Ntfy) -> None:
    on_guest("sudo systemctl stop ssh.socket ssh.service 2>/dev/null; true")
    for _ in range(2):
        assert watch(tmp_path, ntfy).returncode == 2
    [lost] = ntfy.messages
    assert lost["title"].endswith(" could not be checked")


@pytest.mark.long
@pytest.mark.usefixtures("deployed")
def test_systemd_runs_the_service_with_the_words_of_the_command() -> None:
    odd = "a \"b\" \\ $HOME 100% 'c'"
    job = Job("inventory/pi.py", ["/usr/bin/tee", "-a", f"/tmp/{odd}"], Path("/tmp"), 4, 30)
    for kind, text in {"service": systemd_service(job), "timer": systemd_timer(job)}.items():
        unit = f"~/.config/systemd/user/{job.name}.{kind}"
        on_guest(f"mkdir -p ~/.config/systemd/user; cat > {unit} <<'END'\n{text}END\n")
    on_guest("sudo loginctl enable-linger pi")
    user = "XDG_RUNTIME_DIR=/run/user/$(id -u) systemctl --user"
    wait_until(lambda: "running" in on_guest(f"{user} is-system-running", check=False), 60, "the user's systemd")
    on_guest(f"{user} daemon-reload && {user} enable --now {job.name}.timer && {user} start {job.name}.service")
    assert odd in on_guest("ls /tmp").splitlines()
    assert f"{job.name}.timer" in on_guest(f"{user} list-timers --all")
