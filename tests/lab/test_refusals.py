"""What stops a deploy before it begins, made real on a host: the sentence, and that nothing was changed."""

from __future__ import annotations

import pytest

from tests.lab.machine import Run, deploy, on_guest

pytestmark = [pytest.mark.scenario, pytest.mark.usefixtures("deployed")]

# What a deploy would change: the containers, Hearth's files, the engine's configuration.
STATE = "docker ps --no-trunc -q; find /opt/hearth /etc/docker -type f -exec sha256sum {} + | sort"


def refused(*data: str) -> str:
    """What a deploy with these settings says, which has to be refused before anything is changed.

    The host is asked by the system's root, since a test may have taken sudo away from the user who logs in.
    """
    before = _state()
    run = deploy(*data)
    assert run.code != 0, run.output
    assert "nothing was changed" in run.output
    assert "Traceback" not in run.output
    assert _state() == before
    return run.output


def _state() -> str:
    return on_guest(f"$(ls /usr/bin/sudo /var/tmp/sudo 2>/dev/null) sh -c '{STATE}'")


def test_a_models_directory_that_is_not_there() -> None:
    said = refused('ollama_models_dir="/mnt/nowhere"')
    assert "ollama_models_dir = '/mnt/nowhere': there is no such directory on the host" in said


def test_a_system_that_is_too_old() -> None:
    on_guest(
        'sudo sed -i \'s/^VERSION_ID=.*/VERSION_ID="11"/; s/^PRETTY_NAME=.*/PRETTY_NAME="An Old One"/\' /etc/os-release'
    )
    assert "An Old One is not supported; Debian 12 or 13" in refused()


def test_a_port_that_somebodys_container_holds() -> None:
    on_guest("sudo docker run -d --name theirs --entrypoint sleep -p 8086:80 httpd:2.4.68 infinity", timeout=300)
    said = refused("proxy_port=8086")
    assert "proxy_port = 8086: the port is held by docker-proxy (process " in said
    assert "that is the container theirs; remove it, or set another port" in said


def test_a_model_that_its_limit_is_too_small_for() -> None:
    said = refused(
        'ollama_memory_limit="1g"', 'ollama_models=["llama3.2:1b"]', 'ollama_model_sizes_gb={"llama3.2:1b": 1.3}'
    )
    assert "llama3.2:1b can't run here: it needs at least" in said
    assert "ollama_memory_limit = '1g' lets it have 1.1 GB, without swap" in said


def test_a_login_without_root_and_without_sudo() -> None:
    # Where the login's PATH does not look. It stays a way for this test to ask the host.
    on_guest("sudo cp -p /usr/bin/sudo /var/tmp/sudo && sudo rm /usr/bin/sudo")
    said = refused()
    assert "the user that logs in is not root and the host has no sudo, so nothing was changed; log in as root" in said


def test_memory_that_is_tight_is_told_and_gone_on_with() -> None:
    run: Run = deploy('ollama_models=["tinyllama"]', 'ollama_model_sizes_gb={"tinyllama": 1.6}')
    assert run.code == 0, run.output
    assert "tinyllama is tight here" in run.output
    assert run.changed == ()
