"""The settings of several hosts together: what each learns of the others, and what is refused."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from hearth.render.compose import render_compose
from hearth.settings.house import HouseError, known_address, resolve_house
from hearth.settings.load import SettingsError, load_settings
from hearth.settings.model import Settings
from hearth.settings.pools import OWN_OLLAMA
from tests.support.documented import blocks
from tests.support.shipped import shipped_settings

PI, PC, MAC = "192.168.1.189", "192.168.1.20", "192.168.1.30"
TWO = {"default": [{"host": PC, "slots": 2}, {"host": PI, "priority": 2, "slots": 1}]}


def house(hosts: dict[str, dict[str, Any]]) -> dict[str, Settings]:
    settings = {name: shipped_settings(**values) for name, values in hosts.items()}
    return resolve_house(settings, {name: known_address(name, one) for name, one in settings.items()})


def test_a_host_alone_is_unchanged(settings: Settings) -> None:
    assert house({PI: {}})[PI] == settings


def test_a_pi_and_a_pc_learn_of_each_other() -> None:
    found = house({PI: {"ollama_pools": TWO}, PC: {"host_role": "backend"}})
    members = found[PI].ollama_pools["default"]
    assert [(one.url, one.priority, one.slots) for one in members] == [
        (f"http://{PC}:11434", 1, 2),
        (OWN_OLLAMA, 2, 1),
    ]
    assert found[PC].published_ports == {("0.0.0.0", 11434)}
    assert found[PC].ollama_sources == (PI,)
    assert found[PC].images.keys() == {"ollama"}
    assert not found[PI].needs_firewall


def test_a_backend_knows_which_of_its_callers_are_gateways() -> None:
    """They keep no idle connections, other clients do."""
    chosen = ["192.168.1.0/24", PI, "10.0.0.9"]
    found = house(
        {PI: {"ollama_pools": TWO}, PC: {"host_role": "backend", "ollama_allowed_networks": chosen}},
    )
    assert found[PC].ollama_allowed_networks == (PI, "192.168.1.0/24", "10.0.0.9/32")
    assert found[PC].gateway_addresses == (PI,)
    alone = house({PI: {"ollama_publish": "0.0.0.0:11434", "ollama_allowed_networks": ["10.0.0.9"]}})
    assert alone[PI].ollama_allowed_networks == ("10.0.0.9/32",)


def test_host_address_is_for_hosts_addressed_by_name() -> None:
    pools = {"default": [{"host": "pc"}]}
    found = house(
        {
            "pi": {"host_role": "gateway", "host_address": PI, "ollama_pools": pools},
            "pc": {"host_role": "backend", "host_address": PC},
        }
    )
    assert found["pi"].ollama_pools["default"][0].url == f"http://{PC}:11434"
    assert found["pc"].ollama_allowed_networks == (PI,)
    assert found["pi"].offered_models == ()


@pytest.mark.parametrize(
    "values",
    [
        {"ollama_gpu": "nvidia", "ollama_gpu_devices": ["0"]},
        {"ollama_gpu": "amd", "ollama_image": "ollama/ollama:0.32.15-rocm"},
    ],
)
def test_a_gateway_needs_no_gpu(values: dict[str, Any]) -> None:
    """Though it is set for all hosts of the inventory."""
    pools = {"default": [{"host": PC}]}
    found = house(
        {PI: {"host_role": "gateway", "ollama_pools": pools, **values}, PC: {"host_role": "backend", **values}}
    )
    assert (found[PI].ollama_gpu, found[PI].ollama_gpu_devices) == ("off", ())
    assert found[PC].ollama_gpu == values["ollama_gpu"]


def test_a_named_pool_leaves_the_routes_to_the_own_ollama() -> None:
    found = house({PI: {"ollama_pools": {"big": [{"host": PC}]}}, PC: {"host_role": "backend", "ollama_models": ["b"]}})
    assert [one.url for one in found[PI].ollama_pools["default"]] == [OWN_OLLAMA]
    assert "/big/v1/chat/completions" in [route.path for route in found[PI].routes]


def test_a_big_model_may_be_on_one_backend_that_is_also_a_pool_of_its_own() -> None:
    hosts: dict[str, dict[str, Any]] = {
        PI: {"ollama_pools": TWO},
        PC: {"host_role": "backend", "ollama_models": ["llama3.2:1b", "qwen3:32b"]},
    }
    with pytest.raises(HouseError, match=f"{PI}: ollama_models lacks qwen3:32b, which {PC} in the same pool"):
        house(hosts)
    house(hosts | {PI: {"ollama_pools": TWO | {"big": [{"host": PC}]}}})


BACKEND = {"host_role": "backend"}
BY_URL: dict[str, Any] = {"host": PC, "url": f"http://{PC}:11434"}
REFUSED: list[tuple[dict[str, dict[str, Any]], str]] = [
    ({PI: {"ollama_pools": TWO}}, f"the inventory has no host '{PC}'"),
    ({PI: {"ollama_pools": TWO}, PC: {}}, "ollama_publish = '127.0.0.1:11434', which 192.168.1.189 can't reach"),
    (
        {PI: {"ollama_pools": TWO}, PC: {"ollama_publish": ""}},
        f"{PC} has ollama_publish = '', which {PI} can't reach; use host_role = \"backend\" there, or publish the port "
        f'on its address in your network: "{PC}:11434"',
    ),
    # With its URL, too.
    (
        {PI: {"ollama_pools": {"default": [{"host": PI}, BY_URL]}}, PC: {"ollama_publish": ""}},
        f"{PC} has ollama_publish = '', which {PI} can't reach",
    ),
    (
        {PI: {"ollama_pools": {"default": [{"host": PI}, BY_URL]}}, PC: {}},
        f"If http://{PC}:11434 is another Ollama, give it another name",
    ),
    (
        {
            PI: {"ollama_pools": TWO},
            PC: {"host_role": "gateway", "ollama_pools": {"default": [{"url": f"http://{MAC}"}]}},
        },
        "so it runs no Ollama",
    ),
    (
        {PI: {"ollama_pools": TWO}, PC: BACKEND, MAC: BACKEND},
        f'{MAC}: host_role = "backend", but no gateway lists it',
    ),
    (
        {PI: {"ollama_pools": TWO}, PC: BACKEND | {"ollama_allowed_networks": ["10.0.0.0/8"]}},
        f"shuts out its gateway {PI}",
    ),
    ({PI: {"ollama_pools": {"default": [{"host": PC}]}}, PC: BACKEND}, "no pool lists its own Ollama"),
    (
        {PI: {"ollama_pools": {"default": [{"host": PC}, {"host": PI}, {"url": f"http://{PC}"}]}}, PC: BACKEND},
        "is listed twice",
    ),
    # One name, and two addresses: only one of them would be drained.
    (
        {PI: {"ollama_pools": TWO | {"big": [{"host": PC, "url": f"http://{PC}:11435"}]}}, PC: BACKEND},
        f"{PI}: ollama_pools has {PC} at http://{PC}:11434 and at http://{PC}:11435; list it in the same way",
    ),
    (
        {PI: {"ollama_pools": TWO | {"big": [{"host": PI, "url": f"http://{PI}:11434"}]}}, PC: BACKEND},
        f"{PI}: ollama_pools has {PI} at http://ollama:11434 and at http://{PI}:11434",
    ),
    ({PI: {"ollama_pools": TWO}, PC: BACKEND, "other": {"host_address": PI}}, "have the same address"),
    (
        {"pi": {"ollama_pools": {"default": [{"host": "pi"}, {"host": "pc"}]}}, "pc": BACKEND},
        'add "host_address": "192.168.1.20" (its IPv4 address) to pc',
    ),
    (
        {"pi": {"ollama_pools": {"default": [{"host": "pi"}, {"host": PC}]}}, PC: BACKEND},
        'add "host_address": "192.168.1.10" (its IPv4 address) to pi',
    ),
    (
        {PI: {"ollama_pools": TWO}, PC: BACKEND | {"ollama_models": ["tiny"]}},
        f'{PI}: ollama_models lacks tiny, which {PC} in the same pool "default"',
    ),
]


def test_an_ollama_that_is_not_hearths_may_be_on_a_gateway() -> None:
    """Its port is none of Hearth's, so nothing about it is restricted."""
    other = {"host_role": "gateway", "ollama_pools": {"default": [{"url": f"http://{MAC}"}]}}
    found = house({PI: {"host_role": "gateway", "ollama_pools": {"default": [BY_URL]}}, PC: other})
    assert found[PC].ollama_sources == ()
    assert not found[PC].needs_firewall


