"""The firewall's operations: when they change something, and their scripts. Packets: test_firewall_packets.py."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from hearth.firewall.facts import Firewall
from hearth.firewall.operations import apply_firewall, apply_script, removal_script
from hearth.firewall.rules import TABLE, UNIT, FirewallState, render_rules
from hearth.paths import FIREWALL_LOADED, FIREWALL_UNIT
from hearth.runtime.written_files import digest
from tests.pyinfra.conftest import Result, Run
from tests.pyinfra.shell import HOSTILE, Sandbox, check_syntax

NETWORKS = ("192.168.1.0/24",)
PORTS = frozenset({("0.0.0.0", 85), ("127.0.0.1", 11434)})
RULES = render_rules(NETWORKS, PORTS)
RIGHT = FirewallState(
    has_nft=True, rules=digest(RULES), unit=digest(UNIT), enabled=True, active=True, loaded=digest(RULES), intact=True
)


def apply(run: Run, state: FirewallState) -> Result:
    return run(apply_firewall, {Firewall: state}, networks=NETWORKS, ports=PORTS, timeout=60)


def test_a_firewall_in_sync_is_not_changed(run: Run) -> None:
    result = apply(run, RIGHT)
    assert result.commands == []
    assert result.noop == "only 192.168.1.0/24 may reach 85", "11434 is on loopback"


@pytest.mark.parametrize(
    "state", [FirewallState(), replace(RIGHT, has_nft=False), replace(RIGHT, intact=False), replace(RIGHT, rules="old")]
)
def test_a_difference_is_reported_and_fixed(run: Run, state: FirewallState) -> None:
    result = apply(run, state)
    assert result.said
    (script,) = result.scripts
    assert script == apply_script(RULES, not state.has_nft, 60)
    assert ("apt_install nftables" in script) is not state.has_nft


def test_the_scripts_are_valid_shell() -> None:
    for install in (True, False):
        check_syntax(apply_script(f"{RULES}{HOSTILE}", install, 60))
    check_syntax(removal_script())


@pytest.fixture(name="host")
def _host(tmp_path: Path) -> Sandbox:
    """A host with an nft and a systemctl that always succeed."""
    sandbox = Sandbox(tmp_path)
    (tmp_path / "etc").mkdir()
    sandbox.program("nft")
    sandbox.program("systemctl")
    return sandbox


def on(host: Sandbox, script: str) -> subprocess.CompletedProcess[str]:
    for path in (FIREWALL_UNIT, FIREWALL_LOADED):
        script = script.replace(path, f"{host.directory}/etc/{path.rpartition('/')[2]}")
    return host.run(script)


APPLY = apply_script(RULES, install=False, timeout=60)


def test_rules_are_checked_first_and_loaded_by_the_service(host: Sandbox) -> None:
    done = on(host, APPLY)
    assert done.returncode == 0, done.stderr
    assert (host.root / "firewall.nft").read_text() == RULES
    assert host.calls == [
        f"nft -c -f {host.root}/firewall.nft.new",
        "systemctl daemon-reload",
        "systemctl enable --quiet hearth-firewall.service",
        "systemctl reload-or-restart hearth-firewall.service",
        f"nft list table {TABLE}",
    ]
    assert {path.name for path in (host.directory / "etc").iterdir()} == {"hearth-firewall.service"}


def test_rules_that_the_host_rejects_change_nothing(host: Sandbox) -> None:
    (host.root).mkdir()
    (host.root / "firewall.nft").write_text("old")
    host.program("nft", "echo 'Error: Could not process rule: Operation not permitted' >&2; exit 1")
    done = on(host, APPLY)
    assert done.returncode != 0
    assert "Operation not permitted" in done.stderr
    assert "modprobe nf_tables" in done.stderr
    assert (host.root / "firewall.nft").read_text() == "old"
    assert [path.name for path in host.root.iterdir()] == ["firewall.nft"]
    assert not any("systemctl" in call for call in host.calls)


def test_a_service_that_fails_fails_the_run(host: Sandbox) -> None:
    host.program("systemctl", 'case "$1" in reload-or-restart) exit 1;; esac')
    assert on(host, APPLY).returncode != 0


def test_removal_is_complete(host: Sandbox) -> None:
    assert on(host, APPLY).returncode == 0
    (host.directory / "etc/hearth-firewall").touch()
    done = on(host, removal_script())
    assert done.returncode == 0, done.stderr
    assert list(host.root.iterdir()) == []
    assert list((host.directory / "etc").iterdir()) == []
    assert host.calls[-1] == f"nft delete table {TABLE}"


def test_a_half_removed_firewall_is_removed_completely(host: Sandbox) -> None:
    host.program("nft", "exit 1")
    host.program("systemctl", '[ "$1" = daemon-reload ]')
    host.root.mkdir()
    assert on(host, removal_script()).returncode == 0
    assert "delete" not in " ".join(host.calls)
