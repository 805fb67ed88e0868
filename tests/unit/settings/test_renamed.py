"""Former names of settings: rejected in an inventory with the new name, translated in a host's records."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from hearth.releases.release import parse_release
from hearth.settings.load import SettingsError
from hearth.settings.model import Settings
from hearth.settings.renamed import RENAMED, with_current_names
from tests.support.shipped import shipped_settings


def test_new_names_are_settings_and_old_ones_are_not() -> None:
    assert {*RENAMED.values()} <= {*Settings.model_fields}
    assert not {*RENAMED} & {*Settings.model_fields}


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_an_old_name_is_rejected_with_the_new_one(old: str, new: str) -> None:
    with pytest.raises(SettingsError) as refused:
        shipped_settings(**{old: {"anna": {"env": "a-secret-in-the-wrong-place"}}})
    assert str(refused.value) == f"host: {old}: renamed; use {new}"


@pytest.mark.parametrize(
    ("old", "new"),
    [("people or programs", "users or api_keys"), ("networks and people", "networks and users")],
)
def test_an_old_policy_is_rejected_with_the_new_one(old: str, new: str, make_settings: Callable[..., Settings]) -> None:
    with pytest.raises(SettingsError, match=f'proxy_access = .{old}.: use "{new}"'):
        make_settings(proxy_access=old)


def test_records_are_translated_to_the_current_names() -> None:
    route = {"path": "/x", "to": "/api/chat", "methods": ["POST"], "access": "programs"}
    recorded = {
        "proxy_access": "networks and (people or programs)",
        "proxy_people": {"programs": {"env": "PEOPLE"}},
        "proxy_queue_wait": 30,
        "proxy_extra_routes": [route],
        "chat_title": "people",
    }
    current = {
        "proxy_access": "networks and (users or api_keys)",
        "proxy_users": {"programs": {"env": "PEOPLE"}},
        "proxy_queue_timeout": 30,
        "proxy_extra_routes": [route | {"access": "api_keys"}],
        "chat_title": "people",
    }
    assert with_current_names(recorded) == current
    assert with_current_names(current) == current
    text = json.dumps({"id": "1", "created": "", "commit": "", "by": "", "settings": recorded})
    assert parse_release(text).settings == current
