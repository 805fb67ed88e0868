"""Operations on the Docker engine: installed, configured."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hearth.daemon import dump_config, wanted_config
from hearth.facts.engine import Engine, EngineState
from hearth.operations import engine
from hearth.platforms import DOCKER_CE, DockerSource
from hearth.settings import Settings
from tests.operations.conftest import Result, Run
from tests.operations.shell import HOSTILE, Sandbox, check_syntax

DEBIAN = DockerSource(("docker.io", "docker-compose"), "")
DOCKER = DockerSource(DOCKER_CE, "https://download.docker.com/linux/debian")

RESTART = "systemctl restart docker.service && rm -f /run/hearth-engine-restart"
ENABLE = "systemctl enable --now docker.service"


# --- installed ------------------------------------------------------------------------------------


def install(run: Run, state: EngineState, source: DockerSource = DEBIAN, keep: bool = True) -> Result:
    arguments = {"source": source, "codename": "trixie", "keep_existing": keep, "timeout": 60}
    return run(engine.installed, {Engine: state}, **arguments)


def test_installed_packages_are_not_installed_again(run: Run) -> None:
    result = install(run, EngineState(packages=frozenset(DEBIAN.packages)), keep=False)
    assert result.commands == []
    assert result.noop


def test_a_docker_from_elsewhere_is_kept_where_any_will_do(run: Run) -> None:
    assert install(run, EngineState(has_engine=True, has_compose=True)).commands == []


@pytest.mark.parametrize(
    ("state", "keep"),
    [
        (EngineState(), True),
        (EngineState(packages=frozenset({"docker.io"})), True),
        (EngineState(has_engine=True), True),
        (EngineState(has_compose=True), True),
        (EngineState(has_engine=True, has_compose=True), False),
    ],
)
def test_what_is_incomplete_is_installed(run: Run, state: EngineState, keep: bool) -> None:
    (script,) = install(run, state, keep=keep).scripts
    *_, install_line, start = script.splitlines()
    assert install_line.endswith("install -y --no-install-recommends docker.io docker-compose </dev/null")
    assert start == ENABLE


def test_the_distributions_packages_need_no_repository(run: Run) -> None:
    (script,) = install(run, EngineState()).scripts
    assert "sources.list.d" not in script
    assert "gpg" not in script


def test_dockers_repository_is_added_before_it_is_used(run: Run) -> None:
    (script,) = install(run, EngineState(), DOCKER).scripts
    order = [
        script.index(part) for part in ("install -d", "/gpg", "docker.sources", "Reading", "docker-compose-plugin")
    ]
    assert order == sorted(order)
    assert (
        "Types: deb\nURIs: https://download.docker.com/linux/debian\nSuites: trixie\nComponents: stable\n"
        "Signed-By: /etc/apt/keyrings/docker.asc\n" in script
    )


@pytest.mark.parametrize("source", [DEBIAN, DOCKER, DockerSource((HOSTILE,), HOSTILE)])
def test_the_script_is_good_shell(source: DockerSource) -> None:
    check_syntax(engine.install_script(source, HOSTILE, 60))


def test_the_script_stops_at_the_first_failure(tmp_path: Any) -> None:
    sandbox = Sandbox(tmp_path)
    sandbox.program("apt-get", "exit 100")
    sandbox.program("install")
    done = sandbox.run(engine.install_script(DockerSource((HOSTILE,), ""), "trixie", 60))
    assert done.returncode == 100
    assert len(sandbox.calls) == 1
    assert not sandbox.pwned()


def test_packages_reach_apt_as_they_are(tmp_path: Any) -> None:
    sandbox = Sandbox(tmp_path)
    sandbox.program("apt-get")
    sandbox.program("systemctl")
    assert sandbox.run(engine.install_script(DockerSource((HOSTILE, "b"), ""), "trixie", 60)).returncode == 0
    assert sandbox.calls[-2].endswith(f"--no-install-recommends {HOSTILE} b")
    assert not sandbox.pwned()


# --- configured -----------------------------------------------------------------------------------


@pytest.fixture(name="settings")
def _settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings(docker_registry_mirrors=["http://10.0.0.1:5000"])


@pytest.fixture(name="right")
def _right(settings: Settings) -> EngineState:
    """An engine that Hearth configured, and that runs."""
    config = wanted_config(settings, {})
    return EngineState(
        has_engine=True, config=dump_config(config), record=json.dumps(config), active=True, enabled=True
    )


def configure(run: Run, settings: Settings, state: EngineState) -> Result:
    return run(engine.configured, {Engine: state}, settings=settings, source=DEBIAN)


def test_a_configured_engine_is_left_alone(run: Run, settings: Settings, right: EngineState) -> None:
    assert configure(run, settings, right).commands == []


def test_a_fresh_engine_is_configured_and_restarted_once(run: Run, settings: Settings) -> None:
    config = wanted_config(settings, {})
    assert configure(run, settings, EngineState(has_engine=True, active=True, enabled=True)).commands == [
        "install -d -m 0755 /opt/hearth /etc/docker",
        ["upload", json.dumps(config) + "\n", "/opt/hearth/engine.json.new"],
        ["upload", dump_config(config), "/etc/docker/daemon.json.new"],
        "chmod 0644 /etc/docker/daemon.json.new && "
        "sync /opt/hearth/engine.json.new /etc/docker/daemon.json.new && touch /run/hearth-engine-restart && "
        "mv /opt/hearth/engine.json.new /opt/hearth/engine.json && "
        "mv /etc/docker/daemon.json.new /etc/docker/daemon.json",
        RESTART,
    ]


def test_an_engine_that_is_still_to_come_finds_its_configuration_and_is_not_restarted(
    run: Run, settings: Settings
) -> None:
    commands = configure(run, settings, EngineState()).commands
    assert [command[2] for command in commands if command[0] == "upload"][-1] == "/etc/docker/daemon.json.new"
    assert not [command for command in commands if "systemctl" in command or "hearth-engine-restart" in command]
    config = wanted_config(settings, {})
    again = EngineState(config=dump_config(config), record=json.dumps(config))
    assert configure(run, settings, again).commands == []


def test_a_restart_that_a_run_died_before_is_done(run: Run, settings: Settings, right: EngineState) -> None:
    assert configure(run, settings, replace(right, pending=True)).commands == [RESTART]


def test_a_stopped_engine_is_started(run: Run, settings: Settings, right: EngineState) -> None:
    assert configure(run, settings, replace(right, active=False)).commands == [ENABLE]


def test_an_engine_that_would_not_come_back_after_a_reboot(run: Run, settings: Settings, right: EngineState) -> None:
    assert configure(run, settings, replace(right, enabled=False)).commands == [ENABLE]
    assert configure(run, settings, EngineState(has_engine=True)).commands[-2:] == [RESTART, ENABLE]


def test_without_a_record_what_stands_there_is_a_persons(run: Run, settings: Settings, right: EngineState) -> None:
    assert configure(run, settings, replace(right, record="")).commands == []


def test_a_record_that_changes_alone_needs_no_restart(run: Run, settings: Settings, right: EngineState) -> None:
    """A person edited one of our values: it is theirs from now on."""
    theirs = json.loads(right.config) | {"live-restore": False}
    commands = configure(run, settings, replace(right, config=json.dumps(theirs))).commands
    assert [command[2] for command in commands if command[0] == "upload"] == ["/opt/hearth/engine.json.new"]
    assert commands[-1] == "sync /opt/hearth/engine.json.new && mv /opt/hearth/engine.json.new /opt/hearth/engine.json"


def test_a_persons_configuration_is_merged(run: Run, settings: Settings) -> None:
    theirs = '{"data-root": "/mnt/docker", "live-restore": false}'
    commands = configure(run, settings, EngineState(has_engine=True, config=theirs, active=True, enabled=True)).commands
    uploads = {command[2]: json.loads(command[1]) for command in commands if command[0] == "upload"}
    merged = uploads["/etc/docker/daemon.json.new"]
    assert merged["data-root"] == "/mnt/docker"
    assert merged["live-restore"] is False
    assert merged["registry-mirrors"] == ["http://10.0.0.1:5000"]
    assert not {"data-root", "live-restore"} & set(uploads["/opt/hearth/engine.json.new"])


@pytest.mark.parametrize("broken", ["{", "[]", "# comment"])
def test_a_broken_daemon_json_is_refused_and_not_touched(run: Run, settings: Settings, broken: str) -> None:
    result = configure(run, settings, EngineState(has_engine=True, config=broken, active=True, enabled=True))
    assert len(result.commands) == 1
    assert "/etc/docker/daemon.json" in result.refusals[0]


def test_a_broken_record_is_refused_by_its_own_path(run: Run, settings: Settings) -> None:
    (refusal,) = configure(run, settings, EngineState(has_engine=True, record="{")).refusals
    assert "/opt/hearth/engine.json" in refusal
