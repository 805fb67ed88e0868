"""Shared hosts: notes, failures, and that existing services are not harmed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from hearth.docker.packages import DOCKER_CE, DockerSource
from hearth.host.ports import Listener
from hearth.preflight.checks import find_notes, find_obstacles
from hearth.preflight.existing_services import (
    ExistingServices,
    existing_service_notes,
    existing_service_obstacles,
    parse_containers,
    parse_existing_services,
)
from hearth.settings.model import Settings
from tests.unit.preflight.test_checks import PI

Make = Callable[..., Settings]
DEBIAN = DockerSource(("docker.io", "docker-cli", "docker-compose"), "")
DOCKER = DockerSource(DOCKER_CE, "https://download.docker.com/linux/debian")
STORE = "/usr/share/ollama/.ollama"
OLLAMA = ExistingServices(stores={STORE: ("llama3.2:1b", "mistral:latest")}, marks=frozenset({"service"}))
SHARED = ExistingServices(containers={"home-assistant": frozenset({("0.0.0.0", 8123)}), "old-blog": frozenset()})


def test_containers_from_docker() -> None:
    lines = [
        "hearth-httpd|0.0.0.0:85->80/tcp, [::]:85->80/tcp|hearth",
        "hearth-ollama|127.0.0.1:11434->11434/tcp|hearth",
        "home-assistant|0.0.0.0:8123->8123/tcp|hearth|of two",
        "old-blog||a label",
        "of two lines",
    ]
    assert parse_containers(lines) == (
        {85: True, 11434: False},
        {"home-assistant": frozenset({("0.0.0.0", 8123)}), "old-blog": frozenset()},
    )


def test_a_backends_httpd_has_ollamas_port() -> None:
    assert parse_containers(["hearth-httpd|0.0.0.0:11434->443/tcp|hearth"]) == ({11434: False}, {})
    both = "hearth-httpd|0.0.0.0:85->80/tcp, 0.0.0.0:443->443/tcp|hearth"
    assert parse_containers([both]) == ({85: True, 443: True}, {})


def test_an_invalid_daemon_json_is_left_to_the_operation_that_reports_it() -> None:
    assert parse_existing_services({"daemon": ["{ broken"]}, {}) == ExistingServices()


def test_the_engines_version() -> None:
    assert parse_existing_services({"existing_services": ["engine 24.0.7", "compose"]}, {}) == ExistingServices(
        compose=True, engine="24.0.7"
    )


def test_a_dedicated_host_has_no_notes(settings: Settings) -> None:
    assert find_notes(settings, PI) == []
    assert existing_service_obstacles(ExistingServices(), settings, DEBIAN, ()) == []


@pytest.mark.parametrize("engine", ["", "25.0.0", "28.3.3", "26.1.5+dfsg1", "master-dockerproject"])
def test_an_engine_that_is_recent_or_of_unknown_version_is_no_failure(settings: Settings, engine: str) -> None:
    host = ExistingServices(packages=frozenset({"docker-ce"}), compose=True, engine=engine)
    assert existing_service_obstacles(host, settings, DEBIAN, ()) == []


@pytest.mark.parametrize(
    ("packages", "compose", "source", "install"),
    [
        ({"docker-ce"}, True, DEBIAN, " ".join(DOCKER_CE)),
        ({"docker-ce"}, False, DOCKER, " ".join(DOCKER_CE)),
        ({"docker.io"}, True, DOCKER, "docker.io"),
    ],
)
def test_an_engine_that_stays_but_is_too_old_is_refused(
    settings: Settings, packages: set[str], compose: bool, source: DockerSource, install: str
) -> None:
    host = ExistingServices(packages=frozenset(packages), compose=compose, engine="24.0.7")
    (message,) = existing_service_obstacles(host, settings, source, ())
    assert "the Docker engine is 24.0.7, but Hearth's containers need 25 or later" in message
    assert f"apt-get install {install}`" in message


def test_an_engine_that_is_replaced_may_be_old(settings: Settings) -> None:
    host = ExistingServices(packages=frozenset({"docker.io"}), engine="20.10.24+dfsg1")
    assert existing_service_obstacles(host, settings, DOCKER, ()) == []


# --- notes ----------------------------------------------------------------------------------------


def test_all_existing_services_are_noted(settings: Settings) -> None:
    listeners = (
        Listener("0.0.0.0", 22, "sshd", 1),
        Listener("*", 80, "apache2", 801),
        Listener("[::]", 80, "apache2", 801),
        Listener("0.0.0.0", 5001, "python3", 902),
        Listener("127.0.0.1", 3306, "mariadbd", 5),
    )
    host = replace(
        SHARED,
        daemon={"data-root": "/mnt/docker"},
        marks=frozenset({"ufw", "service"}),
        stores={STORE: ("llama3.2:1b",)},
    )
    notes = find_notes(settings, replace(PI, listeners=listeners, existing_services=host))
    assert "other containers, which keep running: home-assistant, old-blog" in notes
    assert any("daemon.json with your own settings (data-root)" in note for note in notes)
    assert any("ufw" in note and "docs/firewall.md" in note for note in notes)
    assert "programs that listen on the network, which are not touched: apache2 on 80, python3 on 5001" in notes
    assert any(f"ollama_models_dir = {STORE!r}" in note and "llama3.2:1b" in note for note in notes)
    assert any("ollama.service" in note for note in notes)
    assert len(notes) == 6


def test_notes_appear_at_the_first_deploy_only(settings: Settings) -> None:
    host = replace(PI, existing_services=SHARED)
    assert find_notes(settings, host)
    assert find_notes(settings, replace(host, published={85: True})) == []


def test_models_that_are_already_used_are_not_offered() -> None:
    assert any(STORE in note for note in existing_service_notes(OLLAMA, True, "", ()))
    assert not any(STORE in note for note in existing_service_notes(OLLAMA, True, STORE, ()))


def test_many_models_are_counted() -> None:
    host = ExistingServices(stores={STORE: tuple(f"m{number}:latest" for number in range(7))})
    (note,) = existing_service_notes(host, True, "", ())
    assert "m3:latest and 3 more" in note


@pytest.mark.parametrize(
    ("daemon", "configured", "noted"),
    [
        ({}, True, False),
        ({"live-restore": False}, True, True),
        ({}, False, True),
        ({"live-restore": True}, False, False),
    ],
)
def test_containers_that_would_stop_are_noted(daemon: dict[str, object], configured: bool, noted: bool) -> None:
    notes = existing_service_notes(replace(SHARED, daemon=daemon), configured, "", ())
    assert any("live-restore is off" in note for note in notes) is noted


# --- failures -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "listeners",
    [
        (Listener("0.0.0.0", 8123, "docker-proxy", 7),),
        (Listener("0.0.0.0", 8123, "dockerd", 7),),  # with "userland-proxy": false
        (),  # the same with newer engines
    ],
)
def test_a_container_that_publishes_a_port_is_named(make_settings: Make, listeners: tuple[Listener, ...]) -> None:
    host = replace(PI, listeners=listeners, engine_answers=True, existing_services=SHARED)
    (obstacle,) = find_obstacles(make_settings(proxy_port=8123), host)
    assert "the port is held by the container home-assistant; remove it, or set another port" in obstacle
    assert "takeover" not in obstacle


def test_a_port_of_another_address_is_free(make_settings: Make) -> None:
    others = ExistingServices(containers={"there": frozenset({("192.0.2.7", 11434)})})
    assert find_obstacles(make_settings(), replace(PI, engine_answers=True, existing_services=others)) == []


@pytest.mark.parametrize("program", ["docker-proxy", "dockerd"])
def test_a_port_of_docker_is_no_failure_while_docker_does_not_respond(settings: Settings, program: str) -> None:
    """It may be Hearth's own."""
    assert find_obstacles(settings, replace(PI, listeners=(Listener("0.0.0.0", 85, program, 7),))) == []


