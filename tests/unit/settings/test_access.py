"""Access policies: notation, networks, and combinations that are rejected."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from hearth.settings.access import Access, check_network, check_trusted_proxy, parse_access
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
    assert "\n" not in str(caught.value), "one line per invalid value"
    return str(caught.value)


@pytest.mark.parametrize(
    ("policy", "access"),
    [
        ("anyone", Access()),
        ("networks or api_keys", Access(networks=True, api_keys=True)),
        ("networks and users", Access(networks=True, users=True, both=True)),
        ("networks and (users or api_keys)", Access(networks=True, users=True, api_keys=True, both=True)),
    ],
)
def test_policies(policy: str, access: Access) -> None:
    assert parse_access(policy) == access


@pytest.mark.parametrize(
    ("policy", "needs_sign_in", "for_public_files"),
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
def test_what_a_policy_requires(policy: str, needs_sign_in: bool, for_public_files: str) -> None:
    access = parse_access(policy)
    assert access.needs_sign_in is needs_sign_in
    assert access.without_sign_in == parse_access(for_public_files)


@pytest.mark.parametrize(
    ("policy", "instead"),
    [
        ("users or networks", 'use "networks or users"'),
        ("People", 'use "users"'),
        ("api_keys or users", 'use "users or api_keys"'),
        ("users and networks", 'use "networks and users"'),
        ("networks and users or api_keys", 'use "networks and (users or api_keys)" or "networks or users or api_keys"'),
        ("everyone", 'use one of "anyone", "networks", "users"'),
        ("users and api_keys", 'use one of "anyone", "networks", "users"'),
        ("", 'use one of "anyone", "networks", "users"'),
        ("people\n", 'use "users"'),
    ],
)
def test_invalid_policies_are_rejected(make_settings: Make, policy: str, instead: str) -> None:
    with pytest.raises(ValueError, match=re.escape(instead)):
        parse_access(policy)
    message = refusal(make_settings, proxy_access=policy)
    assert f"proxy_access = {policy!r}: " in message
    assert instead in message


@pytest.mark.parametrize("network", ["192.168.1.0/24", "192.168.1.20", "10.0.0.0/8", "172.17.0.0/16", "100.64.0.0/10"])
def test_networks(network: str) -> None:
    assert check_network(network) == network


@pytest.mark.parametrize(
    ("network", "instead"),
    [
        ("192.168.1.20/24", 'use "192.168.1.0/24"'),
        ("192.168.1.0/255.255.255.0", 'use "192.168.1.0/24"'),
        ("192.168.1.20/32", 'use "192.168.1.20"'),
        ("192.168.1", '"192.168.1.0/24"'),
        ("192.168.1.*", '"192.168.1.0/24"'),
        ("pi.local", '"192.168.1.0/24"'),
        ("192.168.1.0/24\n", '"192.168.1.0/24"'),
        ("", '"192.168.1.0/24"'),
        ("0.0.0.0/0", "everybody"),
        ("172.16.0.0/12", "includes Docker's own networks"),
        ("fe80::/10", "list IPv4 networks"),
        ("::/0", "list IPv4 networks"),
        ("2001:db8::1", "list IPv4 networks"),
    ],
)
def test_invalid_networks_are_rejected(make_settings: Make, network: str, instead: str) -> None:
    message = refusal(make_settings, proxy_access="networks", proxy_allowed_networks=[network])
    assert f"proxy_allowed_networks[0] = {network!r}: " in message
    assert instead in message


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"proxy_access": "networks"},
            "proxy_access = 'networks' requires proxy_allowed_networks, which is empty",
        ),
        ({"proxy_access": "users"}, "proxy_access = 'users' requires proxy_users, which is empty"),
        (
            {"proxy_extra_routes": [CHAT | {"access": "api_keys"}]},
            "/api/x: access = 'api_keys' requires proxy_api_keys, which is empty",
        ),
        (
            {"proxy_users": ANNA},
            "proxy_users is set but not used, since proxy_access = 'anyone'; "
            'use proxy_access = "users", or "access": "users" in a route',
        ),
        ({"proxy_api_keys": NOTEBOOK}, 'use proxy_access = "users or api_keys"'),
        ({"proxy_allowed_networks": HOME}, 'use proxy_access = "networks"'),
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
def test_unused_callers_and_policies_without_callers_are_rejected(
    make_settings: Make, values: Any, message: str
) -> None:
    assert message in refusal(make_settings, **values)


def test_a_route_has_its_own_policy_or_that_of_the_page(make_settings: Make) -> None:
    open_one = CHAT | {"path": "/api/y", "access": "anyone"}
    settings = make_settings(
        **CALLERS, proxy_access="networks or users or api_keys", proxy_extra_routes=[CHAT, open_one]
    )
    found = {route.path: settings.access_of(route) for route in settings.routes}
    assert (
        found["/api/x"] == found["/api/tags"] == settings.page_access == parse_access("networks or users or api_keys")
    )
    assert found["/api/y"].anyone
    assert settings.uses_credentials
    assert not make_settings().uses_credentials
    assert not make_settings(proxy_access="networks", proxy_allowed_networks=HOME).uses_credentials


@pytest.mark.parametrize("words", ["users", "api_keys", "users or api_keys", "networks and users"])
def test_management_requires_sign_in(make_settings: Make, words: str) -> None:
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
def test_management_without_sign_in_is_rejected(make_settings: Make, page: str, words: str) -> None:
    route = PULL | ({"access": words} if words else {})
    callers = CALLERS if "networks" in page + words else CALLERS | {"proxy_allowed_networks": []}
    message = refusal(make_settings, **callers, proxy_access=page, proxy_extra_routes=[route])
    assert f'/api/pull: /api/pull lets its callers change or fill this host, and "{words or page}" does' in message
    assert '"access": "users"' in message
    assert "docker exec hearth-ollama ollama" in message


# --- Sources of secrets ---------------------------------------------------------------------------

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
def test_a_secret_instead_of_a_source_is_rejected_and_never_shown(make_settings: Make, name: str, value: Any) -> None:
    message = refusal(make_settings, **{name: value})
    assert name in message
    assert SECRET not in message


def test_the_value_of_a_misspelt_secret_setting_is_not_shown(make_settings: Make) -> None:
    assert refusal(make_settings, proxy_peple={"anna": SECRET}).endswith('did you mean "proxy_users"?')
    assert SECRET not in refusal(make_settings, proxy_peple={"anna": SECRET})


@pytest.mark.parametrize(
    ("source", "instead"),
    [
        ("x", 'use a source: {"env": "HEARTH_ANNA"}, {"file":'),
        ({"env": "1x"}, 'name of an environment variable, such as {"env": "HEARTH_ANNA"}'),
        ({"file": "anna"}, 'path that begins with / or ~/, such as {"file": "~/.hearth/anna"}'),
        ({"command": "pass show anna"}, 'such as {"command": ["pass", "show", "hearth/anna"]}'),
        ({"command": []}, 'such as {"command": ["pass", "show", "hearth/anna"]}'),
        ({"command": ["", "x"]}, 'such as {"command": ["pass", "show", "hearth/anna"]}'),
    ],
)
def test_invalid_sources_are_rejected(make_settings: Make, source: Any, instead: str) -> None:
    message = refusal(make_settings, proxy_access="users", proxy_users={"anna": source})
    assert "proxy_users[anna]: " in message
    assert instead in message


@pytest.mark.parametrize("name", ["", "a b", "a:b", "-a", "ä", "a\n", "x" * 65])
def test_invalid_names_are_rejected(make_settings: Make, name: str) -> None:
    message = refusal(make_settings, proxy_access="users", proxy_users={name: {"env": "X"}})
    assert "a name has up to 64 letters" in message


@pytest.mark.parametrize("source", [{"env": "A"}, {"file": "/a b"}, {"command": ["pass", "show", "x y"]}])
def test_sources_are_recorded_as_written(make_settings: Make, source: Any) -> None:
    settings = make_settings(proxy_access="users", proxy_users={"anna": source})
    dumped = settings.model_dump(mode="json")
    assert dumped["proxy_users"] == {"anna": source}
    assert load_settings(dumped) == settings


@pytest.mark.parametrize(
    "proxy", ["192.168.1.189", "10.0.0.0/30", "100.64.0.1", "172.18.0.7", "fd7a:115c:a1e0::1", "2001:db8::/64"]
)
def test_proxies_may_be_trusted(proxy: str) -> None:
    assert check_trusted_proxy(proxy) == proxy


@pytest.mark.parametrize(
    ("proxy", "instead"),
    [
        ("proxy.local", 'such as "192.168.1.189"'),
        ("", 'such as "192.168.1.189"'),
        ("0.0.0.0/0", "trusts everybody"),
        ("::/0", "trusts everybody"),
        ("192.168.1.189/24", 'use "192.168.1.0/24"'),
        ("192.168.1.189/32", 'use "192.168.1.189"'),
        ("FD00::1", 'use "fd00::1"'),
        ("127.0.0.1", "the host's network address here and in the tunnel"),
        ("127.0.0.0/8", "the host's network address here and in the tunnel"),
        ("::1", "the host's network address here and in the tunnel"),
        # Docker's gateways: the address of every caller that Docker hides.
        ("172.17.0.1", "gateway of Docker"),
        ("172.18.0.1", "gateway of Docker"),
        ("172.18.0.0/16", "the single address of your proxy's container"),
        ("172.16.0.0/12", "the single address of your proxy's container"),
        ("172.0.0.0/8", "the single address of your proxy's container"),
    ],
)
def test_untrustworthy_proxies_are_refused(proxy: str, instead: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is what is tested
        check_trusted_proxy(proxy)
    assert instead in str(caught.value)
