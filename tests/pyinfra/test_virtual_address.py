"""The virtual address: when something is changed, and the scripts."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from inspect import unwrap
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from hearth.paths import (
    KEEPALIVED_RECORD,
    VIRTUAL_ADDRESS_CHECK,
    VIRTUAL_ADDRESS_CONF,
    VIRTUAL_ADDRESS_SERVICE,
    VIRTUAL_ADDRESS_UNIT,
)
from hearth.runtime.written_files import digest
from hearth.settings.virtual_address import VirtualRouter
from hearth.virtual_address import deploy, operations
from hearth.virtual_address.facts import VirtualAddress
from hearth.virtual_address.operations import removal_script, share_address, share_script, stop_sharing
from hearth.virtual_address.place import InterfaceAddress
from hearth.virtual_address.rules import VirtualAddressState, render_files
from tests.pyinfra.conftest import Result, Run
from tests.pyinfra.shell import Sandbox, check_syntax
from tests.support.shipped import shipped_settings

ROUTER = VirtualRouter("192.168.1.5", "192.168.1.11", ("192.168.1.12",), id=112, priority=200)
PLACE = InterfaceAddress("eth0", IPv4Interface("192.168.1.11/24"))
FILES = render_files(ROUTER, PLACE)
RIGHT = VirtualAddressState(
    installed=True,
    active=True,
    enabled=True,
    files={path: digest(text) for path, text in FILES.items()},
    loaded=digest(FILES[VIRTUAL_ADDRESS_CONF]),
    peers=ROUTER.peers,
    addresses=(PLACE,),
)


def share(run: Run, state: VirtualAddressState) -> Result:
    return run(share_address, {VirtualAddress: state}, router=ROUTER, timeout=60)


def test_a_host_in_sync_is_not_changed(run: Run) -> None:
    result = share(run, RIGHT)
    assert result.commands == []
    assert result.noop == "192.168.1.5 is shared with 192.168.1.12"


def test_a_missing_package_is_installed_and_recorded_first(run: Run) -> None:
    (script,) = share(run, VirtualAddressState(addresses=(PLACE,))).scripts
    assert script == share_script(FILES, install=True, restart=True, timeout=60)
    assert script.index(f"touch {KEEPALIVED_RECORD}") < script.index("\napt_install keepalived")


def test_another_configuration_is_reloaded_and_the_package_is_the_users(run: Run) -> None:
    result = share(run, replace(RIGHT, files={**RIGHT.files, VIRTUAL_ADDRESS_CONF: "x"}))
    assert "differs; writing it" in str(result.said)
    (script,) = result.scripts
    assert f"systemctl reload-or-restart {VIRTUAL_ADDRESS_SERVICE}" in script
    assert "apt_install keepalived" not in script
    assert KEEPALIVED_RECORD not in script


def test_another_unit_restarts_the_service(run: Run) -> None:
    (script,) = share(run, replace(RIGHT, files={**RIGHT.files, VIRTUAL_ADDRESS_UNIT: "x"})).scripts
    assert f"systemctl restart {VIRTUAL_ADDRESS_SERVICE}" in script


def test_an_own_address_that_is_gone_is_refused(run: Run) -> None:
    (refusal,) = share(run, replace(RIGHT, addresses=())).refusals
    assert "this host does not have 192.168.1.11" in refusal


def test_a_removed_setting_removes_it(run: Run) -> None:
    (script,) = run(stop_sharing, {}, timeout=60).scripts
    assert script == removal_script(60)


@pytest.mark.parametrize(
    ("state", "router", "at_once", "in_turn"),
    [
        (RIGHT, ROUTER, ["share"], []),
        # Who begins to share it is the last to do so.
        (replace(RIGHT, files={}), ROUTER, [], ["share"]),
        # Who stops is the first.
        (RIGHT, None, ["stop"], []),
    ],
)
def test_what_is_changed_on_all_hosts_at_once(
    monkeypatch: pytest.MonkeyPatch,
    state: VirtualAddressState,
    router: VirtualRouter | None,
    at_once: list[str],
    in_turn: list[str],
) -> None:
    done: list[str] = []

    monkeypatch.setattr(deploy, "current_fact", lambda _fact: state)
    monkeypatch.setattr(operations, "share_address", lambda **_options: done.append("share"))
    monkeypatch.setattr(operations, "stop_sharing", lambda **_options: done.append("stop"))
    settings = shipped_settings()
    unwrap(deploy.agree_on_virtual_address)(settings, router, exists=True)
    assert done == at_once
    unwrap(deploy.virtual_address)(settings, router)
    assert done == at_once + in_turn


def test_the_scripts_are_valid_shell() -> None:
    for install in (True, False):
        check_syntax(share_script(FILES, install, restart=False, timeout=60))
    check_syntax(removal_script(60))


# --- the scripts, run -------------------------------------------------------------------------------

SHARE = share_script(FILES, install=False, restart=False, timeout=60)


@pytest.fixture(name="host")
def _host(tmp_path: Path) -> Sandbox:
    """A host with a keepalived and a systemctl that always succeed."""
    sandbox = Sandbox(tmp_path)
    (tmp_path / "etc").mkdir()
    for name in ("keepalived", "systemctl", "apt-get", "dpkg-query", "dpkg"):
        sandbox.program(name)
    return sandbox


def on(host: Sandbox, script: str) -> subprocess.CompletedProcess[str]:
    script = script.replace("/etc/keepalived/", f"{host.directory}/etc/")
    return host.run(script.replace("/etc/systemd/system/", f"{host.directory}/etc/"))


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_files_are_checked_before_they_are_used(host: Sandbox) -> None:
    done = on(host, SHARE)
    assert done.returncode == 0, done.stderr
    directory = host.root / "virtual-address"
    assert names(directory) == {"keepalived.conf", "responds.bash"}
    assert f'{host.root}/virtual-address/responds.bash 192.168.1.11"' in (directory / "keepalived.conf").read_text()
    assert host.calls == [
        f"keepalived --config-test --use-file={directory}/keepalived.conf.new",
        "systemctl daemon-reload",
        f"systemctl enable --quiet {VIRTUAL_ADDRESS_SERVICE}",
        f"systemctl reload-or-restart {VIRTUAL_ADDRESS_SERVICE}",
    ]


def test_a_configuration_that_keepalived_rejects_changes_nothing(host: Sandbox) -> None:
    assert on(host, SHARE).returncode == 0
    before = (host.root / "virtual-address/keepalived.conf").read_text()
    host.program("keepalived", "echo 'Unknown keyword' >&2; exit 5")
    done = on(host, SHARE.replace("priority 200", "priority 7"))
    assert done.returncode != 0
    assert "keepalived rejects its configuration" in done.stderr
    assert (host.root / "virtual-address/keepalived.conf").read_text() == before
    assert names(host.root / "virtual-address") == {"keepalived.conf", "responds.bash"}
    assert host.calls[-1].startswith("keepalived")


def test_a_keepalived_that_ends_itself_in_the_test_is_no_obstacle(host: Sandbox) -> None:
    """As Debian 12's does: keepalived#2587."""
    host.program("keepalived", "kill -TERM $$; exit 0")
    assert on(host, SHARE).returncode == 0