@pytest.mark.parametrize(("hosts", "message"), REFUSED)
def test_contradictions_are_refused(hosts: dict[str, dict[str, Any]], message: str) -> None:
    with pytest.raises(HouseError) as error:
        house(hosts)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ollama_pools": {"big": []}}, 'pool "big" has no members'),
        ({"ollama_pools": {"api": [{"host": PC}]}}, "/api is a path already"),
        ({"ollama_pools": {"Big": [{"host": PC}]}}, "becomes the first part of paths"),
        ({"ollama_pools": {"big": [{}]}}, "for a host of the inventory"),
        ({"ollama_pools": {"big": [{"host": PC}, {"host": PC}]}}, "is listed twice"),
        ({"ollama_pools": {"big": [{"url": "http://127.0.0.1:11434"}]}}, "httpd runs in a container"),
        ({"ollama_pools": {"big": [{"url": "http://mac.local:11434"}]}}, "use the IP address"),
        ({"ollama_pools": {"big": [{"url": "http://mac:11434/api"}]}}, "without a path"),
        ({"ollama_pools": {"big": [{"host": PC, "slots": 252}, {"host": PI}]}}, "have 260 slots in total"),
        (
            {"ollama_pools": {"default": [{"host": PC}]}, "proxy_max_streams_per_caller": 5},
            "the 4 slots of ollama_pools",
        ),
        ({"host_role": "gateway"}, "have no pool for the routes"),
        ({"host_address": "pi.local"}, "use the host's IPv4 address"),
        ({"ollama_allowed_networks": [PI]}, "is for programs on the host only"),
        (
            {"ollama_allowed_networks": [PI], "ollama_publish": ""},
            "but ollama_publish = '' publishes no port; publish the port on the host's address",
        ),
        (
            {
                "ollama_pools": {"default": [{"host": PC}]},
                "proxy_api_keys": {"n": {"env": "N"}},
                "proxy_extra_routes": [
                    {"path": "/api/pull", "to": "/api/pull", "methods": ["POST"], "access": "api_keys"}
                ],
            },
            "changes a single Ollama",
        ),
    ],
)
def test_settings_of_one_host_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        shipped_settings(**values)
    assert message in str(error.value)


