"""Two machines next to the guest, as network namespaces in it: their packets arrive as from a LAN.

`listed` is 10.9.0.20, and the host is 10.9.0.1 for it; `unlisted` is 10.8.0.20, and the host is 10.8.0.1. The host is
their router, so they can also try the containers' addresses. They do not survive a reboot.
"""

from __future__ import annotations

import re

from hearth.host.ports import parse_listeners
from tests.lab.machine import on_guest

NETWORKS = {"listed": "10.9.0", "unlisted": "10.8.0"}
_ATTACH = """set -e
command -v nc >/dev/null || sudo apt-get -qq install -y --no-install-recommends netcat-openbsd >/dev/null
attach() { # name, network, IPv6 network
  sudo ip netns add "$1"
  sudo ip link add "$1" type veth peer name eth0 netns "$1"
  sudo ip addr add "$2.1/24" dev "$1"
  sudo ip addr add "$3::1/64" dev "$1" nodad
  sudo ip link set "$1" up
  sudo ip -n "$1" link set lo up
  sudo ip -n "$1" addr add "$2.20/24" dev eth0
  sudo ip -n "$1" addr add "$3::20/64" dev eth0 nodad
  sudo ip -n "$1" link set eth0 up
  sudo ip -n "$1" route add default via "$2.1"
}
sudo ip netns list | grep -q listed || attach listed 10.9.0 fd09
sudo ip netns list | grep -q unlisted || attach unlisted 10.8.0 fd08
"""
# Eight at a time: a closed port responds immediately, and starting programs is what is slow on the guest.
_SCAN = (
    "for n in 0 1 2 3 4 5 6 7; do echo $((n * 8192 + 1)) $((n == 7 ? 65535 : (n + 1) * 8192)); done | "
    "xargs -P 8 -L 1 sh -c 'nc -n -z -v -w 2 {address} $0-$1 2>&1 | grep -v refused'; true"
)


def attach() -> None:
    """Create the machines if they do not exist."""
    on_guest(_ATTACH, timeout=300)


def scan(who: str, address: str = "") -> set[int]:
    """All TCP ports (of 65535) that accept a connection from that machine: of the host, or of an address."""
    script = _SCAN.format(address=address or f"{NETWORKS[who]}.1")
    output = on_guest(f"sudo ip netns exec {who} sh -c \"$(cat <<'SCAN'\n{script}\nSCAN\n)\"", timeout=1200)
    return {int(port) for port in re.findall(r"^Connection to \S+ (\d+) port .* succeeded!$", output, re.MULTILINE)}


def status(who: str, address: str, port: int) -> int:
    """HTTP status of `HEAD /` from that machine (or from the `host` itself); 0 without a response."""
    enter = "" if who == "host" else f"sudo ip netns exec {who} "
    request = r"printf 'HEAD / HTTP/1.0\r\nHost: localhost\r\nAccept: text/html\r\n\r\n'"
    output = on_guest(f"{request} | {enter}nc -n -w 5 {address} {port} | head -n 1", check=False)
    match = re.match(r"HTTP/1\.\d (\d+)", output)
    return int(match[1]) if match else 0


def others() -> set[int]:
    """Ports of programs on the guest that are open to the network and not published by Docker."""
    listeners = parse_listeners(on_guest("sudo ss -H -ltnp").splitlines())
    return {
        one.port
        for one in listeners
        if one.program != "docker-proxy" and not one.address.startswith("127.") and one.address != "[::1]"
    }


def address_of(container: str, network: str) -> str:
    """A container's address on one of its networks."""
    form = f'{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}'
    return on_guest(f"sudo docker inspect -f '{form}' {container}")
