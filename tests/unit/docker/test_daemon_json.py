"""daemon.json: merged with the user's content; only our part is changed."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.docker.daemon_json import Config, dump_config, merge_config, parse_config, wanted_config
from hearth.settings.model import Settings

Make = Callable[..., Settings]


def deploy(current: Config, recorded: Config, settings: Settings) -> tuple[Config, Config]:
    return merge_config(current, recorded, wanted_config(settings, current))


def test_fresh_host_gets_the_settings(make_settings: Make) -> None:
    settings = make_settings(docker_registry_mirrors=["http://10.0.0.1:5000"], docker_log_max_size="20m")
    merged, ours = deploy({}, {}, settings)
    assert merged == {
        "live-restore": True,
        "log-driver": "json-file",
        "log-opts": {"max-size": "20m", "max-file": "3"},
        "registry-mirrors": ["http://10.0.0.1:5000"],
    }
    assert ours == merged


def test_users_values_stay(settings: Settings) -> None:
    theirs = {"live-restore": False, "data-root": "/mnt/docker", "log-opts": {"max-size": "1m", "tag": "x"}, "dns": []}
    merged, ours = deploy(theirs, {}, settings)
    assert merged == theirs | {
        "log-driver": "json-file",
        "log-opts": {"max-size": "1m", "tag": "x", "max-file": "3"},
    }
    assert ours == {"log-driver": "json-file", "log-opts": {"max-file": "3"}}


def test_our_values_follow_the_settings(make_settings: Make) -> None:
    first, ours = deploy({"dns": ["1.1.1.1"]}, {}, make_settings(docker_log_max_size="10m"))
    second, _ = deploy(first, ours, make_settings(docker_log_max_size="50m", docker_live_restore=False))
    assert second["log-opts"]["max-size"] == "50m"
    assert second["live-restore"] is False
    assert second["dns"] == ["1.1.1.1"]


def test_mirrors_are_joined_and_only_ours_removed(make_settings: Make) -> None:
    theirs = {"registry-mirrors": ["https://theirs"]}
    with_ours = make_settings(docker_registry_mirrors=["http://ours:5000", "http://more:5000"])
    merged, ours = deploy(theirs, {}, with_ours)
    assert merged["registry-mirrors"] == ["https://theirs", "http://ours:5000", "http://more:5000"]
    assert ours["registry-mirrors"] == ["http://ours:5000", "http://more:5000"]
    fewer, ours = deploy(merged, ours, make_settings(docker_registry_mirrors=["http://more:5000"]))
    assert fewer["registry-mirrors"] == ["https://theirs", "http://more:5000"]
    none, ours = deploy(fewer, ours, make_settings())
    assert none["registry-mirrors"] == ["https://theirs"]
    assert "registry-mirrors" not in ours


def test_list_with_only_our_items_is_removed_with_the_last_one(make_settings: Make) -> None:
    merged, ours = deploy({}, {}, make_settings(docker_registry_mirrors=["http://ours:5000"]))
    merged, ours = deploy(merged, ours, make_settings())
    assert "registry-mirrors" not in merged
    assert "registry-mirrors" not in ours


def test_users_existing_mirror_is_never_ours(make_settings: Make) -> None:
    both = make_settings(docker_registry_mirrors=["http://same:5000"])
    merged, ours = deploy({"registry-mirrors": ["http://same:5000"]}, {}, both)
    assert merged["registry-mirrors"] == ["http://same:5000"]
    merged, _ = deploy(merged, ours, make_settings())
    assert merged["registry-mirrors"] == ["http://same:5000"]


def test_value_changed_by_the_user_is_theirs(make_settings: Make) -> None:
    merged, ours = deploy({}, {}, make_settings())
    edited = merged | {"live-restore": False}
    again, ours = deploy(edited, ours, make_settings())
    assert again["live-restore"] is False
    assert "live-restore" not in ours


def test_value_removed_by_the_user_is_restored(settings: Settings) -> None:
    merged, ours = deploy({}, {}, settings)
    del merged["live-restore"]
    assert deploy(merged, ours, settings)[0]["live-restore"] is True


@pytest.mark.parametrize("driver", ["journald", "syslog", "none"])
def test_log_driver_that_rejects_our_options_gets_none(settings: Settings, driver: str) -> None:
    merged, _ = deploy({"log-driver": driver}, {}, settings)
    assert merged["log-driver"] == driver
    assert "log-opts" not in merged


def test_our_log_options_are_removed_for_such_a_driver(settings: Settings) -> None:
    merged, ours = deploy({}, {}, settings)
    merged, ours = deploy(merged | {"log-driver": "journald"}, ours, settings)
    assert "log-opts" not in merged
    assert set(ours) == {"live-restore"}


def test_local_log_driver_accepts_our_options(settings: Settings) -> None:
    merged, _ = deploy({"log-driver": "local"}, {}, settings)
    assert merged["log-opts"] == {"max-size": "10m", "max-file": "3"}


@pytest.mark.parametrize("text", ["", "  \n"])
def test_empty_file_is_an_empty_configuration(text: str) -> None:
    assert parse_config(text, "/x") == {}


@pytest.mark.parametrize("text", ['{"a": 1,}', "[]", '"x"', "null", "{"])
def test_file_without_a_json_object_is_refused_with_its_path(text: str) -> None:
    with pytest.raises(ValueError, match=r"^/etc/docker/daemon\.json on the host is no"):
        parse_config(text, "/etc/docker/daemon.json")


# A few keys, so that the current, recorded and desired parts overlap. One type per key, as in Docker; without null,
# which means "not set".
scalars = st.one_of(st.booleans(), st.integers(0, 3), st.sampled_from(["a", "b"]))


def configs(least: int) -> st.SearchStrategy[Config]:
    """Configurations whose lists and objects have at least `least` items."""
    lists = st.lists(st.sampled_from("abcd"), unique=True, min_size=least, max_size=3)
    table = st.dictionaries(st.sampled_from(["x", "y", "z"]), scalars, min_size=least, max_size=3)
    shapes = {"one": scalars, "two": scalars, "list": lists, "more": lists, "table": table}
    return st.fixed_dictionaries({}, optional=shapes)


ANY = configs(0)
# An empty list or object is Docker's default anyway, and may be removed.
FILLED = configs(1)


@given(ANY, ANY, ANY)
def test_merge_is_idempotent(current: Config, recorded: Config, wanted: Config) -> None:
    once = merge_config(current, recorded, wanted)
    assert merge_config(*once, wanted) == once


@given(ANY, ANY, ANY)
def test_merge_does_not_modify_its_arguments(current: Config, recorded: Config, wanted: Config) -> None:
    before = copy.deepcopy((current, recorded, wanted))
    merge_config(current, recorded, wanted)
    assert (current, recorded, wanted) == before


def lasts(theirs: Any, now: Any) -> bool:
    """Whether everything in `theirs` is still in `now`; lists and objects may have grown."""
    if isinstance(theirs, dict):
        return isinstance(now, dict) and all(key in now and lasts(value, now[key]) for key, value in theirs.items())
    if isinstance(theirs, list):
        return isinstance(now, list) and [item for item in now if item in theirs] == theirs
    return type(theirs) is type(now) and bool(theirs == now)


@given(FILLED, st.lists(FILLED, max_size=4))
def test_users_values_survive_all_deploys(theirs: Config, deploys: list[Config]) -> None:
    merged, ours = theirs, Config()
    for wanted in deploys:
        merged, ours = merge_config(merged, ours, wanted)
        assert lasts(theirs, merged)
    assert merge_config(merged, ours, {}) == (theirs, {}), "what was ours is taken back, and nothing else"


@given(ANY)
def test_dumped_configuration_round_trips(config: Config) -> None:
    text = dump_config(config)
    assert text.endswith("}\n")
    assert parse_config(text, "/x") == json.loads(text) == config
