"""Drift: every way a container can differ, and what repairs it."""

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


def test_healthy_containers_as_configured_do_not_differ() -> None:
    assert find_drift(HASHES, [HTTPD, OLLAMA], IMAGES) == []


@pytest.mark.parametrize(
    ("change", "what", "remedy"),
    [
        ({"config_hash": "old"}, "another configuration", "up"),
        ({"image": "sha256:old"}, "another image", "up"),
        ({"status": "exited", "health": "unhealthy"}, "not running but exited", "up"),
        ({"status": "created", "health": ""}, "not running but created", "up"),
        ({"status": "paused"}, "is paused", "recreate"),
        (
            {"status": "restarting", "restarts": 4, "exit_code": 137},
            "is restarting (ended 4 times, the last time with exit code 137)",
            "recreate",
        ),
        ({"health": "starting", "restarts": 2}, "is still starting", "up"),
        ({"health": "starting", "restarts": 3}, "is starting once more, and ended 3 times", "recreate"),
        ({"health": "unhealthy", "trouble": "no answer"}, 'is unhealthy ("no answer")', "recreate"),
        ({"is_named": False}, "is not known as ollama on its network", "recreate"),
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


STUCK = "stuck: 1 question(s) wait, and no model has worked or was read for 90 s; restarted (ollama#17131)"


@pytest.mark.parametrize(
    ("change", "is_hung"),
    [
        ({"health": "unhealthy", "trouble": STUCK}, True),
        ({"health": "unhealthy", "trouble": "1 question(s) wait, and nothing was done for 150 s"}, True),
        ({"status": "paused"}, True),
        ({"health": "unhealthy", "trouble": "Health check exceeded timeout (25s)"}, False),
        ({"status": "exited"}, False),
    ],
)
def test_answers_of_what_hangs_are_not_waited_for(change: dict[str, Any], is_hung: bool) -> None:
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
        (0, BOTH, "has no memory limit, since it was made while the kernel did not count memory"),
        (2**28, frozenset({"httpd"}), "has a memory limit, which this kernel can't keep"),
    ],
)
def test_a_limit_that_the_engine_left_out_is_seen(memory: int, limited: frozenset[str] | None, what: str) -> None:
    containers = [replace(OLLAMA, memory=memory), replace(HTTPD, memory=2**28 if limited else 0)]
    drift = find_drift(HASHES, containers, IMAGES, limited)
    assert [(one.name, one.what, one.remedy) for one in drift] == (
        [("hearth-ollama", what, "recreate")] if what else []
    )


def test_of_a_container_that_is_made_anew_anyway_nothing_is_said_about_limits() -> None:
    (drift,) = find_drift(HASHES, [replace(OLLAMA, config_hash="old"), replace(HTTPD, memory=1)], IMAGES, BOTH)
    assert drift.what == "was made from another configuration"


def test_a_missing_container_is_named_as_it_will_be() -> None:
    (drift,) = find_drift(HASHES, [OLLAMA], IMAGES)
    assert (drift.name, drift.what, drift.remedy) == ("hearth-httpd", "is missing", "up")


def test_a_stopped_container_has_no_networks_to_repair() -> None:
    (drift,) = find_drift(HASHES, [replace(OLLAMA, status="exited", networks=frozenset()), HTTPD], IMAGES)
    assert "exited" in drift.what


def test_a_foreign_container_with_our_name_gives_way() -> None:
    drift = find_drift(HASHES, [replace(OLLAMA, service="", config_hash=""), HTTPD], IMAGES)
    assert [(one.name, one.remedy) for one in drift] == [("hearth-ollama", "remove"), ("hearth-ollama", "up")]


def test_a_foreign_container_of_another_name_is_left_alone() -> None:
    assert find_drift(HASHES, [OLLAMA, HTTPD, replace(OLLAMA, name="hearth-mine", service="")], IMAGES) == []


def test_a_service_that_is_no_more_is_removed_by_compose() -> None:
    (drift,) = find_drift({"httpd": "b2"}, [OLLAMA, HTTPD], IMAGES)
    assert (drift.name, drift.remedy) == ("hearth-ollama", "up")
    assert "no service" in drift.what


def test_an_image_that_is_unknown_is_no_difference() -> None:
    assert find_drift(HASHES, [OLLAMA, HTTPD], {"ollama": "", "httpd": "sha256:2"}) == []


def test_several_differences_are_all_told() -> None:
    drift = find_drift(HASHES, [replace(OLLAMA, config_hash="old", health="unhealthy")], IMAGES)
    assert [one.remedy for one in drift] == ["up", "recreate", "up"]


def left_over() -> Container:
    """Compose renames the old container while it recreates; one that was interrupted leaves both."""
    return replace(OLLAMA, name="0123456789ab_hearth-ollama", status="created", health="", networks=frozenset())


def test_a_left_over_twin_is_seen() -> None:
    named = {one.name for one in find_drift(HASHES, [OLLAMA, left_over(), HTTPD], IMAGES)}
    assert named == {"0123456789ab_hearth-ollama"}


def test_a_left_over_twin_is_seen_also_when_it_comes_first() -> None:
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


def test_a_container_of_ours_is_read_from_inspect() -> None:
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
def test_a_container_that_is_not_of_our_project_has_no_service(labels: dict[str, str] | None) -> None:
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
def test_the_last_line_of_the_last_check_that_failed_says_why(log: list[dict[str, Any]] | None, trouble: str) -> None:
    container = parse_container(inspected(LABELS, Health={"Status": "unhealthy", "Log": log}))
    assert container.trouble == trouble


def test_a_container_that_was_connected_again_without_an_alias_has_lost_its_name() -> None:
    networks = {"hearth-back": {"Aliases": None}, "hearth-out": {"Aliases": ["ollama"]}}
    container = parse_container(inspected(LABELS) | {"NetworkSettings": {"Networks": networks}})
    assert not container.is_named
