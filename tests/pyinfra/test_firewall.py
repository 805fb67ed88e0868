"""The firewall's operations: when they change something, and their scripts. Packets: test_firewall_packets.py."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hearth.firewall import deploy, operations
from hearth.firewall.facts import Firewall
from hearth.firewall.operations import apply_firewall, apply_script, removal_script
from hearth.firewall.rules import (
    SHOW_SOURCES,
    TABLE,
    UNIT,
    FirewallState,
    Restrictions,
    parse_sources,
    render_rules,
)
from hearth.paths import FIREWALL_LOADED, FIREWALL_RULES, FIREWALL_UNIT
from hearth.runtime.written_files import digest
from hearth.settings.model import Settings
from tests.pyinfra.conftest import Result, Run
from tests.pyinfra.shell import HOSTILE, Sandbox, check_syntax

Make = Callable[..., Settings]
WANTED = Restrictions(("192.168.1.0/24",), frozenset({85}), frozenset({("127.0.0.1", 11434)}))
RULES = render_rules(WANTED)
RIGHT = FirewallState(
    has_nft=True, rules=digest(RULES), unit=digest(UNIT), enabled=True, active=True, loaded=digest(RULES), intact=True
)


def apply(run: Run, state: FirewallState, wanted: Restrictions = WANTED) -> Result:
    return run(apply_firewall, {Firewall: state}, wanted=wanted, timeout=60)


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


@pytest.mark.parametrize(
    ("changes", "about"),
    [
        ({"sources": ("192.168.1.0/24",)}, "only 192.168.1.0/24 may reach 85 and 11435"),
        ({"sources": ("10.0.0.1",)}, "only 192.168.1.0/24 may reach 85 and only 10.0.0.1 may reach 11435"),
        ({"networks": (), "sources": ("10.0.0.1",)}, "only 10.0.0.1 may reach 11435"),
        ({}, "only 192.168.1.0/24 may reach 85 and nobody may reach 11435"),
    ],
)
def test_who_may_reach_what_is_reported(run: Run, changes: dict[str, Any], about: str) -> None:
    wanted = replace(WANTED, ollama=frozenset({("0.0.0.0", 11435)}), **changes)
    assert apply(run, FirewallState(), wanted).said[-1].endswith(about)


def test_callers_of_ollama_are_read_from_the_rules(tmp_path: Path) -> None:
    path = tmp_path / "firewall.nft"
    for sources in ((), ("10.0.0.1/32", "10.9.0.0/16", "fd12::/16")):
        path.write_text(render_rules(replace(WANTED, sources=sources)))
        show = SHOW_SOURCES.replace(FIREWALL_RULES, str(path))
        assert parse_sources(subprocess.check_output(["sh", "-c", show], text=True).splitlines()) == sources


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


def steps(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, published: dict[int, bool], *sources: str
) -> list[tuple[str, Restrictions | None]]:
    """The operations of a deploy on a host that has a firewall with these callers of Ollama."""
    found: list[tuple[str, Restrictions | None]] = []

    def record(name: str, wanted: Restrictions | None = None, timeout: int = 0) -> None:  # noqa: ARG001
        found.append((name, wanted))

    monkeypatch.setattr(operations, "apply_firewall", record)
    monkeypatch.setattr(operations, "remove_firewall", record)
    monkeypatch.setattr(deploy, "current_fact", lambda _: FirewallState(sources=sources))
    deploy.firewall._inner(settings, published)
    found.append(("the hosts' turns", None))
    deploy.narrow_firewall._inner(settings, True, published)
    return found


GATEWAY, FORMER = "10.0.0.1", "10.0.0.2"


def test_a_backend_in_sync_needs_no_second_step(monkeypatch: pytest.MonkeyPatch, make_settings: Make) -> None:
    backend = make_settings(host_role="backend", ollama_allowed_networks=[GATEWAY])
    (first, _), (last, _) = steps(monkeypatch, backend, {11434: False}, f"{GATEWAY}/32")
    assert (first, last) == ("Restrict Hearth's ports", "the hosts' turns")


def test_former_ports_and_gateways_are_kept_until_the_end(monkeypatch: pytest.MonkeyPatch, make_settings: Make) -> None:
    backend = make_settings(host_role="backend", ollama_publish="0.0.0.0:11435", ollama_allowed_networks=[GATEWAY])
    (_, kept), _, (last, wanted) = steps(monkeypatch, backend, {11434: False}, FORMER)
    assert last == "Narrow the firewall"
    assert kept
    assert wanted
    assert ({port for _, port in kept.ollama}, kept.sources) == ({11434, 11435}, (f"{GATEWAY}/32", f"{FORMER}/32"))
    assert ({port for _, port in wanted.ollama}, wanted.sources) == ({11435}, (GATEWAY,))


def test_a_firewall_is_not_removed_before_what_it_protects(
    monkeypatch: pytest.MonkeyPatch, make_settings: Make
) -> None:
    """A backend becomes a host with a page, whose Ollama is for the host alone."""
    assert [name for name, _ in steps(monkeypatch, make_settings(), {11434: False}, GATEWAY)] == [
        "the hosts' turns",
        "Remove the firewall",
    ]
