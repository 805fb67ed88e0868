"""A kernel without the memory cgroup, as on a Raspberry Pi; models that can't fit; a reboot during a run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hearth.boot.memory_cgroup import DISABLE_OPTION
from hearth.stack.containers import TOO_LIMITED, UNLIMITED
from tests.lab.checks import deploy_twice
from tests.lab.machine import ROOT, deploy, on_guest, pyinfra

pytestmark = [pytest.mark.scenario, pytest.mark.long, pytest.mark.usefixtures("deployed")]

LIMIT = "sudo docker inspect -f '{{.HostConfig.Memory}}' hearth-httpd"
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"
# The machine has no boot loader: QEMU passes the kernel's arguments.
UP = """
import sys
import lab.qemu
from lab.__main__ import main
lab.qemu.KERNEL_ARGUMENTS += " " + sys.argv[1]
sys.exit(main(["up"]))
"""


def lab_command(*words: str) -> None:
    subprocess.run([sys.executable, *words], cwd=ROOT, check=True, capture_output=True, timeout=600)


def boot_with(words: str) -> None:
    """Shut the machine down, and start it from its disk with additional kernel arguments."""
    lab_command("-m", "lab", "down")
    lab_command("-c", UP, words)
    on_guest("systemctl is-system-running --wait || true", timeout=300)


@pytest.fixture
def without_memory_cgroup(deployed: None) -> Iterator[None]:  # noqa: ARG001 - in this order: restored first
    boot_with(DISABLE_OPTION)
    yield
    # The next test restores a snapshot, which includes its kernel.
    lab_command("-m", "lab", "down")


@pytest.mark.usefixtures("without_memory_cgroup")
def test_ineffective_limits_are_reported_and_restored_with_the_memory_cgroup() -> None:
    assert "memory" not in on_guest("cat /sys/fs/cgroup/cgroup.controllers").split()
    repair, quiet = deploy_twice()
    for run in (repair, quiet):
        assert "proxy_memory_limit has no effect: the memory cgroup is off" in run.output
        assert f"Remove {DISABLE_OPTION} from the kernel's command line" in run.output
    # The engine refuses to start it with its limit, which is reported as well.
    assert f"{TOO_LIMITED}; recreating it" in repair.output
    assert on_guest(LIMIT) == "0"

    boot_with("")
    assert "memory" in on_guest("cat /sys/fs/cgroup/cgroup.controllers").split()
    repair, quiet = deploy_twice()
    assert f"hearth-httpd {UNLIMITED}; recreating it" in repair.output
    assert "has no effect" not in quiet.output
    assert on_guest(LIMIT) == str(256 * 2**20)


def test_model_that_cannot_fit_is_refused_without_changes() -> None:
    before = on_guest("sudo docker ps --no-trunc -q && sudo sha256sum /opt/hearth/compose.yaml")
    # The size is small enough for the disk, which is not tested here.
    run = deploy('ollama_models=["llama3.1:70b"]', 'ollama_model_sizes_gb={"llama3.1:70b": 6.5}')
    assert run.code != 0
    assert "llama3.1:70b can't run here: it needs at least 6.8 GB (model 6.5 + context 0.1" in run.output, run.output
    assert "and the host has 2." in run.output
    assert "of common models, the largest that fits is" in run.output
    assert on_guest("sudo docker ps --no-trunc -q && sudo sha256sum /opt/hearth/compose.yaml") == before
    assert deploy().changed == ()


def test_run_with_a_reboot_continues_and_holds_the_lock_again(tmp_path: Path) -> None:
    """Only the operation, since the lab's machine is not a Raspberry Pi and has no cmdline.txt."""
    file = tmp_path / "restart.py"
    file.write_text(
        "from pyinfra.operations import server\n"
        "from hearth.runtime.keepalive import start_keepalive\n"
        "from hearth.runtime.lock import acquire_deploy_lock\n"
        "from hearth.boot import operations as boot\n"
        "from hearth.cli.session import find_login, root_arguments\n"
        "start_keepalive()\n"
        "root = root_arguments(find_login())\n"
        "acquire_deploy_lock(root)\n"
        "boot.reboot_host(name='Reboot the host', **root)\n"
        "server.shell(name='Query the engine', commands=['docker ps'], **root)\n"
        "server.shell(\n"
        "    name='Check that the lock is held', commands=['! flock -n /run/hearth-deploy.lock true'], **root\n"
        ")\n"
    )
    before = on_guest(BOOT_ID)
    run = pyinfra(str(file), timeout=1200)
    print(f"\na run with a reboot: {run.seconds:.1f} s")
    assert run.code == 0, run.output
    assert on_guest(BOOT_ID) != before
    assert "Reboot the host" in run.changed
    assert deploy().code == 0