@pytest.mark.parametrize(
    ("recorded", "users_conf", "removes"), [(True, False, True), (False, False, False), (True, True, False)]
)
def test_removal_is_complete_and_leaves_the_users_package(
    host: Sandbox, recorded: bool, users_conf: bool, removes: bool
) -> None:
    assert on(host, SHARE).returncode == 0
    if recorded:
        (host.root / "keepalived.installed").touch()
    if users_conf:
        (host.directory / "etc/keepalived.conf").write_text("vrrp_instance users {}")
    done = on(host, removal_script(60))
    assert done.returncode == 0, done.stderr
    assert names(host.root) == set()
    assert names(host.directory / "etc") == ({"keepalived.conf"} if users_conf else set())
    assert any("remove keepalived" in call for call in host.calls) is removes
    assert on(host, removal_script(60)).returncode == 0


# --- the fact ---------------------------------------------------------------------------------------

CONF = [
    "@@conf",
    *render_files(replace(ROUTER, peers=(*ROUTER.peers, "192.168.1.13")), PLACE)[VIRTUAL_ADDRESS_CONF].split("\n"),
]
ADDRESSES = [
    "@@addresses",
    "1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever",
    "2: eth0    inet 192.168.1.11/24 brd 192.168.1.255 scope global dynamic eth0\\       valid_lft 42sec",
    "2: eth0    inet 192.168.1.5/24 scope global secondary proto 0x12 eth0\\       valid_lft forever",
    "7: tun0    inet 10.8.0.2 peer 10.8.0.1/32 scope global tun0\\       valid_lft forever",
]


def test_output_of_a_host_is_parsed() -> None:
    lines = ["@@package", "installed", "@@files"]
    lines += [f"{number}  {path}" for number, path in enumerate((VIRTUAL_ADDRESS_CHECK, VIRTUAL_ADDRESS_CONF))]
    state = VirtualAddress().process([*lines, "@@service", "active", "enabled", "@@loaded", "1  -", *CONF, *ADDRESSES])
    assert state == VirtualAddressState(
        installed=True,
        active=True,
        enabled=True,
        files={VIRTUAL_ADDRESS_CHECK: "0", VIRTUAL_ADDRESS_CONF: "1"},
        loaded="1",
        peers=("192.168.1.12", "192.168.1.13"),
        addresses=(
            InterfaceAddress("lo", IPv4Interface("127.0.0.1/8")),
            PLACE,
            InterfaceAddress("eth0", IPv4Interface("192.168.1.5/24")),
        ),
    )


def test_output_of_a_fresh_host_is_parsed() -> None:
    fresh = ["@@package", "@@files", "@@service", "inactive", "@@loaded", "@@addresses"]
    assert VirtualAddress().process(fresh) == VirtualAddressState()
