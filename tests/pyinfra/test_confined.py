"""What a container lets Docker do, tried for real: namespaces of this machine stand in for LXC's."""

from __future__ import annotations

import errno

import pytest

from hearth.preflight.lxc import container_obstacles
from tests.pyinfra.confined import NESTED, ROOT_ONE, USER_ONE, look, obstacle
from tests.pyinfra.shell import check_syntax

COVERED = "mount -t tmpfs none /proc/sys"
WITH_THIS_PROC = "unshare --map-root-user --mount --pid --fork"
NOT_THEIR_NETWORK = f"setpriv --reuid 65534 --regid 65534 --clear-groups {USER_ONE}"
_LAYERS = "lowerdir=/var/lib/a,upperdir=/var/lib/b,workdir=/var/lib/c"
OVERLAID = f"cd /var/lib; mkdir a b c; mount -t overlay -o {_LAYERS} none /var/lib"


@pytest.fixture(autouse=True)
def _possible() -> None:
    if why := obstacle():
        pytest.skip(why)


def test_a_container_that_lets_docker_be() -> None:
    found = look()
    assert (found.kind, found.privileged, found.has_keyctl, found.sysctl) == ("lxc", True, True, 0)
    assert (found.proc, found.overlay, found.storage) == ("", "", "tmpfs")
    assert container_obstacles(found, False) == []


def test_an_unprivileged_one_is_told_by_its_ids() -> None:
    """With a network of its own, as LXC's have, its root may set the network's sysctls."""
    found = look(inside=f"{USER_ONE} --net")
    assert (found.privileged, found.proc, found.sysctl) == (False, "", 0)


def test_a_second_proc_is_refused_where_the_first_is_covered() -> None:
    """The kernel's own rule, which nesting gets around with /dev/.lxc/proc."""
    found = look(COVERED, WITH_THIS_PROC)
    assert found.proc == "mount: /var/lib: permission denied."
    (sentence,) = container_obstacles(found, False)
    assert "pct set ID -features nesting=1,keyctl=1" in sentence


def test_a_missing_keyctl_is_noticed() -> None:
    found = look(without="keyctl")
    assert found.has_keyctl is False
    assert found.proc == ""


def test_a_sysctl_that_may_not_be_opened_is_noticed() -> None:
    """By root of a user namespace in a network that is not its own: EACCES, which is AppArmor's answer in runc#4968."""
    found = look(inside=NOT_THEIR_NETWORK)
    assert found.sysctl == errno.EACCES
    (sentence,) = container_obstacles(found, False)
    assert "runc#4968" in sentence


def test_a_disk_beneath_which_overlay_does_not_work_is_noticed() -> None:
    """An overlay of its own, as in a container whose root is one."""
    found = look(OVERLAID)
    assert found.storage == "overlayfs"
    assert "overlay" in found.overlay, found.overlay
    (sentence,) = container_obstacles(found, False)
    assert "pct set ID -mp0" in sentence


def test_a_second_proc_that_is_refused_in_spite_of_nesting() -> None:
    found = look(f"{NESTED}; {COVERED}", WITH_THIS_PROC)
    assert found.nesting
    (sentence,) = container_obstacles(found, False)
    assert "Nesting is on, so something else forbids it" in sentence


@pytest.mark.parametrize(
    ("before", "inside", "cure"),
    [
        (COVERED, WITH_THIS_PROC, "Hearth wants a machine, or an LXC container with nesting"),
        ("", NOT_THEIR_NETWORK, "Update what runs this container"),
        (OVERLAID, ROOT_ONE, "Put /var/lib/docker on ext4 or xfs"),
    ],
)
def test_a_container_of_another_kind_is_told_what_helps_there(before: str, inside: str, cure: str) -> None:
    (sentence,) = container_obstacles(look(before, inside, kind="docker"), False)
    assert sentence.endswith(cure)
    assert "pct" not in sentence


def test_nothing_is_left_behind() -> None:
    assert look("trap 'test -z \"$(ls -A /var/lib)\"' EXIT").overlay == ""


def test_scripts_are_read_by_the_shells_that_hosts_have() -> None:
    from hearth.preflight.facts import HostFacts

    check_syntax(HostFacts().command(("/var/lib/docker",), "/mnt/ssd"))
