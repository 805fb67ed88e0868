"""Conditions that stop a deploy before any change, on a real host: the message, and that nothing was changed."""

from __future__ import annotations

import pytest

from tests.lab.checks import refused
from tests.lab.machine import HTTPD_IMAGE, Run, deploy, on_guest

pytestmark = [pytest.mark.scenario, pytest.mark.usefixtures("deployed")]


def test_missing_models_directory_is_refused() -> None:
    output = refused('ollama_models_dir="/mnt/nowhere"')
    assert "ollama_models_dir = '/mnt/nowhere': there is no such directory on the host" in output


@pytest.mark.long
def test_fat_disk_is_refused_for_a_large_model() -> None:
    on_guest(
        "sudo apt-get -qq update && sudo apt-get -qq -y --no-install-recommends install dosfstools >/dev/null && "
        "sudo truncate -s 64M /var/tmp/stick && sudo mkfs.vfat /var/tmp/stick && "
        "sudo mkdir /mnt/stick && sudo mount -o loop /var/tmp/stick /mnt/stick",
        timeout=300,
    )
    model = ('ollama_models=["llama3.1:8b"]', 'ollama_model_sizes_gb={"llama3.1:8b": 4.9}')
    output = refused('ollama_models_dir="/mnt/stick"', *model)
    assert "ollama_models_dir = '/mnt/stick': the disk has a FAT file system (vfat)" in output


def test_outdated_system_is_refused() -> None:
    on_guest(
        'sudo sed -i \'s/^VERSION_ID=.*/VERSION_ID="11"/; s/^PRETTY_NAME=.*/PRETTY_NAME="An Old One"/\' /etc/os-release'
    )
    assert "An Old One is not supported; use Debian 12 or 13, which Hearth is tested on" in refused()


def test_untested_system_gets_a_warning() -> None:
    on_guest(
        'sudo sed -i \'s/^VERSION_ID=.*/VERSION_ID="14"/; s/^PRETTY_NAME=.*/PRETTY_NAME="A New One"/\' /etc/os-release'
    )
    run: Run = deploy()
    assert run.code == 0, run.output
    assert "A New One is newer than the releases that Hearth is tested on (Debian 12 and 13)" in run.output
    assert run.changed == ()


def test_port_held_by_another_container_is_refused() -> None:
    on_guest(f"sudo docker run -d --name theirs --entrypoint sleep -p 8086:80 {HTTPD_IMAGE} infinity", timeout=300)
    output = refused("proxy_port=8086")
    assert "proxy_port = 8086: the port is held by the container theirs; remove it, or set another port" in output


def test_memory_limit_too_small_for_a_model_is_refused() -> None:
    output = refused(
        'ollama_memory_limit="1g"', 'ollama_models=["llama3.2:1b"]', 'ollama_model_sizes_gb={"llama3.2:1b": 1.3}'
    )
    assert "llama3.2:1b can't run here: it needs at least" in output
    assert "ollama_memory_limit = '1g' allows 1.1 GB, without swap" in output


def test_login_without_root_and_sudo_is_refused() -> None:
    # Moved out of the login's PATH, where the test can still use it.
    on_guest("sudo cp -p /usr/bin/sudo /var/tmp/sudo && sudo rm /usr/bin/sudo")
    out = refused()
    assert "the login user is not root and the host has no sudo; nothing was changed; log in as root" in out


def test_tight_memory_gets_a_warning() -> None:
    run: Run = deploy('ollama_models=["tinyllama"]', 'ollama_model_sizes_gb={"tinyllama": 1.6}')
    assert run.code == 0, run.output
    assert "tinyllama may not fit in memory" in run.output
    assert run.changed == ()
