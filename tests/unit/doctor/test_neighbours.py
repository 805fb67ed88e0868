"""Tables of neighbours as each system prints them, and what follows. test_network.py has real ones, on Linux.

The formats of macOS and Windows are those of published output; addresses and names are our own.
"""

from __future__ import annotations

import socket
import subprocess
from typing import Any

import pytest

from hearth.doctor.address import Address
from hearth.doctor.client_environment import ClientEnvironment
from hearth.doctor.neighbours import Neighbour, neighbour_of, parse_linux, parse_proc, parse_table
from hearth.doctor.tcp import Attempt, connection_cause

ITERM, TERMINAL = (
    ClientEnvironment("Darwin", terminal="iTerm.app"),
    ClientEnvironment("Darwin", terminal="Apple_Terminal"),
)
LINUX, WINDOWS = ClientEnvironment("Linux"), ClientEnvironment("Windows")
MAC_ARP = """\
? (192.168.1.1) at 0:18:1:8f:23:ed on en0 ifscope [ethernet]
? (192.168.1.18) at (incomplete) on en0 ifscope [ethernet]
? (192.168.1.189) at dc:a6:32:1:2:3 on en0 ifscope [ethernet]
? (192.168.1.255) at ff:ff:ff:ff:ff:ff on en0 ifscope [ethernet]
"""
MAC_NDP = """\
Neighbor                                Linklayer Address  Netif Expire    S Flags
fd00::10                                dc:a6:32:1:2:3       en0 23h59m58s S
fe80::18%en0                            (incomplete)         en0 expired   I
fe80::10%en0                            dc:a6:32:1:2:3       en0 14s       R R
"""
WINDOWS_ARP = """
Interface: 192.168.1.7 --- 0xb
  Internet Address      Physical Address      Type
  192.168.1.1           00-18-01-8f-23-ed     dynamic
  192.168.1.18          00-00-00-00-00-00     invalid
  192.168.1.189         dc-a6-32-01-02-03     dynamic
  192.168.1.255         ff-ff-ff-ff-ff-ff     static
"""
# As Python reads the code page of a German console as UTF-8.
GERMAN_ARP = """
Schnittstelle: 192.168.1.7 --- 0xb
  Internetadresse       Physische Adresse     Typ
  192.168.1.1           00-18-01-8f-23-ed     dynamisch
  192.168.1.18          00-00-00-00-00-00     ung\ufffdltig
  192.168.1.189         dc-a6-32-01-02-03     dynamisch
  192.168.1.255         ff-ff-ff-ff-ff-ff     statisch
"""
WINDOWS_NDP = """

Interface 11: Ethernet


Internet Address                              Physical Address   Type
--------------------------------------------  -----------------  -----------
fe80::10                                      dc-a6-32-01-02-03  Reachable (Router)
fe80::18                                      Unreachable        Unreachable
ff02::2                                       33-33-00-00-00-02  Permanent
"""
GERMAN_NDP = """

Schnittstelle 11: Ethernet


Internetadresse                               Physische Adresse  Typ
--------------------------------------------  -----------------  -----------
fe80::10                                      dc-a6-32-01-02-03  Erreichbar (Router)
fe80::18                                      Nicht erreichbar   Nicht erreichbar
ff02::2                                       33-33-00-00-00-02  Permanent
"""
PROC = """\
IP address       HW type     Flags       HW address            Mask     Device
192.168.1.18     0x1         0x0         00:00:00:00:00:00     *        eth0
192.168.1.189    0x1         0x2         dc:a6:32:01:02:03     *        eth0
"""


@pytest.mark.parametrize("table", [MAC_ARP, WINDOWS_ARP, GERMAN_ARP])
def test_ipv4_tables(table: str) -> None:
    found = parse_table(table, "192.168.1.189")
    assert (found.state, found.hardware.replace("-", ":").replace(":0", ":")) == ("present", "dc:a6:32:1:2:3")
    assert parse_table(table, "192.168.1.18") == Neighbour("silent")
    assert parse_table(table, "192.168.1.8") == Neighbour("none")
    assert parse_table(table, "192.168.1.7").state == "none", "this machine's own address"


@pytest.mark.parametrize("table", [MAC_NDP, WINDOWS_NDP, GERMAN_NDP])
def test_ipv6_tables(table: str) -> None:
    assert parse_table(table, "fe80:0::10%en0").state == "present"
    assert parse_table(table, "fe80::18%en0") == Neighbour("silent")
    assert parse_table(table, "fe80::1") == Neighbour("none")