OWN_PAGE = ExistingServices(
    containers={"chatBot": frozenset({("0.0.0.0", 85)}), "ollama": frozenset({("0.0.0.0", 11434)})},
    stores={"/var/lib/docker/volumes/ollama/_data": ("llama3.2:1b",)},
    ollamas={"ollama": "/var/lib/docker/volumes/ollama/_data"},
    running=frozenset({"ollama"}),
)


def test_an_own_chat_page_is_recognized(make_settings: Make) -> None:
    host = replace(PI, engine_answers=True, existing_services=OWN_PAGE)
    page, ollama = find_obstacles(make_settings(), host)
    assert "held by the container chatBot; remove it" in page
    assert page.endswith("docs/takeover.md")
    assert "(llama3.2:1b): ollama_models_dir = '/var/lib/docker/volumes/ollama/_data'. The steps" in ollama
    assert any("the container ollama has models in" in note for note in find_notes(make_settings(), host))


def test_its_models_are_not_shared_while_it_runs(make_settings: Make) -> None:
    settings = make_settings(ollama_models_dir="/var/lib/docker/volumes/ollama/_data", ollama_publish="")
    (obstacle,) = existing_service_obstacles(OWN_PAGE, settings, DEBIAN, ())
    assert "the container ollama is still running with these models" in obstacle
    assert existing_service_obstacles(replace(OWN_PAGE, running=frozenset()), settings, DEBIAN, ()) == []


