"""`<host name>.local` is resolved by another machine of the network, with a real query."""

from __future__ import annotations

import pytest

from hearth.paths import LOCAL_NAME_RECORD
from tests.lab.machine import deploy, deployed_with, on_guest, pyinfra, wait_until
from tests.lab.outside import attach

pytestmark = [pytest.mark.scenario, pytest.mark.usefixtures("deployed"), pytest.mark.long]

ON = "host_local_name=True"
ANNOUNCE = "Local name | Announce the host's name"
STOP = "Local name | Stop announcing the host's name"
# A query for the A record of NAME, to the multicast group, and the address in the answer. Perl is in Debian's base.
_QUERY = r"""use Socket; my $name = $ARGV[0];
my $q = pack("n6", 7, 0, 1, 0, 0, 0) . join("", map { pack("C/a*", $_) } split(/[.]/, $name)) . pack("Cn2", 0, 1, 1);
socket(my $s, AF_INET, SOCK_DGRAM, 0); setsockopt($s, SOL_SOCKET, SO_RCVTIMEO, pack("l!l!", 3, 0));
send($s, $q, 0, pack_sockaddr_in(5353, inet_aton("224.0.0.251")));
print inet_ntoa(substr($a, -4)) if defined recv($s, $a, 9000, 0) && length $a;"""


def address_for(who: str, name: str) -> str:
    """The address that the network knows for a name; "" for none."""
    return on_guest(f"sudo ip netns exec {who} perl -e '{_QUERY}' {name}", check=False)


def test_the_name_is_announced_and_withdrawn() -> None:
    attach()
    on_guest("sudo ip -n listed route replace 224.0.0.0/4 dev eth0")
    name = f"{on_guest('uname -n')}.local"
    assert address_for("listed", name) == ""

    first = deployed_with(ON)
    assert ANNOUNCE in first.changed, first.output
    wait_until(lambda: address_for("listed", name) == "10.9.0.1", 30, "the name is resolved")
    assert address_for("listed", "somebody-else.local") == ""
    quiet = deploy(ON)
    assert (quiet.code, quiet.changed) == (0, ()), quiet.output

    on_guest("sudo systemctl disable --now avahi-daemon.socket avahi-daemon.service")
    assert deployed_with(ON).changed == (ANNOUNCE,)
    wait_until(lambda: address_for("listed", name) == "10.9.0.1", 30, "the name is resolved again")

    assert deployed_with().changed == (STOP,)
    assert address_for("listed", name) == ""
    assert on_guest(f"ls {LOCAL_NAME_RECORD}", check=False) == ""


def test_an_uninstall_removes_it() -> None:
    deployed_with(ON)
    run = pyinfra("deploys/uninstall.py")
    assert "will remove: the package avahi-daemon" in run.output
    assert on_guest("dpkg-query -W -f '${db:Status-Status}' avahi-daemon", check=False) != "installed"