def test_linux_tables() -> None:
    assert parse_proc(PROC, "192.168.1.189") == Neighbour("present", "dc:a6:32:01:02:03")
    assert parse_proc(PROC, "192.168.1.18") == Neighbour("silent")
    assert parse_proc(PROC, "192.168.1.1") == Neighbour("none")
    assert parse_linux("", "192.168.1.1") == parse_linux("[]", "192.168.1.1") == Neighbour("none")
    assert parse_linux("BusyBox v1.36.1 multi-call binary.", "192.168.1.1") == Neighbour()
    docker = '{"dst":"192.168.1.9","dev":"br-1","state":["FAILED"]}'
    card = '{"dst":"192.168.1.9","dev":"eth0","lladdr":"dc:a6:32:01:02:03","state":["%s"]}'
    assert parse_linux(f"[{docker}]", "192.168.1.9") == Neighbour("silent")
    assert parse_linux(f"[{docker},{card % 'STALE'}]", "192.168.1.9").state == "present"
    assert parse_linux(f"[{docker},{card % 'REACHABLE'}]", "192.168.1.9").state == "alive"
    assert parse_linux(f"[{card % 'FAILED'}]", "192.168.1.9") == Neighbour("silent"), "it was there before"


@pytest.mark.parametrize(
    ("system", "address", "program"),
    [
        ("Darwin", "192.168.1.189", "arp"),
        ("Darwin", "fe80::10%en0", "ndp"),
        ("Windows", "192.168.1.189", "arp"),
        ("Windows", "fe80::10", "netsh"),
        ("Linux", "fe80::10%eth0", "ip"),
    ],
)
def test_a_missing_program_is_no_clue(monkeypatch: pytest.MonkeyPatch, system: str, address: str, program: str) -> None:
    asked: list[str] = []

    def run(command: list[str], **_: Any) -> None:
        asked.append(command[0])
        raise FileNotFoundError(command[0])

    monkeypatch.setattr(subprocess, "run", run)
    assert neighbour_of(address, ClientEnvironment(system)) == Neighbour()
    assert asked == [program]


# --- What follows -------------------------------------------------------------------------------------

KNOWN, ALIVE = Neighbour("present", "dc:a6:32:1:2:3"), Neighbour("alive", "dc:a6:32:1:2:3")
SILENT, NONE, UNKNOWN = Neighbour("silent"), Neighbour("none"), Neighbour()


@pytest.mark.parametrize(
    ("reason", "environment", "neighbour", "cause"),
    [
        # An entry and no route: a policy.
        ("host-unreachable", ITERM, KNOWN, "local-network-privacy"),
        ("host-unreachable", TERMINAL, KNOWN, "local-policy"),
        ("host-unreachable", LINUX, KNOWN, "local-policy"),
        ("host-unreachable", WINDOWS, KNOWN, "local-policy"),
        # No device responded: the host is off.
        ("host-unreachable", ITERM, SILENT, "host-absent"),
        ("host-down", ITERM, SILENT, "host-absent"),
        ("host-unreachable", LINUX, SILENT, "host-absent"),
        ("timeout", LINUX, SILENT, "host-absent"),
        ("timeout", WINDOWS, SILENT, "host-absent"),
        ("timeout", WINDOWS, NONE, "host-absent"),
        # Not asked for. macOS does not ask on behalf of a program that it blocks.
        ("host-unreachable", ITERM, NONE, "local-network-privacy"),
        ("host-unreachable", TERMINAL, NONE, "host-unreachable"),
        ("host-unreachable", LINUX, NONE, "host-unreachable"),
        ("timeout", LINUX, NONE, "host-silent"),
        ("timeout", LINUX, ALIVE, "host-drops"),
        # A hardware address may outlive its device by minutes.
        ("timeout", LINUX, KNOWN, "host-silent"),
        ("timeout", WINDOWS, KNOWN, "host-silent"),
        ("host-unreachable", LINUX, UNKNOWN, "host-unreachable"),
        ("refused", LINUX, ALIVE, "port-refused"),
        ("forbidden", LINUX, ALIVE, "connection-forbidden"),
    ],
)
def test_causes(reason: str, environment: ClientEnvironment, neighbour: Neighbour, cause: str) -> None:
    pi = Address(socket.AF_INET, ("192.168.1.189", 85))
    attempt = Attempt(pi.text, reason, source="192.168.1.7")
    assert connection_cause(attempt, pi, environment, (), "", neighbour).id == cause


def test_a_port_that_responds_says_more_than_the_table() -> None:
    pi = Address(socket.AF_INET, ("192.168.1.189", 85))
    attempt = Attempt(pi.text, "timeout", source="192.168.1.7")
    assert connection_cause(attempt, pi, LINUX, (22,), "", SILENT).id == "port-filtered"


def test_windows_says_nothing_of_other_networks() -> None:
    far = Address(socket.AF_INET, ("10.20.30.40", 85))
    attempt = Attempt(far.text, "timeout", source="192.168.1.7")
    assert connection_cause(attempt, far, WINDOWS, (), "", NONE).id == "host-silent"