def test_containers_with_an_ollama_from_the_probe() -> None:
    sections = {
        "existing_services": ["container ollama exited /srv/my models"],
        "stores": ["registry.ollama.ai/library/llama3.2/1b /srv/my models"],
    }
    found = parse_existing_services(sections, {})
    assert found.ollamas == {"ollama": "/srv/my models"}
    assert found.running == frozenset()
    assert found.stores == {"/srv/my models": ("llama3.2:1b",)}


def test_a_native_ollama_on_the_port_is_named_with_how_to_keep_its_models(settings: Settings) -> None:
    host = replace(PI, listeners=(Listener("127.0.0.1", 11434, "ollama", 812),), existing_services=OLLAMA)
    (obstacle,) = find_obstacles(settings, host)
    assert "sudo systemctl disable --now ollama" in obstacle
    assert f"ollama_models_dir = {STORE!r}" in obstacle


def test_two_ollamas_in_one_directory_are_refused(make_settings: Make) -> None:
    """On another port: nothing else would prevent it."""
    settings = make_settings(ollama_models_dir=STORE, ollama_publish="", ollama_models=[])
    native = Listener("127.0.0.1", 11434, "ollama", 812)
    (obstacle,) = existing_service_obstacles(OLLAMA, settings, DEBIAN, (native,))
    assert "process 812" in obstacle
    assert "sudo systemctl disable --now ollama" in obstacle
    assert existing_service_obstacles(OLLAMA, settings, DEBIAN, ()) == [], "once it is stopped, its models can be used"
    elsewhere = make_settings(ollama_models_dir="/mnt/ssd/ollama", ollama_publish="")
    assert existing_service_obstacles(OLLAMA, elsewhere, DEBIAN, (native,)) == []


@pytest.mark.parametrize(
    ("host", "fix"),
    [
        (ExistingServices(marks=frozenset({"snap"})), "sudo snap remove docker"),
        (ExistingServices(packages=frozenset({"podman-docker"})), "sudo apt remove podman-docker"),
    ],
)
def test_incompatible_dockers(settings: Settings, host: ExistingServices, fix: str) -> None:
    (obstacle,) = existing_service_obstacles(host, settings, DEBIAN, ())
    assert fix in obstacle


@pytest.mark.parametrize(
    ("packages", "compose", "source", "choice", "refused"),
    [
        ("docker.io", False, DOCKER, "auto", True),  # Debian 12 with its own Docker
        ("docker.io", True, DOCKER, "auto", False),  # with the plugin installed, it is kept
        ("docker.io", True, DOCKER, "docker", True),
        ("docker-ce", True, DEBIAN, "distribution", True),
        ("docker-ce", True, DEBIAN, "auto", False),
        ("docker.io", True, DEBIAN, "distribution", False),
        ("docker-ce", True, DOCKER, "docker", False),
    ],
)
def test_a_docker_with_containers_is_not_replaced(
    make_settings: Make, packages: str, compose: bool, source: DockerSource, choice: str, refused: bool
) -> None:
    host = replace(SHARED, packages=frozenset({packages}), compose=compose)
    settings = make_settings(docker_source=choice)
    obstacles = existing_service_obstacles(host, settings, source, ())
    assert bool(obstacles) is refused
    assert not refused or f"would replace {packages}" in obstacles[0]
    assert existing_service_obstacles(replace(host, containers={}), settings, source, ()) == [], "nothing to stop"
