"""The probes of what a container allows Docker to do: namespaces of this machine stand in for LXC's."""

from __future__ import annotations

import errno

import pytest

from hearth.preflight.lxc import container_obstacles
from tests.pyinfra.confined import NESTED, ROOT_ONE, USER_ONE, missing_privileges, probe
from tests.pyinfra.shell import check_syntax

COVERED = "mount -t tmpfs none /proc/sys"
WITH_THIS_PROC = "unshare --map-root-user --mount --pid --fork"
NOT_THEIR_NETWORK = f"setpriv --reuid 65534 --regid 65534 --clear-groups {USER_ONE}"
_LAYERS = "lowerdir=/var/lib/a,upperdir=/var/lib/b,workdir=/var/lib/c"
OVERLAID = f"cd /var/lib; mkdir a b c; mount -t overlay -o {_LAYERS} none /var/lib"


@pytest.fixture(autouse=True)
def _possible() -> None:
    if why := missing_privileges():
        pytest.skip(why)


def test_a_container_without_restrictions() -> None:
    found = probe()
    assert (found.kind, found.privileged, found.has_keyctl, found.sysctl) == ("lxc", True, True, 0)
    assert (found.proc, found.overlay, found.storage) == ("", "", "tmpfs")
    assert container_obstacles(found, False) == []


def test_an_unprivileged_one_is_detected_by_its_ids() -> None:
    """In its own network namespace, like LXC's, its root may set the network's sysctls."""
    found = probe(inside=f"{USER_ONE} --net")
    assert (found.privileged, found.proc, found.sysctl) == (False, "", 0)


def test_a_second_proc_is_blocked_if_the_first_is_covered() -> None:
    """The kernel's own rule, which nesting works around with /dev/.lxc/proc."""
    found = probe(COVERED, WITH_THIS_PROC)
    assert found.proc == "mount: /var/lib: permission denied."
    (sentence,) = container_obstacles(found, False)
    assert "pct set ID -features nesting=1,keyctl=1" in sentence


def test_a_missing_keyctl_is_detected() -> None:
    found = probe(without="keyctl")
    assert found.has_keyctl is False
    assert found.proc == ""


def test_a_blocked_sysctl_is_detected() -> None:
    """For root of a user namespace in another network namespace: EACCES, AppArmor's error in runc#4968."""
    found = probe(inside=NOT_THEIR_NETWORK)
    assert found.sysctl == errno.EACCES
    (sentence,) = container_obstacles(found, False)
    assert "runc#4968" in sentence


def test_a_disk_without_overlay_support_is_detected() -> None:
    """An overlay itself, as in a container whose root is one."""
    found = probe(OVERLAID)
    assert found.storage == "overlayfs"
    assert "overlay" in found.overlay, found.overlay
    (sentence,) = container_obstacles(found, False)
    assert "pct set ID -mp0" in sentence


def test_a_second_proc_is_blocked_despite_nesting() -> None:
    found = probe(f"{NESTED}; {COVERED}", WITH_THIS_PROC)
    assert found.nesting
    (sentence,) = container_obstacles(found, False)
    assert "Nesting is on, so something else blocks it" in sentence


@pytest.mark.parametrize(
    ("before", "inside", "fix"),
    [
        (COVERED, WITH_THIS_PROC, "Use a machine, or an LXC container with nesting"),
        ("", NOT_THEIR_NETWORK, "Update the software that runs this container"),
        (OVERLAID, ROOT_ONE, "Put /var/lib/docker on ext4 or xfs"),
    ],
)
def test_a_container_of_another_kind_gets_its_own_fix(before: str, inside: str, fix: str) -> None:
    (sentence,) = container_obstacles(probe(before, inside, kind="docker"), False)
    assert sentence.endswith(fix)
    assert "pct" not in sentence


def test_the_probe_cleans_up() -> None:
    assert probe("trap 'test -z \"$(ls -A /var/lib)\"' EXIT").overlay == ""


def test_scripts_are_valid_in_the_hosts_shells() -> None:
    from hearth.preflight.facts import HostFacts

    check_syntax(HostFacts().command(("/var/lib/docker",), "/mnt/ssd"))
