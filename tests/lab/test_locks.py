"""What blocks a deploy: another deploy, another apt, an interrupted apt, a wrong clock."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from hearth.paths import DEPLOY_LOCK
from tests.lab.machine import INVENTORY, PYINFRA, ROOT, deploy, on_guest, url, wait_until

pytestmark = [pytest.mark.scenario, pytest.mark.usefixtures("deployed")]
INSTALL = "Docker | Install the engine and Compose"
# Holds apt's lock with fcntl, like apt. A fresh Debian has Perl, but no Python.
HOLD_APT = (
    "sudo systemd-run --quiet --expand-environment=no --unit other-apt perl -MFcntl -e "
    '\'open(F, ">>", "/var/lib/dpkg/lock-frontend"); $lock = pack("s s x4 q q i x4", F_WRLCK, 0, 0, 0, 0); '
    "fcntl(F, F_SETLK, $lock) or die; sleep 600'"
)


@pytest.fixture
def prompting() -> Iterator[subprocess.Popen[str]]:
    """A deploy that has inspected the host and waits for confirmation."""
    # The snapshot may have been taken before the previous deploy released the lock.
    wait_until(free, 60, "the lock is free")
    # Without a changed setting there would be no confirmation.
    words = [PYINFRA, "--data", 'chat_title="Other"', INVENTORY, "deploy.py"]
    with subprocess.Popen(
        words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as run:
        wait_until(lambda: on_guest(f"cat {DEPLOY_LOCK}") != "", 120, "the first deploy holds the lock")
        yield run
        run.kill()


def free() -> bool:
    return on_guest(f"cat {DEPLOY_LOCK}") == ""


def test_concurrent_deploy_is_refused_naming_the_first(prompting: subprocess.Popen[str]) -> None:
    run = deploy()
    assert run.code != 0
    assert "is being deployed to by " in run.output, run.output
    assert "(since 20" in run.output
    dry = subprocess.run([PYINFRA, "--dry", INVENTORY, "deploy.py"], cwd=ROOT, capture_output=True, text=True)
    assert dry.returncode == 0, dry.stderr
    prompting.kill()
    wait_until(free, 30, "the lock is free again")
    run = deploy()
    assert (run.code, run.changed) == (0, ()), run.output


@pytest.mark.long
@pytest.mark.usefixtures("deployed", "prompting")  # in this order: the machine is restored first
def test_lock_is_released_if_the_deploying_computer_disappears() -> None:
    """Like a power failure: the host receives nothing more from it, not even the end of the connection."""
    # Ports of ssh connections, without our own.
    ports = on_guest(
        "ss -Htn state established '( sport = :22 )' | awk '{ sub(/.*:/, \"\", $4); print $4 }' | "
        'grep -vx "$(echo "$SSH_CONNECTION" | cut -d \' \' -f 2)"'
    ).split()
    assert len(ports) == 1, ports
    [port] = ports
    on_guest(
        f"sudo iptables -I INPUT -p tcp --sport {port} --dport 22 -j DROP && "
        f"sudo iptables -I OUTPUT -p tcp --dport {port} --sport 22 -j DROP"
    )
    wait_until(free, 150, "the host drops the connection")
    # Otherwise it would run concurrently with the next deploy if the computer had only slept.
    assert on_guest(f"ss -Htn state established '( sport = :22 and dport = :{port} )'") == ""
    run = deploy()
    assert (run.code, run.changed) == (0, ()), run.output


@pytest.mark.long
def test_deploy_waits_for_another_apt_and_names_it() -> None:
    on_guest("sudo dpkg --remove --force-depends docker-compose")
    on_guest(HOLD_APT)
    waited = "until pgrep -f '[a]pt_holder' >/dev/null; do sleep 1; done; sleep 10; sudo systemctl stop other-apt"
    end = threading.Thread(target=on_guest, args=(waited, 600), daemon=True)
    end.start()
    run = deploy()
    end.join(10)
    assert run.code == 0, run.output
    assert "Waiting for apt, which perl (process " in run.output
    assert INSTALL in run.changed
    assert deploy().changed == ()


@pytest.mark.long
def test_waiting_for_another_apt_times_out() -> None:
    on_guest("sudo dpkg --remove --force-depends docker-compose")
    on_guest(HOLD_APT)
    run = deploy("docker_apt_timeout=5")
    assert run.code != 0
    assert "apt is still in use by perl (process" in run.output, run.output
    on_guest("sudo systemctl stop other-apt")
    assert deploy().code == 0
    assert deploy().changed == ()


@pytest.mark.long
def test_interrupted_installation_is_completed() -> None:
    """The package is unpacked and dpkg's journal is left over: apt-get refuses everything in that state."""
    on_guest(
        "sudo dpkg --remove --force-depends docker-compose; cd /tmp && sudo apt-get -qq update && "
        "apt-get -qq download docker-compose && sudo dpkg --unpack docker-compose_*.deb && "
        "sudo cp -p /var/lib/dpkg/status /tmp/status && "
        # dpkg's journal has one entry per change, in the form of the status file.
        "dpkg-query -s docker-compose | sudo tee /var/lib/dpkg/updates/0000 >/dev/null",
        timeout=300,
    )
    assert "dpkg was interrupted" in on_guest("sudo apt-get -y install ca-certificates 2>&1", check=False)
    run = deploy()
    assert run.code == 0, run.output
    assert "Finishing an interrupted installation" in run.output
    assert on_guest("dpkg-query -W -f '${db:Status-Status}' docker-compose") == "installed"
    assert deploy().changed == ()


def test_clock_that_is_off_by_a_year_is_reported() -> None:
    on_guest("sudo timedatectl set-ntp false; sudo date -u -s '1 year ago'")
    run = deploy()
    assert run.code != 0
    assert "the host's clock shows 20" in run.output, run.output
    assert "sudo timedatectl set-ntp true" in run.output
    assert "Traceback" not in run.output
    # From outside, the doctor detects it by the responses' Date header.
    words = [sys.executable, "-m", "hearth.doctor", url(), "--no-prompt", "--timeout", "20"]
    report = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert "clock" in report.stdout, report.stdout + report.stderr
    assert "days behind" in report.stdout, report.stdout
