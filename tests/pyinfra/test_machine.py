"""The probe of what a machine may lack, in mount and network namespaces that lack it."""

from __future__ import annotations

import subprocess

import pytest

from hearth.host.hardware import Hardware
from hearth.paths import CHECKOUT
from hearth.preflight.machine import Machine, machine_obstacles, machine_warnings, parse_machine
from tests.pyinfra.confined import missing_privileges

SCRIPT = CHECKOUT / "hearth/preflight/machine_probe.sh"
PC, PI = Hardware(kernel="x86_64"), Hardware(model="Raspberry Pi 5 Model B Rev 1.0", kernel="aarch64")
BOOTED = "mount -t tmpfs none /run; mkdir -p /run/systemd/system"
# A root as the package overlayroot makes it: the disk below, changes in memory, both still visible.
OVERLAID = """
mount -t tmpfs none /media; cd /media; mkdir root-rw root; mount {changes} root-rw; mkdir root-rw/o root-rw/w
mount -t overlay overlayroot -o lowerdir=/,upperdir=/media/root-rw/o,workdir=/media/root-rw/w root
for place in dev proc sys run media; do mount --rbind /$place root/$place; done
{then}
exec chroot root unshare --mount sh -ec 'mount --bind / /; {probe}'
"""
WIREGUARD = """
ip link set lo up
ip link add eth0 type veth peer name far0; ip address add 192.168.1.9/24 dev eth0; ip link set eth0 up
ip route add default via 192.168.1.1
ip link add wg0 mtu 1420 type veth peer name far1; ip address add 10.9.0.2/32 dev wg0; ip link set wg0 up
"""


@pytest.fixture(autouse=True)
def _possible() -> None:
    if why := missing_privileges():
        pytest.skip(why)


def probe(setup: str, in_container: bool = False, network: str = "") -> Machine:
    """Run the script after some shell in its own mount namespace, and in its own network if there is one to set up."""
    script = f"{setup}\nroot=/var/lib/docker sh {SCRIPT}" if "{probe}" not in setup else setup
    script = script.replace("{probe}", f"root=/var/lib/docker sh {SCRIPT}")
    namespaces = ["--mount", "--net"] if network else ["--mount"]
    if network:
        network += "\nmount -t sysfs none /sys"  # which shows the interfaces of the namespace that mounted it
    words = ["unshare", *namespaces, "sh", "-ec", f"{network}\n{script}"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "@@machine"
    return parse_machine(lines[1:], in_container)


def test_a_machine_that_lacks_nothing() -> None:
    found = probe(BOOTED)
    assert machine_obstacles(found, PC) == []
    assert found.init


def test_a_system_without_systemd_is_refused() -> None:
    found = probe("mount -t tmpfs none /run")
    (sentence,) = machine_obstacles(found, PC)
    assert f"without systemd (its first process is {found.init})" in sentence


def test_a_read_only_root_is_refused() -> None:
    found = probe(
        f"{BOOTED}; mount --bind / /mnt; mount -o remount,ro,bind /mnt; mount --rbind /run /mnt/run\n"
        f"mount --rbind /proc /mnt/proc; chroot /mnt sh -c '{{probe}}'; exit 0"
    )
    assert set(found.read_only) >= {"/etc", "/usr", "/opt"}
    (sentence,) = machine_obstacles(found, PC)
    assert "/etc, /usr, /opt" in sentence
    assert "remount,rw" in sentence


def test_a_read_only_directory_is_named() -> None:
    found = probe(f"{BOOTED}; mount -t tmpfs -o ro none /opt")
    assert found.read_only == ("/opt",)


def test_an_overlay_root_in_memory_is_refused() -> None:
    found = probe(f"{BOOTED}\n{OVERLAID.format(changes='-t tmpfs none', then='', probe='{probe}')}")
    assert found.in_memory
    assert "raspi-config nonint disable_overlayfs" in machine_obstacles(found, PI)[0]
    assert "overlayroot.conf" in machine_obstacles(found, PC)[0]


def test_an_overlay_root_with_changes_on_a_disk_is_not() -> None:
    setup = OVERLAID.format(changes="-o loop /media/disk", then="", probe="{probe}")
    made = setup.replace("cd /media;", "cd /media; truncate -s 16M disk; mkfs.ext4 -q disk;")
    found = probe(f"{BOOTED}\n{made}")
    assert not found.in_memory
    assert machine_obstacles(found, PI) == []


def test_hidden_changes_are_those_of_an_initramfs() -> None:
    """As raspi-config's former initramfs script leaves it. In a container, the engine's storage is hidden as well."""
    setup = OVERLAID.format(
        changes="-t tmpfs none", then="umount -l root/media; mount -t tmpfs none root/media", probe="{probe}"
    )
    assert probe(f"{BOOTED}\n{setup}").in_memory
    assert not probe(f"{BOOTED}\n{setup}", in_container=True).in_memory


def test_a_small_mtu_gets_a_warning_with_the_setting() -> None:
    found = probe(BOOTED, network=f"{WIREGUARD}ip route add 0.0.0.0/1 dev wg0")
    assert (found.interface, found.mtu) == ("wg0", 1420)
    (sentence,) = machine_warnings(found, PI, 1500)
    assert "use docker_mtu = 1420" in sentence
    assert machine_warnings(found, PI, 1420) == []


def test_policy_routing_and_the_mtu_of_a_route_count() -> None:
    """wg-quick uses a rule and a table of its own; PPPoE's MTU may be that of a route."""
    rule = "ip route add default dev wg0 table 51820; ip rule add not fwmark 51820 table 51820"
    assert probe(BOOTED, network=f"{WIREGUARD}{rule}").mtu == 1420
    assert probe(BOOTED, network=f"{WIREGUARD}ip route change default via 192.168.1.1 mtu 1492").mtu == 1492
    assert probe(BOOTED, network=WIREGUARD).mtu == 1500
    assert probe(BOOTED, network="ip link set lo up") == probe(BOOTED, network="true")


def test_an_interface_of_any_name() -> None:
    name = 'dev"a.b'
    network = f"ip link set lo up; ip link add '{name}' mtu 1400 type veth peer name far; ip link set '{name}' up"
    found = probe(BOOTED, network=f"{network}; ip route add default dev '{name}'")
    assert (found.interface, found.mtu) == (name, 1400)