def test_settings_of_what_a_host_does_not_run_are_ignored() -> None:
    everything = {
        "proxy_users": {"anna": {"env": "A"}},
        "proxy_access": "users",
        "metrics_access": "users",
        "proxy_tls": "local-ca",
        "proxy_tls_names": ["pi.local"],
    }
    backend = shipped_settings(host_role="backend", **everything)
    assert not backend.uses_credentials
    assert not backend.metrics_access
    assert not backend.has_tls_files
    gateway = shipped_settings(host_role="gateway", ollama_pools={"default": [{"host": PC}]}, **everything)
    assert gateway.uses_credentials
    assert gateway.published_ports == {("0.0.0.0", 85), ("0.0.0.0", 443)}
    assert gateway.pulled_models == ()


@pytest.mark.parametrize("text", [one for one in blocks("docs/scaling.md", "python") if " = [" in one])
def test_the_inventories_in_the_docs_are_valid(text: str) -> None:
    groups: dict[str, Any] = {}
    exec(text, groups)
    hosts = {name: data for group in groups.values() if isinstance(group, list) for name, data in group}
    connection = {"ssh_user"}
    found = house({name: {k: v for k, v in data.items() if k not in connection} for name, data in hosts.items()})
    assert all(member.url for one in found.values() for pool in one.ollama_pools.values() for member in pool)


TLS_BACKEND = {"host_role": "backend", "ollama_publish_tls": True}
ONE = {"default": [{"host": PC}]}


def test_a_backend_over_tls_publishes_no_plain_ollama() -> None:
    found = house({PI: {"host_role": "gateway", "ollama_pools": ONE}, PC: TLS_BACKEND})
    backend, gateway = found[PC], found[PI]
    assert gateway.ollama_pools["default"][0].url == f"https://{PC}.backend.internal:11434"
    assert gateway.tls_backends == {f"{PC}.backend.internal": PC}
    assert (backend.proxy_tls, backend.proxy_tls_names) == ("local-ca", (f"{PC}.backend.internal",))
    assert backend.published_ports == {("0.0.0.0", 11434)}
    assert backend.ollama_sources == (PI,)
    services = yaml.safe_load(render_compose(backend))["services"]
    assert "ports" not in services["ollama"]
    assert services["httpd"]["ports"] == ["0.0.0.0:11434:443"]
    assert yaml.safe_load(render_compose(gateway))["services"]["httpd"]["extra_hosts"] == [
        f"{PC}.backend.internal:{PC}"
    ]
    # As a release or a backup has them.
    for settings in (backend, gateway):
        assert load_settings(settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize(
    ("gateway", "backend", "message"),
    [
        ({"proxy_tls_ca": "~/other"}, {}, "so it would not trust it; use the same directory for both"),
        ({}, {"host_role": "both"}, 'is for a host with host_role = "backend", and this one has "both"'),
        ({}, {"proxy_tls_ca": ""}, 'proxy_tls_ca = ""; use a directory'),
        ({"ollama_pools": {"default": [{"url": f"https://{PC}:11434"}]}}, {}, "TLS leads only to backends of the"),
    ],
)
def test_tls_that_can_not_work_is_refused(gateway: dict[str, Any], backend: dict[str, Any], message: str) -> None:
    hosts = {PI: {"host_role": "gateway", "ollama_pools": ONE} | gateway, PC: TLS_BACKEND | backend}
    with pytest.raises((HouseError, SettingsError), match=re.escape(message)):
        house(hosts)
