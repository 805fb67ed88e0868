"""The doctor in real, broken networks: namespaces with their own routes, names and ports."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from typing import Any

import pytest

from tests.support.shipped import PROJECT

PRIVATE_NETWORK = PROJECT / "tests/support/doctor/private_network.py"
LOOPBACK = "ip link set lo up"
# A network without other hosts: a cable whose other end is up but has no address.
WIRE = (
    "ip link add wire type veth peer name far; ip addr add 192.168.7.2/24 dev wire; "
    "ip link set wire up; ip link set far up"
)

# A neighbour at the other end, in a network of its own, which this machine has just talked to.
NEIGHBOUR = f"""{LOOPBACK}; {WIRE}
unshare --net sleep 25 </dev/null >/dev/null 2>&1 &
there=$!
until [ "$(readlink /proc/$there/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
ip link set far netns $there
peer() {{ nsenter --target $there --net "$@"; }}
peer ip addr add 192.168.7.9/24 dev far; peer ip addr add fd00:7::9/64 dev far nodad; peer ip link set far up
ip addr add fd00:7::2/64 dev wire nodad
for address in 192.168.7.9 fd00:7::9; do bash -c "</dev/tcp/$address/22" 2>/dev/null || true; done
"""


def rule(hook: str, text: str) -> str:
    """Shell that adds a rule to a firewall without any."""
    chain = f"nft add table inet t; nft add chain inet t c '{{ type filter hook {hook} priority 0; }}'"
    return f"{chain}; nft add rule inet t c meta l4proto tcp {text}"


REJECTED_HERE = rule("output", "ip daddr 192.168.7.9 reject with icmp type host-unreachable")
DROPPED_THERE = f"peer sh -ec {shlex.quote(rule('input', 'drop'))}"
TURNED_OFF = "peer ip addr del 192.168.7.9/24 dev far"


def namespaces_work() -> bool:
    if not shutil.which("unshare") or not shutil.which("ip"):
        return False
    return subprocess.run(["unshare", "-rnm", "true"], capture_output=True, timeout=10).returncode == 0


pytestmark = pytest.mark.skipif(not namespaces_work(), reason="needs user namespaces (unshare -rnm) and ip")


def doctor(*arguments: str, setup: str = LOOPBACK, **job: Any) -> dict[str, Any]:
    """The doctor's JSON document, from an isolated network with that setup."""
    options = ["--timeout", "3", "--tries", "1", "--patience", "60", *arguments]
    done = subprocess.run(
        ["unshare", "-rnm", sys.executable, str(PRIVATE_NETWORK)],
        input=json.dumps({"setup": setup, "arguments": options, **job}),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def only(document: dict[str, Any], cause: str) -> dict[str, Any]:
    """The one finding."""
    assert [finding["id"] for finding in document["findings"]] == [cause], document
    finding: dict[str, Any] = document["findings"][0]
    return finding


def number(document: dict[str, Any]) -> int:
    """The system's error number of the first attempt."""
    step = next(step for step in document["steps"] if step["name"] == "connection")
    found: int = step["data"]["attempts"][0]["number"]
    return found


# --- Routes -------------------------------------------------------------------------------------------


def test_no_network_at_all() -> None:
    document = doctor("http://192.168.1.189:85")
    only(document, "network-unreachable")
    assert number(document) == 101


def test_an_unreachable_route() -> None:
    document = doctor("http://192.168.1.189:85", setup=f"{LOOPBACK}; ip route add unreachable 192.168.0.0/16")
    only(document, "host-unreachable")
    assert number(document) == 113


def test_a_prohibited_route() -> None:
    document = doctor("http://192.168.1.189:85", setup=f"{LOOPBACK}; ip route add prohibit 192.168.0.0/16")
    only(document, "connection-forbidden")
    assert number(document) == 13


def test_no_device_on_the_local_network_has_the_address() -> None:
    document = doctor("http://192.168.7.9:85", "--timeout", "8", setup=f"{LOOPBACK}; {WIRE}")
    finding = only(document, "host-absent")
    assert number(document) == 113
    assert "your router lists it" in finding["cure"]
    assert "no device on this network has that address" in finding["seen"]


@pytest.mark.parametrize("path", ["", "/nonexistent"], ids=["ip", "proc"])
def test_a_host_on_the_network_that_this_machine_rejects(path: str) -> None:
    """The other end is a machine of its own; a rule here ends every connection to it."""
    environment = {"PATH": path} if path else {}
    document = doctor("http://192.168.7.9:85", setup=f"{NEIGHBOUR}{REJECTED_HERE}", environment=environment)
    finding = only(document, "local-policy")
    assert number(document) == 113
    assert re.search(r"hardware address \(([0-9a-f]{2}:){5}[0-9a-f]{2}\)", finding["cause"])
    assert "another device" in finding["cure"]


def test_a_host_on_the_network_that_drops_everything() -> None:
    document = doctor("http://192.168.7.9:85", setup=f"{NEIGHBOUR}{DROPPED_THERE}")
    assert "confirmed within the last minute" in only(document, "host-drops")["cause"]


def test_a_host_that_was_turned_off() -> None:
    """Its hardware address is still in the table, and the system finds out that it is no longer true."""
    later = f"{TURNED_OFF}; ip neigh change 192.168.7.9 dev wire nud stale"
    only(doctor("http://192.168.7.9:85", "--timeout", "1", setup=f"{NEIGHBOUR}{later}"), "host-silent")
    only(doctor("http://192.168.7.9:85", "--timeout", "12", setup=f"{NEIGHBOUR}{later}"), "host-absent")


def test_an_ipv6_neighbour() -> None:
    absent = doctor("http://[fd00:7::8]:85", "--timeout", "8", setup=NEIGHBOUR)
    only(absent, "host-absent")
    present = doctor("http://[fd00:7::9]:85", setup=f"{NEIGHBOUR}ip route add unreachable fd00:7::9/128")
    only(present, "local-policy")


def test_a_silent_host_behind_a_router() -> None:
    silent = f"{LOOPBACK}; {WIRE}; ip neigh add 192.168.7.1 lladdr 02:00:00:00:00:01 dev wire; "
    document = doctor("http://10.20.30.40:85", setup=silent + "ip route add default via 192.168.7.1")
    finding = only(document, "host-silent")
    assert "this machine's address is 192.168.7.2, on another network" in finding["seen"]


def test_an_address_of_dockers_internal_network() -> None:
    silent = f"{LOOPBACK}; {WIRE}; ip neigh add 192.168.7.1 lladdr 02:00:00:00:00:01 dev wire; "
    document = doctor("http://172.18.0.3:80", setup=silent + "ip route add default via 192.168.7.1")
    only(document, "docker-address")


def test_an_ipv6_address_without_ipv6() -> None:
    only(doctor("http://[fd00::189]:85"), "network-unreachable")


# --- Firewalls ----------------------------------------------------------------------------------------


def firewalls_work() -> bool:
    if not shutil.which("iptables"):
        return False
    return subprocess.run(["unshare", "-rnm", "iptables", "-S"], capture_output=True, timeout=10).returncode == 0


@pytest.mark.skipif(not firewalls_work(), reason="needs iptables")
@pytest.mark.parametrize(
    ("target", "error", "cause"),
    [
        ("DROP", 0, "port-filtered"),
        ("REJECT --reject-with icmp-host-prohibited", 113, "port-filtered"),
        ("REJECT --reject-with tcp-reset", 111, "port-refused"),
    ],
)
def test_a_firewall_on_the_host(target: str, error: int, cause: str) -> None:
    setup = f"{LOOPBACK}; {WIRE}; iptables -A INPUT -p tcp --dport 85 -j {target}"
    servers = [["0.0.0.0", 85, "hearth"], ["0.0.0.0", 22, "ollama"]]
    # Not loopback: if the test runs in a container, the doctor would report that instead.
    document = doctor("http://192.168.7.2:85", setup=setup, servers=servers)
    assert number(document) == error
    only(document, cause)


# --- Ports --------------------------------------------------------------------------------------------


def test_a_port_that_drops_connections_on_a_host_that_is_up() -> None:
    document = doctor("http://127.0.0.1:85", servers=[["127.0.0.1", 85, "black hole"], ["127.0.0.1", 22, "ollama"]])
    assert "its port 22 responded" in only(document, "port-filtered")["cause"]


def test_the_wrong_port_of_the_right_host() -> None:
    servers = [["127.0.0.1", 85, "hearth"], ["127.0.0.1", 11434, "ollama"]]
    assert only(doctor("http://127.0.0.1", servers=servers), "wrong-port")["cure"] == "Use http://127.0.0.1:85."


def test_ollamas_port_next_to_hearths() -> None:
    servers = [["127.0.0.1", 85, "hearth"], ["127.0.0.1", 11434, "ollama"]]
    document = doctor("http://127.0.0.1:11434", "--origin", "http://page.example", servers=servers)
    assert [finding["id"] for finding in document["findings"]] == ["ollama-itself", "ollama-refuses-origin"]
    for finding in document["findings"]:
        assert "Hearth's port instead (http://127.0.0.1:85)" in finding["cure"]


def test_the_unspecified_address() -> None:
    document = doctor("http://0.0.0.0:85", servers=[["0.0.0.0", 85, "hearth"]])
    assert document["findings"][0]["id"] == "unspecified-address"


def test_localhost_inside_a_container() -> None:
    document = doctor("http://localhost:85", container=True)
    assert "host.docker.internal" in only(document, "localhost-in-container")["cure"]


# --- Names --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "cause"),
    [("pi.fritz.box", "name-unknown"), ("pi.local", "mdns-name-unknown"), ("hearth-ollama", "docker-name")],
)
def test_a_name_that_does_not_resolve(name: str, cause: str) -> None:
    document = doctor(f"http://{name}:85", dns="nothing")
    only(document, cause)
    skipped = {step["name"] for step in document["steps"] if step["state"] == "skipped"}
    assert {"connection", "page", "prompt"} <= skipped


def test_a_silent_dns_server() -> None:
    only(doctor("http://pi.fritz.box:85", dns="silent"), "dns-silent")


def test_a_name_with_an_unreachable_address() -> None:
    hosts = "127.0.0.3 pi\n127.0.0.2 pi\n"
    document = doctor("http://pi:85", hosts=hosts, servers=[["127.0.0.2", 85, "hearth"]])
    found = {finding["id"]: finding for finding in document["findings"]}
    assert set(found) == {"some-addresses-fail", "name-is-loopback"}
    assert "127.0.0.3 can't be reached" in found["some-addresses-fail"]["cause"]
    assert document["exit_code"] == 0
    assert {step["name"]: step["state"] for step in document["steps"]}["prompt"] == "ok"


def test_a_single_word_that_resolves_to_an_internet_address() -> None:
    setup = f"{LOOPBACK}; ip addr add 93.184.215.14/32 dev lo"
    document = doctor("http://pi:85", setup=setup, hosts="93.184.215.14 pi\n", servers=[["0.0.0.0", 85, "hearth"]])
    only(document, "name-is-public")


def test_only_a_proxy_reaches_the_host() -> None:
    environment = {"HTTP_PROXY": "http://127.0.0.1:3128"}
    servers = [["127.0.0.1", 3128, "proxy that reaches a hearth"]]
    document = doctor("http://192.168.7.2:85", environment=environment, servers=servers)
    ids = [finding["id"] for finding in document["findings"]]
    assert ids == ["network-unreachable", "only-through-proxy"]
    assert "http://127.0.0.1:3128 (HTTP_PROXY) it responds" in document["findings"][1]["cause"]
