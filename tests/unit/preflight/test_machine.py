"""What a machine may lack: rules for what the probe reports. tests/pyinfra/test_machine.py runs the probe."""

from __future__ import annotations

import pytest

from hearth.host.hardware import Hardware
from hearth.preflight.machine import Machine, machine_warnings, parse_machine

PC = Hardware(kernel="x86_64")


def test_old_processor_gets_a_warning() -> None:
    (sentence,) = machine_warnings(Machine(lacks_avx=True), PC, 1500)
    assert "newer processor" in sentence
    assert machine_warnings(Machine(lacks_avx=True), Hardware(kernel="aarch64"), 1500) == []


def test_without_any_line_nothing_is_lacking() -> None:
    assert parse_machine([], in_container=False) == Machine()


@pytest.mark.parametrize(
    "route",
    ["", "[]", "{}", "1.1.1.1 dev eth0", '[{"dst":"1.1.1.1"}]', '[{"type":"unreachable","dst":"1.1.1.1","dev":"lo"}]'],
)
def test_an_unknown_way_out_has_no_mtu(route: str) -> None:
    assert parse_machine(["systemd", "mtu 1400 eth0", f"route {route}"], in_container=False).mtu == 0


def test_the_smallest_known_mtu_counts() -> None:
    route = '[{"dev":"ppp0","metrics":[{"mtu":1480},{"advmss":1440}]}]'
    assert parse_machine(["mtu 1492 ppp0", f"route {route}"], in_container=False).mtu == 1480
    assert parse_machine(["mtu 68 ppp0", 'route [{"dev":"ppp0"}]'], in_container=False).mtu == 0
