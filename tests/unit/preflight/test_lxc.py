"""Hosts that are containers: failures, and the Proxmox setting that the message names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hearth.preflight.checks import clock_obstacles, find_notes, find_obstacles
from hearth.preflight.facts import HostFactsState
from hearth.preflight.lxc import ContainerHost, container_notes, container_obstacles, parse_container_host
from hearth.settings.model import Settings
from tests.unit.preflight.test_checks import PI

READY = ContainerHost("lxc", nesting=True, storage="ext2/ext3")


def only_failure(host: ContainerHost) -> str:
    (sentence,) = container_obstacles(host, is_running=False)
    return sentence


def test_a_machine_is_not_a_container() -> None:
    assert parse_container_host([]) == ContainerHost()
    assert container_obstacles(ContainerHost(), False) == []
    assert container_notes(ContainerHost()) == []


def test_a_suitable_container() -> None:
    assert container_obstacles(READY, False) == []
    (note,) = container_notes(READY)
    assert note.startswith("an unprivileged LXC container")


def test_a_missing_result_is_not_a_failure() -> None:
    """No perl, a kernel without fsopen, a full disk."""
    found = parse_container_host(["kind lxc"])
    assert (found.kind, found.proc, found.sysctl, found.has_keyctl, found.overlay) == ("lxc", "", 0, True, "")
    assert container_obstacles(found, False) == []


@pytest.mark.parametrize(
    "error",
    ["mount: /var/lib: mount point does not exist.", "unshare: failed to execute mount: No such file or directory"],
)
def test_a_failed_probe_proves_nothing(error: str) -> None:
    """The first is the output in a real LXC container without that directory."""
    assert parse_container_host(["kind lxc", f"proc {error}", f"overlay {error}"]) == ContainerHost("lxc")


@pytest.mark.parametrize(
    "error",
    [
        "mount: /var/lib: permission denied.",
        "unshare: unshare failed: Operation not permitted",
        "mount: /x/merged: wrong fs type, bad option, bad superblock on overlay, missing codepage or helper program",
        "mount: /x/merged: fsconfig system call failed: overlay: filesystem on /x not supported as upperdir.",
        "mount: /x/merged: unknown filesystem type 'overlay'.",
    ],
)
def test_all_errors_of_a_refusal(error: str) -> None:
    found = parse_container_host(["kind lxc", f"proc {error}", f"overlay {error}"])
    assert (found.proc, found.overlay) == (error, error)


@pytest.mark.parametrize(
    ("uids", "privileged"),
    [("0 0 4294967295", True), ("         0     100000      65536", False), ("0 0 65536", False)],
)
def test_a_privileged_one_has_all_ids_of_the_machine(uids: str, privileged: bool) -> None:
    assert parse_container_host(["kind lxc", f"uids {uids}"]).privileged is privileged


def test_without_nesting() -> None:
    sentence = only_failure(replace(READY, nesting=False, proc="mount: /var/lib: permission denied."))
    assert "is not allowed to mount /proc (mount: /var/lib: permission denied.)" in sentence
    assert "on the Proxmox node" in sentence
    assert "`pct set ID -features nesting=1,keyctl=1`, then `pct reboot ID`" in sentence


def test_nesting_that_something_else_blocks() -> None:
    assert "lxc.apparmor.profile" in only_failure(replace(READY, proc="mount: /var/lib: permission denied."))


def test_a_container_of_another_kind_gets_no_proxmox_commands() -> None:
    host = ContainerHost("docker", proc="mount: /var/lib: permission denied.", storage="overlayfs")
    assert not [sentence for sentence in container_obstacles(host, False) if "pct" in sentence]


def test_apparmor_and_a_current_runc() -> None:
    sentence = only_failure(replace(READY, sysctl=13))
    assert "opencontainers/runc#4968" in sentence
    assert "lxc-pve 6.0.5-2" in sentence


def test_without_nesting_every_node_blocks_the_sysctl() -> None:
    """Reproduced in a real LXC container: an update of the node would not help."""
    sentence = only_failure(replace(READY, nesting=False, sysctl=13))
    assert "`pct set ID -features nesting=1,keyctl=1`, then `pct reboot ID`" in sentence
    assert "apt full-upgrade" not in sentence


def test_one_cause_has_one_message() -> None:
    """Without nesting, AppArmor may block both."""
    assert "nesting=1" in only_failure(
        replace(READY, nesting=False, proc="mount: /var/lib: permission denied.", sysctl=13)
    )


@pytest.mark.parametrize("change", [{"proc": "mount: /var/lib: permission denied."}, {"sysctl": 13}])
def test_what_works_with_the_current_runc_is_no_failure(change: dict[str, str | int]) -> None:
    assert container_obstacles(replace(READY, **change), is_running=True) == []  # type: ignore[arg-type]


@pytest.mark.parametrize("storage", ["zfs", "nfs", "overlayfs"])
def test_a_file_system_without_overlay2(storage: str) -> None:
    sentence = only_failure(replace(READY, storage=storage))
    assert f"({storage})" in sentence
    assert "`pct set ID -mp0 STORAGE:32,mp=/var/lib/docker`" in sentence


def test_an_overlay_that_the_kernel_rejects() -> None:
    assert "ext2/ext3; mount: unknown filesystem type" in only_failure(
        replace(READY, overlay="mount: unknown filesystem type 'overlay'.")
    )


def test_disabled_keyctl_is_noted_only() -> None:
    """runc continues without that system call (standard_init_linux.go)."""
    host = replace(READY, has_keyctl=False)
    assert container_obstacles(host, False) == []
    assert "keyctl=1" in container_notes(host)[-1]


def test_a_privileged_one_is_noted() -> None:
    assert "root on the Proxmox node" in container_notes(replace(READY, privileged=True))[1]


def test_preflight_reports_failures_and_notes(settings: Settings) -> None:
    host: HostFactsState = replace(PI, container_host=replace(READY, sysctl=13))
    assert len(find_obstacles(settings, host)) == 1
    assert find_obstacles(settings, replace(host, container_host=READY)) == []
    assert any("LXC" in note for note in find_notes(settings, host))
    assert find_notes(settings, replace(host, images=frozenset({"httpd:2.4.68"}))) == [], (
        "reported once, at the first deploy"
    )


def test_a_containers_clock_is_set_on_the_node() -> None:
    (sentence,) = clock_obstacles(0, 1_769_860_800, in_container=True)
    assert "Proxmox node" in sentence
    assert "sudo date" not in sentence
