"""Who may call: the words for it, networks, and what the settings refuse."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from hearth.settings.access import Access, check_network, parse_access
from hearth.settings.load import SettingsError, load_settings
from hearth.settings.model import Settings

Make = Callable[..., Settings]

ANNA = {"anna": {"env": "HEARTH_ANNA"}}
NOTEBOOK = {"notebook": {"file": "~/.hearth/notebook"}}
HOME = ["192.168.1.0/24"]
PULL = {"path": "/api/pull", "to": "/api/pull", "methods": ["POST"]}
CHAT = {"path": "/api/x", "to": "/api/chat", "methods": ["POST"]}
CALLERS: dict[str, Any] = {"proxy_allowed_networks": HOME, "proxy_users": ANNA, "proxy_api_keys": NOTEBOOK}


def refusal(make: Make, **values: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        make(**values)
    assert "\n" not in str(caught.value), "one wrong value, one line"
    return str(caught.value)


@pytest.mark.parametrize(
    ("words", "access"),
    [
        ("anyone", Access()),
        ("networks or api_keys", Access(networks=True, api_keys=True)),
        ("networks and users", Access(networks=True, users=True, both=True)),
        ("networks and (users or api_keys)", Access(networks=True, users=True, api_keys=True, both=True)),
    ],
)
def test_words_and_what_they_mean(words: str, access: Access) -> None:
    assert parse_access(words) == access


@pytest.mark.parametrize(
    ("words", "needs_sign_in", "left"),
    [
        ("anyone", False, "anyone"),
        ("networks", False, "networks"),
        ("users", True, "anyone"),
        ("users or api_keys", True, "anyone"),
        ("networks or users", False, "anyone"),
        ("networks and users", True, "networks"),
        ("networks and (users or api_keys)", True, "networks"),
    ],
)
def test_what_a_way_in_asks_for(words: str, needs_sign_in: bool, left: str) -> None:
    access = parse_access(words)
    assert access.needs_sign_in is needs_sign_in
    assert access.without_sign_in == parse_access(left)


@pytest.mark.parametrize(
    ("words", "right"),
    [
        ("users or networks", '"networks or users" would be right'),
        ("People", '"users" would be right'),
        ("api_keys or users", '"users or api_keys" would be right'),
        ("users and networks", '"networks and users" would be right'),
        ("networks and users or api_keys", '"networks and (users or api_keys)" or "networks or users or api_keys"'),
        ("everyone", '"anyone", "networks", "users"'),
        ("users and api_keys", '"anyone", "networks", "users"'),
        ("", '"anyone", "networks", "users"'),
        ("people\n", '"users" would be right'),
    ],
)
def test_other_words_are_refused_with_what_would_be_right(make_settings: Make, words: str, right: str) -> None:
    with pytest.raises(ValueError, match=re.escape(right)):
        parse_access(words)
    message = refusal(make_settings, proxy_access=words)
    assert f"proxy_access = {words!r}: " in message
    assert right in message


@pytest.mark.parametrize("network", ["192.168.1.0/24", "192.168.1.20", "10.0.0.0/8", "172.17.0.0/16", "100.64.0.0/10"])
def test_networks(network: str) -> None:
    assert check_network(network) == network


@pytest.mark.parametrize(
    ("network", "right"),
    [
        ("192.168.1.20/24", 'write "192.168.1.0/24"'),
        ("192.168.1.0/255.255.255.0", 'write "192.168.1.0/24"'),
        ("192.168.1.20/32", 'write "192.168.1.20"'),
        ("192.168.1", '"192.168.1.0/24"'),
        ("192.168.1.*", '"192.168.1.0/24"'),
        ("pi.local", '"192.168.1.0/24"'),
        ("192.168.1.0/24\n", '"192.168.1.0/24"'),
        ("", '"192.168.1.0/24"'),
        ("0.0.0.0/0", "everybody"),
        ("172.16.0.0/12", "Docker's own networks are in it"),
        ("fe80::/10", "list IPv4 networks"),
        ("::/0", "list IPv4 networks"),
        ("2001:db8::1", "list IPv4 networks"),
    ],
)
def test_other_networks_are_refused(make_settings: Make, network: str, right: str) -> None:
    message = refusal(make_settings, proxy_access="networks", proxy_allowed_networks=[network])
    assert f"proxy_allowed_networks[0] = {network!r}: " in message
    assert right in message


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"proxy_access": "networks"},
            "proxy_access = 'networks' asks for networks, and proxy_allowed_networks is empty",
        ),
        ({"proxy_access": "users"}, "proxy_access = 'users' asks for users, and proxy_users is empty"),
        (
            {"proxy_extra_routes": [CHAT | {"access": "api_keys"}]},
            "/api/x: access = 'api_keys' asks for api_keys, and proxy_api_keys is empty",
        ),
        (
            {"proxy_users": ANNA},
            "proxy_users is set, and nothing asks for users: proxy_access = 'anyone' lets in without; "
            'proxy_access = "users" would be right, or "access": "users" in a route',
        ),
        ({"proxy_api_keys": NOTEBOOK}, 'proxy_access = "users or api_keys" would be right'),
        ({"proxy_allowed_networks": HOME}, 'proxy_access = "networks" would be right'),
        (
            {"proxy_access": "api_keys", "proxy_api_keys": NOTEBOOK},
            "proxy_access = 'api_keys': the chat page can't send an API key",
        ),
        (
            {"proxy_access": "networks and api_keys", "proxy_api_keys": NOTEBOOK, "proxy_allowed_networks": HOME},
            "the chat page can't send an API key",
        ),
    ],
)
def test_callers_that_nothing_lets_in_and_ways_in_for_nobody(make_settings: Make, values: Any, said: str) -> None:
    assert said in refusal(make_settings, **values)


def test_a_route_has_its_own_callers_or_those_of_the_page(make_settings: Make) -> None:
    open_one = CHAT | {"path": "/api/y", "access": "anyone"}
    settings = make_settings(
        **CALLERS, proxy_access="networks or users or api_keys", proxy_extra_routes=[CHAT, open_one]
    )
    found = {route.path: settings.access_of(route) for route in settings.routes}
    assert (
        found["/api/x"] == found["/api/tags"] == settings.page_access == parse_access("networks or users or api_keys")
    )
    assert found["/api/y"].anyone
    assert settings.keeps_secrets
    assert not make_settings().keeps_secrets
    assert not make_settings(proxy_access="networks", proxy_allowed_networks=HOME).keeps_secrets


@pytest.mark.parametrize("words", ["users", "api_keys", "users or api_keys", "networks and users"])
def test_management_is_for_those_who_signed_in(make_settings: Make, words: str) -> None:
    access = parse_access(words)
    callers = {
        "proxy_allowed_networks": HOME if access.networks else [],
        "proxy_users": ANNA if access.users else {},
        "proxy_api_keys": NOTEBOOK if access.api_keys else {},
    }
    settings = make_settings(**callers, proxy_extra_routes=[PULL | {"access": words}])
    assert [route.path for route in settings.routes if route.is_management] == ["/api/pull"]


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("users or api_keys", "anyone"),
        ("users or api_keys", "networks"),
        ("users or api_keys", "networks or users"),
        ("networks or users or api_keys", ""),
    ],
)
def test_management_without_sign_in_is_refused(make_settings: Make, page: str, words: str) -> None:
    route = PULL | ({"access": words} if words else {})
    callers = CALLERS if "networks" in page + words else CALLERS | {"proxy_allowed_networks": []}
    message = refusal(make_settings, **callers, proxy_access=page, proxy_extra_routes=[route])
    assert f'/api/pull: /api/pull lets its callers change or fill this host, and "{words or page}" lets' in message
    assert '"access": "users"' in message
    assert "docker exec hearth-ollama ollama" in message


# --- Where secrets come from ----------------------------------------------------------------------

SECRET = "hunter2-and-more"


@pytest.mark.parametrize("name", ["proxy_users", "proxy_api_keys"])
@pytest.mark.parametrize(
    "value",
    [
        SECRET,
        [SECRET],
        {"anna": SECRET},
        {"anna": {"value": SECRET}},
        {"anna": {"password": SECRET}},
        {"anna": {"env": SECRET}},
        {"anna": {"file": SECRET}},
        {"anna": {"command": SECRET}},
        {"anna": {"command": [SECRET, 1]}},
        {"anna": {"env": "HEARTH_ANNA", "file": SECRET}},
        {"anna": [SECRET]},
    ],
)
def test_what_was_put_in_place_of_a_source_is_refused_and_never_shown(
    make_settings: Make, name: str, value: Any
) -> None:
    message = refusal(make_settings, **{name: value})
    assert name in message
    assert SECRET not in message


def test_a_misspelt_setting_of_secrets_is_not_shown_either(make_settings: Make) -> None:
    assert refusal(make_settings, proxy_peple={"anna": SECRET}).endswith('did you mean "proxy_users"?')
    assert SECRET not in refusal(make_settings, proxy_peple={"anna": SECRET})


@pytest.mark.parametrize(
    ("source", "right"),
    [
        ("x", 'say where it comes from: {"env": "HEARTH_ANNA"}, {"file":'),
        ({"env": "1x"}, 'name of an environment variable, such as {"env": "HEARTH_ANNA"}'),
        ({"file": "anna"}, 'path from / or ~/, such as {"file": "~/.hearth/anna"}'),
        ({"command": "pass show anna"}, 'such as {"command": ["pass", "show", "hearth/anna"]}'),
        ({"command": []}, 'such as {"command": ["pass", "show", "hearth/anna"]}'),
        ({"command": ["", "x"]}, 'such as {"command": ["pass", "show", "hearth/anna"]}'),
    ],
)
def test_a_source_that_is_none_is_refused_with_one_that_is(make_settings: Make, source: Any, right: str) -> None:
    message = refusal(make_settings, proxy_access="users", proxy_users={"anna": source})
    assert "proxy_users[anna]: " in message
    assert right in message


@pytest.mark.parametrize("name", ["", "a b", "a:b", "-a", "ä", "a\n", "x" * 65])
def test_a_name_is_a_plain_word(make_settings: Make, name: str) -> None:
    message = refusal(make_settings, proxy_access="users", proxy_users={name: {"env": "X"}})
    assert "a name has up to 64 letters" in message


@pytest.mark.parametrize("source", [{"env": "A"}, {"file": "/a b"}, {"command": ["pass", "show", "x y"]}])
def test_sources_go_into_records_as_they_were_written(make_settings: Make, source: Any) -> None:
    settings = make_settings(proxy_access="users", proxy_users={"anna": source})
    dumped = settings.model_dump(mode="json")
    assert dumped["proxy_users"] == {"anna": source}
    assert load_settings(dumped) == settings
