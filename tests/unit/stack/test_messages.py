"""Messages about containers, the engine and packages."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hearth.docker.messages import describe_daemon_config, describe_packages, describe_service
from hearth.paths import SERVICE_NETWORKS
from hearth.runtime.text import format_change, join_words
from hearth.stack.container_messages import describe_containers
from hearth.stack.containers import Container, find_drift

IDS = {"ollama": "sha256:1", "httpd": "sha256:2"}
HASHES = {"ollama": "a1", "httpd": "b2"}


def container(name: str = "hearth-httpd", service: str = "httpd", **changes: str) -> Container:
    state = {"config": "b2", "status": "running", "health": "healthy", "image": "sha256:2"} | changes
    usual = SERVICE_NETWORKS.get(service, frozenset())
    networks = frozenset(state["networks"].split()) if "networks" in state else usual
    return Container(name, service, state["config"], state["status"], state["health"], state["image"], networks)


OLLAMA = container("hearth-ollama", "ollama", config="a1", image="sha256:1")

# Actual containers → messages, with the drift from `find_drift`, so that both stay consistent.
CONTAINERS: list[tuple[list[Container], list[str]]] = [
    ([OLLAMA, container()], []),
    ([OLLAMA], ["hearth-httpd is missing; creating and starting it"]),
    ([], ["hearth-httpd and hearth-ollama are missing; creating and starting them"]),
    ([OLLAMA, container(status="exited", health="")], ["hearth-httpd has exited; starting it"]),
    ([OLLAMA, container(status="paused")], ["hearth-httpd is paused; recreating it"]),
    ([OLLAMA, container(health="unhealthy")], ["hearth-httpd is unhealthy; recreating it"]),
    (
        [replace(OLLAMA, health="unhealthy", trouble="stuck: 2 request(s) waiting"), container()],
        ['hearth-ollama is unhealthy ("stuck: 2 request(s) waiting"); recreating it'],
    ),
    ([OLLAMA, container(health="starting")], ["hearth-httpd is still starting; waiting for it"]),
    ([OLLAMA, container(image="sha256:3")], ["hearth-httpd runs a different image; recreating it"]),
    ([OLLAMA, container(networks="bridge")], ["hearth-httpd is on the networks ['bridge']; recreating it"]),
    (
        [OLLAMA, container(config="x", status="exited")],
        ["hearth-httpd was created from a different configuration and has exited; recreating it"],
    ),
    (
        [OLLAMA, container(service="")],
        ["hearth-httpd was not created by this Compose project and is missing; removing and recreating it"],
    ),
    ([OLLAMA, container(), container("old", "gone")], ["old no longer belongs to a service; removing it"]),
    (
        [OLLAMA, container(), container("x_hearth-httpd")],
        ["x_hearth-httpd is left over from an interrupted change; removing it"],
    ),
]


@pytest.mark.parametrize(("containers", "expected"), CONTAINERS)
def test_each_container_gets_one_message_with_the_remedy(containers: list[Container], expected: list[str]) -> None:
    assert describe_containers(find_drift(HASHES, containers, IDS)) == expected


OURS = {"live-restore": True, "log-driver": "json-file", "log-opts": {"max-size": "10m", "max-file": "3"}}
LARGER = OURS | {"log-opts": {"max-size": "20m", "max-file": "3"}}


def test_changed_keys_of_daemon_json_are_named_with_their_settings() -> None:
    assert describe_daemon_config(OURS, LARGER, restarts=True) == [
        "/etc/docker/daemon.json: log-opts.max-size 10m → 20m (docker_log_max_size); the engine restarts, containers "
        "keep running"
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [(OURS | {"log-driver": "local"}, OURS | {"live-restore": False}), (OURS, OURS | {"live-restore": False})],
)
def test_containers_restart_with_the_engine_without_live_restore(
    before: dict[str, object], after: dict[str, object]
) -> None:
    (sentence,) = describe_daemon_config(before, after, restarts=True)
    assert sentence.endswith("the engine restarts, and the containers with it: in-flight responses are cut")
    assert "live-restore" in sentence


def test_added_and_removed_keys() -> None:
    (sentence,) = describe_daemon_config(
        OURS | {"registry-mirrors": ["http://a"]}, OURS | {"debug": True}, restarts=True
    )
    assert 'registry-mirrors ["http://a"] → none (docker_registry_mirrors)' in sentence
    assert "debug none → true" in sentence


def test_daemon_json_of_a_fresh_host_is_one_short_message() -> None:
    assert describe_daemon_config({}, OURS, restarts=False) == [
        "/etc/docker/daemon.json gets live-restore, log-driver and log-opts"
    ]


def test_engine_in_sync_gets_no_message() -> None:
    assert describe_daemon_config(OURS, OURS, restarts=False) == []
    assert describe_service(active=True, enabled=True) == []


def test_pending_restart_of_an_interrupted_run_is_reported() -> None:
    assert describe_daemon_config(OURS, OURS, restarts=True) == [
        "a change of the engine's configuration is not active yet; the engine restarts, containers keep running"
    ]


def test_services_and_packages() -> None:
    assert describe_service(active=False, enabled=False) == ["the Docker engine is not running; starting it"]
    assert "enabled" in describe_service(active=True, enabled=False)[0]
    assert describe_packages(["docker.io"], "") == "docker.io is missing; installing it from the distribution"
    assert describe_packages(["a", "b"], "https://x") == (
        "a and b are missing; installing them from Docker's own repository, https://x"
    )


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (900, 1000, "900 → 1000"),
        ("5m", "", '5m → ""'),
        (True, False, "True → False"),
        (["a", "b"], ["b", "c"], "+ c, - a"),
        (["a", "b"], ["b", "a"], "in a different order"),
        ([{"path": "/a", "to": "/api/chat"}], [], "- /a"),
        ("x" * 99, "y", f"{'x' * 59}… → y"),
        ({"m": 1.5}, {}, '{"m": 1.5} → {}'),
    ],
)
def test_changes_of_values_are_short(old: object, new: object, text: str) -> None:
    assert format_change(old, new) == text


def test_join_words() -> None:
    assert [join_words(words) for words in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
