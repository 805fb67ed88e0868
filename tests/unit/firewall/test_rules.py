"""The firewall's rules, and the differences on a host. Packets: tests/pyinfra."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.firewall.rules import (
    TABLE,
    UNIT,
    FirewallState,
    Restrictions,
    allows,
    find_differences,
    parse_sources,
    render_rules,
)
from hearth.paths import FIREWALL_LOADED, FIREWALL_RULES, NETWORKS, SERVICE_NETWORKS
from hearth.runtime.written_files import digest
from hearth.settings.load import SettingsError
from hearth.settings.model import Settings

Make = Callable[..., Settings]
LAN, GATEWAY, FORMER = "192.168.1.0/24", "192.168.1.10", "192.168.1.11"
OLLAMA = frozenset({("127.0.0.1", 11434), ("192.168.1.5", 11435)})
WANTED = Restrictions((LAN,), frozenset({85}), OLLAMA, (LAN,))
RULES = render_rules(WANTED)
BACKEND = Restrictions(ollama=frozenset({("0.0.0.0", 11435)}), sources=(GATEWAY,))
RIGHT = FirewallState(
    has_nft=True, rules=digest(RULES), unit=digest(UNIT), enabled=True, active=True, loaded=digest(RULES), intact=True
)


# --- the rules ------------------------------------------------------------------------------------


def lines(rules: str) -> list[str]:
    return [line.strip() for line in rules.splitlines()]


def test_rules_replace_existing_ones_atomically() -> None:
    code = [line for line in lines(RULES) if not line.startswith("#")]
    assert code[:3] == [f"table {TABLE}", f"delete table {TABLE}", f"table {TABLE} {{"]
    assert "flush" not in RULES, "other rules are not Hearth's"


def test_ports_are_restricted_on_their_published_address() -> None:
    rules = [line for line in lines(RULES) if "dport" in line]
    assert rules == [
        "tcp dport 85 goto ask",
        "ip daddr 127.0.0.1 tcp dport 11434 goto refuse",
        "ip daddr 192.168.1.5 tcp dport 11435 goto ask_ollama",
    ]


def elements(rules: str) -> dict[str, str]:
    """The elements of each set that has some."""
    found, name = {}, ""
    for line in lines(rules):
        if line.startswith("set "):
            name = line.split()[1]
        elif line.startswith("elements = "):
            found[name] = line.removeprefix("elements = { ").removesuffix(" }")
    return found


def test_what_leads_to_a_container_and_is_not_the_page_is_ollama() -> None:
    *_, page, ollama, last = (line for line in lines(RULES.partition("chain input")[0]) if " goto " in f" {line}")
    assert page == 'oifname "hearth-front" ct status dnat goto ask'
    assert (ollama, last) == ("ct status dnat goto ask_ollama", "goto refuse")
    assert elements(RULES) == {"allowed4": LAN, "allowed4_ollama": LAN, "pages": "85"}


def test_the_page_is_open_to_all_where_only_ollama_is_restricted() -> None:
    rules = render_rules(replace(BACKEND, pages=frozenset({85})))
    assert "chain ask {\n\t\taccept\n\t}" in rules
    assert elements(rules) == {"allowed4_ollama": f"{GATEWAY}/32", "pages": "85"}


def test_networks_are_sorted_by_family_and_merged() -> None:
    networks = ("10.0.0.0/8", "fd00::/8", "10.1.0.0/16", "fd12::/16", "192.168.1.20")
    found = elements(render_rules(Restrictions(networks=networks, sources=networks)))
    four, six = "10.0.0.0/8, 192.168.1.20/32", "fd00::/8"
    assert found == {"allowed4": four, "allowed6": six, "allowed4_ollama": four, "allowed6_ollama": six}
    assert parse_sources([four, six]) == ("10.0.0.0/8", "192.168.1.20/32", "fd00::/8")


def test_all_bridges_match_the_pattern() -> None:
    assert all(network.startswith("hearth-") for network in frozenset.union(*SERVICE_NETWORKS.values()))
    assert set(NETWORKS) > frozenset.union(*SERVICE_NETWORKS.values())
    assert RULES.count('"hearth-*"') == 2


def test_the_service_loads_the_file_and_records_it() -> None:
    assert f"ExecStart=/usr/sbin/nft -f {FIREWALL_RULES}\n" in UNIT
    assert UNIT.count(f"> {FIREWALL_LOADED}'\n") == 2
    assert f"delete table {TABLE}\n" in UNIT
    assert "$" not in UNIT, "systemd would expand it"


# --- what differs ---------------------------------------------------------------------------------


def test_a_host_in_sync_has_no_difference() -> None:
    assert find_differences(RIGHT, RULES, "…") == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"has_nft": False, "rules": "", "unit": ""}, ["nftables is missing", "is missing; adding it: …"]),
        ({"rules": digest("old"), "loaded": digest("old")}, ["rules differ; replacing them atomically: …"]),
        # A run that was interrupted between file and service, or a service that somebody stopped.
        ({"loaded": digest("old")}, ["are not loaded; loading them: …"]),
        ({"loaded": "", "intact": False}, ["are not loaded"]),
        ({"active": False}, ["are not loaded"]),
        ({"intact": False}, ["were changed on the host; reloading them"]),
        ({"enabled": False}, ["does not start with the host"]),
        ({"unit": digest("old")}, ["service differs"]),
        ({"unit": "", "enabled": False}, ["service differs"]),
    ],
)  # fmt: skip
def test_differences(changes: dict[str, Any], expected: list[str]) -> None:
    found = find_differences(replace(RIGHT, **changes), RULES, "…")
    assert len(found) == len(expected)
    for sentence, part in zip(found, expected, strict=True):
        assert part in sentence


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        ("192.168.1.20", True),
        ("192.168.2.20", False),
        ("::ffff:192.168.1.20", True),
        ("fd00::1", False),
        ("fe80::1%eth0; flush ruleset", False),
    ],
)
def test_allowed_clients(client: str, expected: bool) -> None:
    assert allows(["192.168.1.0/24"], client) is expected


def test_link_local_addresses() -> None:
    assert allows(["fe80::/10"], "fe80::1%eth0")


# --- until all hosts have had their turn ----------------------------------------------------------


def test_a_host_in_sync_keeps_nothing_for_later() -> None:
    assert WANTED.with_current({}, ()) == WANTED
    assert render_rules(WANTED.with_current({85: True, 11434: False, 11435: False}, [LAN])) == RULES


def test_former_ports_stay_restricted() -> None:
    found = WANTED.with_current({80: True, 11436: False}, [])
    assert found.pages == {80, 85}
    assert found.ollama == {*OLLAMA, ("0.0.0.0", 11436)}


def test_the_former_port_of_a_backend_is_open_to_its_gateways_alone() -> None:
    during = BACKEND.with_current({11434: False}, [f"{GATEWAY}/32"])
    assert during.sources == BACKEND.sources, "as users know it"
    rules = render_rules(during)
    assert [line for line in lines(rules) if line.startswith("tcp dport")] == [
        "tcp dport 11434 goto ask_ollama",
        "tcp dport 11435 goto ask_ollama",
    ]
    assert elements(rules) == {"allowed4_ollama": f"{GATEWAY}/32"}


def test_a_former_gateway_is_still_admitted() -> None:
    rules = render_rules(BACKEND.with_current({11435: False}, [FORMER]))
    assert elements(rules) == {"allowed4_ollama": "192.168.1.10/31"}


def test_an_ollama_that_is_no_longer_published_keeps_its_gateways() -> None:
    rules = render_rules(Restrictions((LAN,), frozenset({85})).with_current({11434: False}, [GATEWAY]))
    assert elements(rules) == {"allowed4": LAN, "allowed4_ollama": f"{GATEWAY}/32", "pages": "85"}


def test_a_port_that_is_ollamas_until_then_is_not_opened_as_the_pages() -> None:
    wanted = replace(BACKEND, pages=frozenset({11434}))
    assert wanted.with_current({11434: False}, []).pages == set()


def test_the_settings_tell_who_may_reach_ollama(make_settings: Make) -> None:
    lan: dict[str, Any] = {"firewall_allowed_networks": [LAN]}
    assert make_settings(**lan).ollama_sources == (), "on loopback"
    assert make_settings(**lan, ollama_publish="0.0.0.0:11434").ollama_sources == (LAN,)
    own = make_settings(**lan, ollama_publish="0.0.0.0:11434", ollama_allowed_networks=[GATEWAY])
    assert own.ollama_sources == (GATEWAY,)
    assert own.published_ports == {("0.0.0.0", 85), ("0.0.0.0", 11434)}
    assert own.page_ports == {85}
    assert own.ollama_ports == {("0.0.0.0", 11434)}


# --- the setting ----------------------------------------------------------------------------------


def test_networks_and_addresses_are_kept_as_written(make_settings: Make) -> None:
    networks = ("192.168.1.0/24", "192.168.2.7", "fd12:3456:789a::/48", "fd12::7")
    assert make_settings(firewall_allowed_networks=list(networks)).firewall_allowed_networks == networks


def test_there_is_no_firewall_by_default(settings: Settings) -> None:
    assert settings.firewall_allowed_networks == ()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("192.168.1.5/24", 'use "192.168.1.0/24"'),
        ("192.168.1.0/255.255.255.0", 'use "192.168.1.0/24"'),
        ("FD12::/16", 'use "fd12::/16"'),
        ("0.0.0.0/0", "this includes every address"),
        ("::/0", "this includes every address"),
        ("::ffff:192.168.1.0/120", "write an IPv4 network in IPv4 notation"),
        ("lan", 'a network is "192.168.1.0/24"'),
        ("", 'a network is "192.168.1.0/24"'),
        ("192.168.1.0/24; flush ruleset", 'a network is "192.168.1.0/24"'),
        ("fe80::1%eth0", 'a network is "192.168.1.0/24"'),
    ],
)
def test_invalid_networks_are_rejected(make_settings: Make, value: str, message: str) -> None:
    with pytest.raises(SettingsError, match="firewall_allowed_networks") as refused:
        make_settings(firewall_allowed_networks=[value])
    assert message in str(refused.value)


@given(st.text())
def test_only_networks_get_into_the_rules(make_settings: Make, value: str) -> None:
    try:
        networks = make_settings(firewall_allowed_networks=[value]).firewall_allowed_networks
    except SettingsError:
        return
    assert set(value) <= set("0123456789abcdef.:/")
    rules = render_rules(replace(WANTED, networks=networks, sources=networks))
    assert rules.count("{") == RULES.count("{")
