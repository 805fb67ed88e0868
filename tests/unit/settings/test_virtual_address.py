"""A virtual address that several hosts share: what each learns of the others, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from hearth.settings.house import HouseError, known_address, resolve_house
from hearth.settings.load import SettingsError
from hearth.settings.model import Settings
from hearth.settings.virtual_address import VirtualRouter, virtual_router
from tests.support.shipped import shipped_settings

ONE, TWO, THREE, VIRTUAL = "192.168.1.11", "192.168.1.12", "192.168.1.13", "192.168.1.5"
SHARED = {"host_virtual_address": VIRTUAL}


def house(hosts: dict[str, dict[str, Any]]) -> dict[str, Settings]:
    settings = {name: shipped_settings(**values) for name, values in hosts.items()}
    return resolve_house(settings, {name: known_address(name, one) for name, one in settings.items()})


def test_hosts_learn_of_each_other_in_the_order_of_the_inventory() -> None:
    found = house({ONE: SHARED, "node": SHARED | {"host_address": TWO}, THREE: SHARED, "192.168.1.14": {}})
    assert virtual_router(ONE, found) == VirtualRouter(VIRTUAL, ONE, (TWO, THREE), id=112, priority=200)
    assert virtual_router("node", found) == VirtualRouter(VIRTUAL, TWO, (ONE, THREE), id=112, priority=199)
    assert virtual_router(THREE, found) == VirtualRouter(VIRTUAL, THREE, (ONE, TWO), id=112, priority=198)
    assert virtual_router("192.168.1.14", found) is None
    assert not any(one.needs_firewall for one in found.values())


@pytest.mark.parametrize("address", ["10.0.0.1", "192.168.1.254", "192.168.255.255", "172.16.0.255"])
def test_numbers_of_virtual_routers_are_valid(address: str) -> None:
    found = house({ONE: {"host_virtual_address": address}, TWO: {"host_virtual_address": address}})
    router = virtual_router(ONE, found)
    assert router is not None
    assert 1 <= router.id <= 255


def test_two_addresses_are_two_groups() -> None:
    other = {"host_virtual_address": "192.168.1.6"}
    found = house({ONE: SHARED, TWO: other, THREE: SHARED, "192.168.1.14": other})
    routers = [virtual_router(name, found) for name in found]
    assert [router.peers for router in routers if router] == [(THREE,), ("192.168.1.14",), (ONE,), (TWO,)]
    assert [router.priority for router in routers if router] == [200, 200, 199, 199]


def test_certificates_of_the_local_ca_are_valid_for_it() -> None:
    tls = {"proxy_tls": "local-ca", "proxy_tls_names": ["hearth.local"]}
    found = house({ONE: SHARED | tls, TWO: SHARED | tls})
    assert found[ONE].proxy_tls_names == ("hearth.local", VIRTUAL)
    listed = tls | {"proxy_tls_names": [VIRTUAL]}
    assert house({ONE: SHARED | listed, TWO: SHARED | listed})[ONE].proxy_tls_names == (VIRTUAL,)


def test_a_backend_ignores_it() -> None:
    """It may be set for all hosts of the inventory."""
    pools = {"ollama_pools": {"default": [{"host": THREE}]}, "host_role": "gateway"}
    found = house({ONE: SHARED | pools, TWO: SHARED | pools, THREE: SHARED | {"host_role": "backend"}})
    assert virtual_router(THREE, found) is None
    assert virtual_router(ONE, found).peers == (TWO,)  # type: ignore[union-attr]


ACME = {
    "proxy_tls": "acme",
    "proxy_tls_names": ["chat.example.org"],
    "proxy_acme_terms": "accepted",
    "proxy_acme_contact": "anna@example.org",
}
REFUSED: list[tuple[dict[str, dict[str, Any]], str]] = [
    (
        {ONE: SHARED, TWO: {}},
        f'{ONE}: host_virtual_address = "{VIRTUAL}", and no other host could take it over; give it to a second host',
    ),
    (
        {
            ONE: SHARED | {"ollama_pools": {"default": [{"host": ONE}, {"host": TWO}]}},
            TWO: SHARED | {"host_role": "backend"},
        },
        'with the chat page (host_role = "both" or "gateway")',
    ),
    (
        {ONE: {"host_virtual_address": TWO}, THREE: {"host_virtual_address": TWO}, TWO: {}},
        f'{ONE}: host_virtual_address = "{TWO}" is the own address of {TWO}; use a free address',
    ),
    (
        {ONE: SHARED, "node": SHARED},
        f'node: host_virtual_address = "{VIRTUAL}" needs the host\'s own address, and the inventory addresses the host '
        'by a name; add "host_address"',
    ),
    (
        {ONE: SHARED, TWO: SHARED | {"proxy_port": 80}},
        f'{ONE} and {TWO} share host_virtual_address = "{VIRTUAL}", but have proxy_port = 85 and proxy_port = 80; use '
        "the same on both",
    ),
    (
        {ONE: SHARED, TWO: SHARED | {"proxy_tls": "local-ca", "proxy_tls_names": ["pi.local"]}},
        'but have proxy_tls = "off" and proxy_tls = "local-ca"',
    ),
    (
        {
            name: SHARED | {"proxy_tls": "local-ca", "proxy_tls_names": ["pi.local"], "proxy_tls_port": port}
            for name, port in ((ONE, 443), (TWO, 8443))
        },
        "but have proxy_tls_port = 443 and proxy_tls_port = 8443",
    ),
    (
        dict.fromkeys((ONE, TWO), SHARED | ACME),
        f'{TWO}: host_virtual_address = "{VIRTUAL}" and proxy_tls = "acme": a CA validates a name by connecting to it',
    ),
    ({ONE: SHARED, "node": SHARED | {"host_address": ONE}}, "have the same address"),
]


@pytest.mark.parametrize(("hosts", "message"), REFUSED)
def test_contradictions_are_refused(hosts: dict[str, dict[str, Any]], message: str) -> None:
    with pytest.raises(HouseError) as error:
        house(hosts)
    assert message in str(error.value)


@pytest.mark.parametrize(
    "value", ["hearth.local", "fd00::5", "127.0.0.1", "0.0.0.0", "224.0.0.18", "255.255.255.255", "192.168.1.5/24"]
)
def test_other_addresses_are_refused(value: str) -> None:
    with pytest.raises(SettingsError, match="use a free IPv4 address of your network"):
        shipped_settings(host_virtual_address=value)
