"""Sentences about containers, the engine and packages."""

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

# What the host has → what is said. The drift is what `find_drift` makes of it, so that both stay together.
CONTAINERS: list[tuple[list[Container], list[str]]] = [
    ([OLLAMA, container()], []),
    ([OLLAMA], ["hearth-httpd is missing; it is made and started"]),
    ([], ["hearth-httpd and hearth-ollama are missing; creating and starting them"]),
    ([OLLAMA, container(status="exited", health="")], ["hearth-httpd is not running but exited; it is started"]),
    ([OLLAMA, container(status="paused")], ["hearth-httpd is paused; it is recreated"]),
    ([OLLAMA, container(health="unhealthy")], ["hearth-httpd is unhealthy; it is recreated"]),
    (
        [replace(OLLAMA, health="unhealthy", trouble="stuck: 2 question(s) wait"), container()],
        ['hearth-ollama is unhealthy ("stuck: 2 question(s) wait"); it is recreated'],
    ),
    ([OLLAMA, container(health="starting")], ["hearth-httpd is still starting; it is waited for"]),
    ([OLLAMA, container(image="sha256:3")], ["hearth-httpd runs another image; it is recreated"]),
    ([OLLAMA, container(networks="bridge")], ["hearth-httpd is on the networks ['bridge']; it is recreated"]),
    (
        [OLLAMA, container(config="x", status="exited")],
        ["hearth-httpd was made from another configuration and is not running but exited; it is recreated"],
    ),
    (
        [OLLAMA, container(service="")],
        ["hearth-httpd was not made by this Compose project and is missing; it is removed and made anew"],
    ),
    ([OLLAMA, container(), container("old", "gone")], ["old belongs to no service any more; it is removed"]),
    (
        [OLLAMA, container(), container("x_hearth-httpd")],
        ["x_hearth-httpd was left behind by an interrupted change; it is removed"],
    ),
]


@pytest.mark.parametrize(("containers", "expected"), CONTAINERS)
def test_each_container_gets_one_sentence_with_what_is_done(containers: list[Container], expected: list[str]) -> None:
    assert describe_containers(find_drift(HASHES, containers, IDS)) == expected


OURS = {"live-restore": True, "log-driver": "json-file", "log-opts": {"max-size": "10m", "max-file": "3"}}
LARGER = OURS | {"log-opts": {"max-size": "20m", "max-file": "3"}}


def test_the_keys_of_daemon_json_are_told_with_their_settings() -> None:
    assert describe_daemon_config(OURS, LARGER, restarts=True) == [
        "/etc/docker/daemon.json: log-opts.max-size 10m → 20m (docker_log_max_size); the engine restarts, containers "
        "go on meanwhile"
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [(OURS | {"log-driver": "local"}, OURS | {"live-restore": False}), (OURS, OURS | {"live-restore": False})],
)
def test_containers_stop_with_an_engine_that_does_not_keep_them(
    before: dict[str, object], after: dict[str, object]
) -> None:
    (sentence,) = describe_daemon_config(before, after, restarts=True)
    assert sentence.endswith("the engine restarts, and containers with it: running answers end")
    assert "live-restore" in sentence


def test_a_key_that_comes_and_one_that_goes() -> None:
    (sentence,) = describe_daemon_config(
        OURS | {"registry-mirrors": ["http://a"]}, OURS | {"debug": True}, restarts=True
    )
    assert 'registry-mirrors ["http://a"] → none (docker_registry_mirrors)' in sentence
    assert "debug none → true" in sentence


def test_a_fresh_host_s_daemon_json_is_one_short_sentence() -> None:
    assert describe_daemon_config({}, OURS, restarts=False) == [
        "/etc/docker/daemon.json gets live-restore, log-driver and log-opts"
    ]


def test_an_engine_that_agrees_is_not_talked_of() -> None:
    assert describe_daemon_config(OURS, OURS, restarts=False) == []
    assert describe_service(active=True, enabled=True) == []


def test_a_restart_that_a_cut_run_left_is_told() -> None:
    assert describe_daemon_config(OURS, OURS, restarts=True) == [
        "a change of /etc/docker/daemon.json still waits for the engine; the engine restarts, containers go on "
        "meanwhile"
    ]


def test_services_and_packages() -> None:
    assert describe_service(active=False, enabled=False) == ["the Docker engine does not run; it is started"]
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
def test_values_are_shown_short(old: object, new: object, text: str) -> None:
    assert format_change(old, new) == text


def test_lists_are_read_aloud() -> None:
    assert [join_words(words) for words in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
