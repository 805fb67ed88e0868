"""A host with published containers as Docker creates them, and other machines: real nftables, no engine.

Run inside `unshare -rnm`. `listed` (10.9.0.20, fd09::20) and `foreign` (10.8.0.20, fd08::20) are machines with a cable
to the host (10.9.0.1, fd09::1, 10.8.0.1, fd08::1). It is their router, so that they can also try containers' own
addresses. `front` (172.21.0.2) is httpd's container, and `out` (172.19.0.2) Ollama's.

Standard input: a JSON list of steps. {"run": shell} runs on the host; its output comes back if the step has "show".
{"probe": [[who, address, port], …]} tries to connect. {"vrrp": [[who, address, number], …]} sends VRRP packets for a
virtual router. Standard output: a JSON list with an answer for each step: the
text, or for each probe who greeted, or "refused", "silent" …, or for each packet "arrived" or "refused".
"""

from __future__ import annotations

import errno
import json
import os
import select
import socket
import subprocess
import sys
import threading
from typing import Any

HOST = "host"
PORTS = {"front": (80, 443), "out": (11434,)}


def shell(script: str) -> str:
    done = subprocess.run(["sh", "-ec", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise SystemExit(f"{script}\n{done.stdout}")
    return done.stdout


class Machine:
    """A network namespace, and a thread-free way to run one of this file's commands in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._process = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec cat"], **PIPES)
        assert self._process.stdout is not None
        self._process.stdout.readline()
        self.pid = self._process.pid
        self.run("ip link set lo up")

    def run(self, script: str) -> str:
        return shell(f"nsenter -t {self.pid} -n {script}")

    def start(self, *words: str) -> None:
        """Start a command of this file there; back when it says that it is ready."""
        enter = ["nsenter", "-t", str(self.pid), "-n"]
        process = subprocess.Popen([*enter, sys.executable, __file__, *words], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        process.stdout.readline()


PIPES: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}


def serve(name: str, *addresses: str) -> None:
    """Greet with a name whoever connects to one of the addresses (`[::]:85`)."""
    listeners = []
    for one in addresses:
        host, _, port = one.rpartition(":")
        family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host.strip("[]"), int(port)))
        listener.listen()
        listeners.append(listener)
    print("ready", flush=True)
    while True:
        for listener in select.select(listeners, [], [])[0]:
            connection, _ = listener.accept()
            connection.sendall(name.encode())
            connection.close()


def probe(address: str, port: int) -> str:
    """Who answers there, or what keeps one from it."""
    try:
        with socket.create_connection((address, port), timeout=1.5) as connection:
            return connection.recv(100).decode() or "closed"
    except TimeoutError:
        return "silent"
    except OSError as error:
        return {errno.ECONNREFUSED: "refused"}.get(error.errno or 0, error.strerror or str(error))


VRRP = 112
# Of a virtual router that no rule is about: it arrives after the packet before it, or instead of it.
_LAST = 0


def advertise(address: str, number: int) -> None:
    """Send a VRRP packet for a virtual router, and one for another."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, VRRP) as sender:
        for one in (number, _LAST):
            try:
                sender.sendto(bytes([0x21, one, 255, 1, 0, 1, 0, 0]), (address, 0))
            except ConnectionRefusedError:  # the answer to the packet before
                sender.sendto(bytes([0x21, one, 255, 1, 0, 1, 0, 0]), (address, 0))


def arrive(machines: dict[str, Machine], packets: list[list[Any]]) -> list[str]:
    """Which VRRP packets reach programs on the host."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, VRRP) as receiver:
        receiver.settimeout(20)
        for who, address, number in packets:
            machines[who].run(f"{sys.executable} {__file__} advertise {address} {number}")
            numbers = []
            while _LAST not in numbers:
                packet = receiver.recv(100)
                numbers.append(packet[(packet[0] & 15) * 4 + 1])
            found.append("arrived" if number in numbers else "refused")
    return found


def build() -> dict[str, Machine]:
    """All machines, with their cables, addresses and servers."""
    machines = {name: Machine(name) for name in ("listed", "foreign", "front", "out")}
    shell("ip link set lo up; sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
    for name, number in (("listed", 9), ("foreign", 8)):
        machine = machines[name]
        shell(
            f"ip link add {name} type veth peer name eth0 netns {machine.pid}; ip link set {name} up; "
            f"ip addr add 10.{number}.0.1/24 dev {name}; ip addr add fd0{number}::1/64 dev {name} nodad"
        )
        for command in (
            "link set eth0 up",
            f"addr add 10.{number}.0.20/24 dev eth0",
            f"addr add fd0{number}::20/64 dev eth0 nodad",
            f"route add default via 10.{number}.0.1",
        ):
            machine.run(f"ip {command}")
    for name, number in (("front", 21), ("out", 19)):
        machine = machines[name]
        shell(
            f"ip link add hearth-{name} type bridge; ip addr add 172.{number}.0.1/16 dev hearth-{name}; "
            f"ip link set hearth-{name} up; ip link add v{name} type veth peer name eth0 netns {machine.pid}; "
            f"ip link set v{name} master hearth-{name} up"
        )
        for command in (
            "link set eth0 up",
            f"addr add 172.{number}.0.2/16 dev eth0",
            f"route add default via 172.{number}.0.1",
        ):
            machine.run(f"ip {command}")
        machine.start("serve", name, *(f"0.0.0.0:{port}" for port in PORTS[name]))
    machines["foreign"].start("serve", "a registry", "10.8.0.20:5000")
    return machines


def main() -> None:
    steps: list[dict[str, Any]] = json.load(sys.stdin)
    machines = build()
    # docker-proxy's part, ssh, and a program of somebody else's on a port that Hearth publishes elsewhere.
    addresses = ("[::]:85", "0.0.0.0:22", "127.0.0.1:11434", "10.9.0.1:11434")
    start = subprocess.Popen([sys.executable, __file__, "serve", HOST, *addresses], stdout=subprocess.PIPE)
    assert start.stdout is not None
    start.stdout.readline()
    answers: list[Any] = []
    for step in steps:
        if "run" in step:
            said = shell(step["run"])
            answers.append(said if step.get("show") else "")
        elif "vrrp" in step:
            answers.append(arrive(machines, step["vrrp"]))
        else:
            answers.append(look(machines, step["probe"]))
    print(json.dumps(answers))
    sys.stdout.flush()
    os._exit(0)


def look(machines: dict[str, Machine], probes: list[list[Any]]) -> list[str]:
    """All probes at the same time: a silent one takes its whole patience."""
    found = [""] * len(probes)

    def one(index: int, who: str, address: str, port: int) -> None:
        enter = [] if who == HOST else ["nsenter", "-t", str(machines[who].pid), "-n"]
        words = [*enter, sys.executable, __file__, "probe", address, str(port)]
        found[index] = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()

    threads = [threading.Thread(target=one, args=(index, *probe)) for index, probe in enumerate(probes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(*sys.argv[2:])
    elif sys.argv[1:2] == ["probe"]:
        print(probe(sys.argv[2], int(sys.argv[3])))
    elif sys.argv[1:2] == ["advertise"]:
        advertise(sys.argv[2], int(sys.argv[3]))
    else:
        main()
