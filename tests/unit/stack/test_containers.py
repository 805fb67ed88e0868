"""Drift: every way in which a container can differ, and the remedy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hearth.paths import SERVICE_NETWORKS
from hearth.stack.containers import Container, find_drift, parse_container

OLLAMA = Container(
    name="hearth-ollama",
    service="ollama",
    config_hash="a1",
    status="running",
    health="healthy",
    image="sha256:1",
    networks=SERVICE_NETWORKS["ollama"],
)
HTTPD = replace(
    OLLAMA, name="hearth-httpd", service="httpd", config_hash="b2", image="sha256:2", networks=SERVICE_NETWORKS["httpd"]
)
HASHES = {"ollama": "a1", "httpd": "b2"}
IMAGES = {"ollama": "sha256:1", "httpd": "sha256:2"}


def test_healthy_containers_as_configured_are_in_sync() -> None:
    assert find_drift(HASHES, [HTTPD, OLLAMA], IMAGES) == []


@pytest.mark.parametrize(
    ("change", "what", "remedy"),
    [
        ({"config_hash": "old"}, "a different configuration", "up"),
        ({"image": "sha256:old"}, "a different image", "up"),
        ({"status": "exited", "health": "unhealthy"}, "has exited", "up"),
        ({"status": "created", "health": ""}, "is created, but not running", "up"),
        ({"status": "paused"}, "is paused", "recreate"),
        (
            {"status": "restarting", "restarts": 4, "exit_code": 137},
            "is restarting (ended 4 times, most recently with exit code 137)",
            "recreate",
        ),
        ({"health": "starting", "restarts": 2}, "is still starting", "up"),
        ({"health": "starting", "restarts": 3}, "is starting again, and ended 3 times", "recreate"),
        ({"health": "unhealthy", "trouble": "no answer"}, 'is unhealthy ("no answer")', "recreate"),
        ({"is_named": False}, "has no alias ollama on its network", "recreate"),
        ({"status": "dead"}, "is dead", "recreate"),
        ({"health": "starting"}, "still starting", "up"),
        ({"health": "unhealthy"}, "is unhealthy", "recreate"),
        ({"networks": frozenset()}, "on the networks []", "recreate"),
        ({"networks": frozenset({"hearth-back"})}, "on the networks ['hearth-back']", "recreate"),
        ({"networks": SERVICE_NETWORKS["httpd"]}, "on the networks ['hearth-back', 'hearth-front']", "recreate"),
    ],
)
def test_one_difference(change: dict[str, Any], what: str, remedy: str) -> None:
    (drift,) = find_drift(HASHES, [replace(OLLAMA, **change), HTTPD], IMAGES)
    assert drift.name == "hearth-ollama"
    assert what in drift.what
    assert drift.remedy == remedy


PROXY, CA = "/hearth-proxy", "/etc/ssl/certs"


@pytest.mark.parametrize(
    ("unread", "found"),
    [
        ({PROXY}, ["hearth-ollama has not read the current host_http_proxy"]),
        (
            {PROXY, CA},
            [
                "hearth-ollama has not read the current host_trusted_ca",
                "hearth-ollama has not read the current host_http_proxy",
                "hearth-httpd has not read the current host_trusted_ca",
            ],
        ),
        (set(), []),
    ],
)
def test_containers_are_recreated_that_have_not_read_changed_files(unread: set[str], found: list[str]) -> None:
    containers = [replace(OLLAMA, mounts=frozenset({PROXY, CA})), replace(HTTPD, mounts=frozenset({CA}))]
    drift = find_drift(HASHES, containers, IMAGES, unread=frozenset(unread))
    assert [f"{one.name} {one.what}" for one in drift] == found
    assert {one.remedy for one in drift} <= {"recreate"}
    # Compose recreates it in any case.
    replaced = [replace(one, config_hash="old") for one in containers]
    drift = find_drift(HASHES, replaced, IMAGES, unread=frozenset(unread))
    assert {one.what for one in drift} == {"was created from a different configuration"}


STUCK = "stuck: 1 request(s) waiting, and no model has worked or been read for 90 s; restarted (ollama#17131)"


@pytest.mark.parametrize(
    ("change", "is_hung"),
    [
        ({"health": "unhealthy", "trouble": STUCK}, True),
        ({"health": "unhealthy", "trouble": "1 request(s) waiting, no progress for 150 s"}, True),
        ({"health": "unhealthy", "trouble": "1 question(s) wait, and nothing was done for 60 s"}, True),  # earlier text
        ({"status": "paused"}, True),
        ({"health": "unhealthy", "trouble": "Health check exceeded timeout (25s)"}, False),
        ({"status": "exited"}, False),
    ],
)
def test_responses_of_a_hung_container_are_not_waited_for(change: dict[str, Any], is_hung: bool) -> None:
    (drift,) = find_drift(HASHES, [replace(OLLAMA, **change), HTTPD], IMAGES)
    assert drift.is_hung is is_hung


BOTH = frozenset({"ollama", "httpd"})


@pytest.mark.parametrize(
    ("memory", "limited", "what"),
    [
        (0, None, ""),
        (2**28, None, ""),
        (0, frozenset(), ""),
        (2**28, BOTH, ""),
        (0, BOTH, "has no memory limit: it was created while the memory cgroup was off"),
        (2**28, frozenset({"httpd"}), "has a memory limit that this kernel can't enforce"),
    ],
)
def test_memory_limit_dropped_by_the_engine_is_detected(memory: int, limited: frozenset[str] | None, what: str) -> None:
    containers = [replace(OLLAMA, memory=memory), replace(HTTPD, memory=2**28 if limited else 0)]
    drift = find_drift(HASHES, containers, IMAGES, limited)
    assert [(one.name, one.what, one.remedy) for one in drift] == (
        [("hearth-ollama", what, "recreate")] if what else []
    )


def test_limits_are_not_mentioned_if_the_container_is_recreated_anyway() -> None:
    (drift,) = find_drift(HASHES, [replace(OLLAMA, config_hash="old"), replace(HTTPD, memory=1)], IMAGES, BOTH)
    assert drift.what == "was created from a different configuration"


def test_missing_container_has_its_future_name() -> None:
    (drift,) = find_drift(HASHES, [OLLAMA], IMAGES)
    assert (drift.name, drift.what, drift.remedy) == ("hearth-httpd", "is missing", "up")


def test_networks_of_a_stopped_container_are_ignored() -> None:
    (drift,) = find_drift(HASHES, [replace(OLLAMA, status="exited", networks=frozenset()), HTTPD], IMAGES)
    assert "exited" in drift.what


def test_foreign_container_with_our_name_is_removed() -> None:
    drift = find_drift(HASHES, [replace(OLLAMA, service="", config_hash=""), HTTPD], IMAGES)
    assert [(one.name, one.remedy) for one in drift] == [("hearth-ollama", "remove"), ("hearth-ollama", "up")]


def test_foreign_container_with_another_name_is_left_alone() -> None:
    assert find_drift(HASHES, [OLLAMA, HTTPD, replace(OLLAMA, name="hearth-mine", service="")], IMAGES) == []


def test_removed_service_is_left_to_compose() -> None:
    (drift,) = find_drift({"httpd": "b2"}, [OLLAMA, HTTPD], IMAGES)
    assert (drift.name, drift.remedy) == ("hearth-ollama", "up")
    assert "no longer belongs to a service" in drift.what


def test_unknown_image_id_is_not_drift() -> None:
    assert find_drift(HASHES, [OLLAMA, HTTPD], {"ollama": "", "httpd": "sha256:2"}) == []


def test_all_differences_are_reported() -> None:
    drift = find_drift(HASHES, [replace(OLLAMA, config_hash="old", health="unhealthy")], IMAGES)
    assert [one.remedy for one in drift] == ["up", "recreate", "up"]


def left_over() -> Container:
    """Compose renames the old container while it recreates it; an interruption leaves both."""
    return replace(OLLAMA, name="0123456789ab_hearth-ollama", status="created", health="", networks=frozenset())


def test_leftover_twin_is_detected() -> None:
    named = {one.name for one in find_drift(HASHES, [OLLAMA, left_over(), HTTPD], IMAGES)}
    assert named == {"0123456789ab_hearth-ollama"}


def test_leftover_twin_is_detected_in_any_order() -> None:
    named = {one.name for one in find_drift(HASHES, [left_over(), OLLAMA, HTTPD], IMAGES)}
    assert named == {"0123456789ab_hearth-ollama"}


def inspected(labels: dict[str, str] | None, **state: Any) -> dict[str, Any]:
    return {
        "Name": "/hearth-ollama",
        "Image": "sha256:1",
        "Config": {"Labels": labels},
        "State": {"Status": "running"} | state,
        "NetworkSettings": {"Networks": {"hearth-back": {"Aliases": ["hearth-ollama", "ollama"]}, "hearth-out": {}}},
    }


LABELS = {
    "com.docker.compose.project": "hearth",
    "com.docker.compose.service": "ollama",
    "com.docker.compose.config-hash": "a1",
    "com.docker.compose.oneoff": "False",
}


def test_parse_container() -> None:
    assert parse_container(inspected(LABELS, Health={"Status": "healthy"})) == OLLAMA


@pytest.mark.parametrize(
    "labels",
    [
        None,
        {},
        LABELS | {"com.docker.compose.project": "theirs"},
        LABELS | {"com.docker.compose.oneoff": "True"},
    ],
)
def test_container_of_another_project_has_no_service(labels: dict[str, str] | None) -> None:
    assert parse_container(inspected(labels)).service == ""


def test_a_container_without_health_check_and_networks() -> None:
    bare = inspected(LABELS)
    bare["NetworkSettings"]["Networks"] = None
    container = parse_container(bare)
    assert (container.health, container.networks) == ("", frozenset())


def check(code: int, output: str) -> dict[str, Any]:
    return {"ExitCode": code, "Output": output}


@pytest.mark.parametrize(
    ("log", "trouble"),
    [
        (None, ""),
        ([], ""),
        ([check(0, "all is well")], ""),
        ([check(1, "first\nlast\n\n"), check(0, "")], "last"),
        ([check(1, "old"), check(-1, "Health check exceeded timeout (25s)")], "Health check exceeded timeout (25s)"),
        ([check(1, "\x1b[31mred\x1b[0m\r\n" + " " * 9)], "[31mred[0m"),
        ([check(1, "x" * 5000)], "x" * 200),
        ([check(1, "")], ""),
    ],
)
def test_trouble_is_the_last_line_of_the_last_failed_check(log: list[dict[str, Any]] | None, trouble: str) -> None:
    container = parse_container(inspected(LABELS, Health={"Status": "unhealthy", "Log": log}))
    assert container.trouble == trouble


def test_container_reconnected_without_alias_is_detected() -> None:
    networks = {"hearth-back": {"Aliases": None}, "hearth-out": {"Aliases": ["ollama"]}}
    container = parse_container(inspected(LABELS) | {"NetworkSettings": {"Networks": networks}})
    assert not container.is_named
