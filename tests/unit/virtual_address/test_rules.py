"""keepalived's files, the differences on a host, and where a virtual address can't work."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

import pytest

from hearth.paths import (
    VIRTUAL_ADDRESS_CHECK,
    VIRTUAL_ADDRESS_CONF,
    VIRTUAL_ADDRESS_LOADED,
    VIRTUAL_ADDRESS_SERVICE,
    VIRTUAL_ADDRESS_UNIT,
)
from hearth.render.compose import render_compose
from hearth.render.templates import FILES
from hearth.runtime.written_files import digest
from hearth.settings.virtual_address import VirtualRouter
from hearth.virtual_address.place import InterfaceAddress, find_absent, find_obstacles, find_place
from hearth.virtual_address.rules import VirtualAddressState, find_differences, render_files
from tests.support.shipped import shipped_settings

ROUTER = VirtualRouter("192.168.1.5", "192.168.1.11", ("192.168.1.12", "192.168.1.13"), id=112, priority=200)
LO = InterfaceAddress("lo", IPv4Interface("127.0.0.1/8"))
ETH0 = InterfaceAddress("eth0", IPv4Interface("192.168.1.11/24"))
FILE_TEXTS = render_files(ROUTER, ETH0)
RIGHT = VirtualAddressState(
    installed=True,
    active=True,
    enabled=True,
    files={path: digest(text) for path, text in FILE_TEXTS.items()},
    loaded=digest(FILE_TEXTS[VIRTUAL_ADDRESS_CONF]),
    addresses=(LO, ETH0),
)
CONF = """global_defs {
    script_user nobody
    enable_script_security
}

vrrp_script httpd_responds {
    script "/bin/bash /opt/hearth/virtual-address/responds.bash 192.168.1.11"
    interval 2
    timeout 2
    fall 2
    rise 2
    init_fail
}

vrrp_instance hearth {
    state BACKUP
    nopreempt
    interface eth0
    virtual_router_id 112
    priority 200
    advert_int 1
    unicast_src_ip 192.168.1.11
    track_src_ip
    check_unicast_src
    unicast_peer {
        192.168.1.12
        192.168.1.13
    }
    virtual_ipaddress {
        192.168.1.5/24 dev eth0
    }
    track_script {
        httpd_responds
    }
}
"""


def test_configuration_of_keepalived() -> None:
    lines = FILE_TEXTS[VIRTUAL_ADDRESS_CONF].splitlines(keepends=True)
    assert "".join(line for line in lines if not line.lstrip().startswith("#")) == CONF


def test_paths_of_the_service_are_those_of_the_files() -> None:
    unit = FILE_TEXTS[VIRTUAL_ADDRESS_UNIT]
    assert f"--use-file={VIRTUAL_ADDRESS_CONF} " in unit
    assert unit.count(f"sha256sum < {VIRTUAL_ADDRESS_CONF} > {VIRTUAL_ADDRESS_LOADED}'\n") == 2
    assert VIRTUAL_ADDRESS_UNIT.endswith(VIRTUAL_ADDRESS_SERVICE)


# --- where it can't work ----------------------------------------------------------------------------


def test_place_is_that_of_the_own_address() -> None:
    assert find_place((LO, ETH0), "192.168.1.11") == ETH0
    assert find_place((LO, ETH0), "192.168.1.12") is None
    assert find_obstacles(ROUTER, (LO, ETH0), exists=False) == []


@pytest.mark.parametrize(
    ("address", "virtual", "message"),
    [
        ("192.168.1.77/24", "192.168.1.5", "does not have 192.168.1.11 (it has lo: 127.0.0.1, eth0: 192.168.1.77)"),
        ("192.168.1.11/24", "192.168.2.5", "is not an address of a machine in 192.168.1.0/24"),
        ("192.168.1.11/24", "192.168.1.255", "is not an address of a machine in 192.168.1.0/24"),
        ("192.168.1.11/32", "192.168.1.5", "is not an address of a machine in 192.168.1.11/32"),
    ],
)
def test_other_networks_are_refused(address: str, virtual: str, message: str) -> None:
    addresses = (LO, InterfaceAddress("eth0", IPv4Interface(address)))
    (sentence,) = find_obstacles(replace(ROUTER, address=virtual), addresses, exists=False)
    assert sentence.startswith(f'host_virtual_address = "{virtual}" ')
    assert message in sentence


def test_an_address_that_somebody_else_gave_the_host_is_refused() -> None:
    held = (LO, ETH0, InterfaceAddress("eth0", IPv4Interface("192.168.1.5/32")))
    assert find_obstacles(ROUTER, held, exists=True) == []
    (sentence,) = find_obstacles(ROUTER, held, exists=False)
    assert "already has that address on eth0, and not from Hearth" in sentence


# --- who shares it, and is not changed ---------------------------------------------------------------

ALL, LEFT_OUT = {ROUTER.own, *ROUTER.peers}, "192.168.1.14"


@pytest.mark.parametrize(
    ("peers", "reached", "absent"),
    [
        # Nothing changes: a host that is off is no reason to warn.
        (ROUTER.peers, {ROUTER.own}, ""),
        # All of them learn of it in this run.
        ((*ROUTER.peers, LEFT_OUT), {*ALL, LEFT_OUT}, ""),
        ((), ALL, ""),
        # A host that is no longer in the inventory, or is off.
        ((*ROUTER.peers, LEFT_OUT), ALL, LEFT_OUT),
        ((), {ROUTER.own}, " and ".join(ROUTER.peers)),
    ],
)
def test_a_host_that_is_left_behind_is_a_warning(peers: tuple[str, ...], reached: set[str], absent: str) -> None:
    sentences = find_absent(ROUTER, peers, reached)
    assert len(sentences) == bool(absent)
    assert all(f"does not change {absent}, so two hosts may have the address" in one for one in sentences)


# --- what differs -----------------------------------------------------------------------------------


def test_a_host_in_sync_has_no_difference() -> None:
    assert find_differences(RIGHT, FILE_TEXTS) == []


def test_a_fresh_host_has_one_difference_for_the_package_and_one_for_the_rest() -> None:
    first, second = find_differences(VirtualAddressState(), FILE_TEXTS)
    assert "keepalived is missing" in first
    assert "does not share the virtual address yet" in second


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"installed": False}, "keepalived is missing"),
        ({"files": {**RIGHT.files, VIRTUAL_ADDRESS_CONF: "x"}}, f"{VIRTUAL_ADDRESS_CONF} differs; writing it"),
        (
            {"files": {path: one for path, one in RIGHT.files.items() if path != VIRTUAL_ADDRESS_CHECK}},
            f"{VIRTUAL_ADDRESS_CHECK} is missing; writing it",
        ),
        ({"active": False, "loaded": ""}, "is not running, so this host would not take it over"),
        # A run that was interrupted between file and service.
        ({"loaded": "x"}, "has not loaded its configuration"),
        ({"enabled": False}, "does not start with the host"),
    ],
)
def test_differences(changes: dict[str, Any], expected: str) -> None:
    (sentence,) = find_differences(replace(RIGHT, **changes), FILE_TEXTS)
    assert expected in sentence


# --- whether httpd responds -------------------------------------------------------------------------


@contextmanager
def server(answer: bytes) -> Iterator[int]:
    """A port that answers every connection, and then waits for its end."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            # The script hangs up as soon as it knows.
            with connection, suppress(ConnectionError):
                request = b""
                while b"\r\n\r\n" not in request:
                    request += connection.recv(1000)
                connection.sendall(answer)
                connection.recv(1000)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def responds(root: Path, port: int, accepted: int = 0) -> bool:
    """Run the check on a host. `accepted`: the port of the last accepted release; none by default."""
    script = root / "virtual-address/responds.bash"
    script.parent.mkdir()
    script.write_text((FILES / "virtual-address/responds.bash").read_text())
    (root / "compose.yaml").write_text(render_compose(shipped_settings(proxy_port=port)))
    if accepted:
        tree = root / "releases/7/tree"
        tree.mkdir(parents=True)
        (tree / "compose.yaml").write_text(render_compose(shipped_settings(proxy_port=accepted)))
        (root / "releases/accepted").write_text("7\n")
    return subprocess.run(["bash", script, "127.0.0.1"], capture_output=True, timeout=30).returncode == 0


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 401 Unauthorized\r\n\r\n", True),
        (b"SSH-2.0-OpenSSH\r\n", False),
        # docker-proxy, before a container that hangs.
        (b"", False),
        (b"HTTP/1.1 200 O", False),
    ],
)
def test_a_response_is_a_line_of_http(tmp_path: Path, answer: bytes, expected: bool) -> None:
    with server(answer) as port:
        assert responds(tmp_path, port) is expected


def test_a_closed_port_does_not_respond(tmp_path: Path) -> None:
    assert not responds(tmp_path, closed_port())


def test_httpd_may_still_be_at_the_port_of_the_accepted_release(tmp_path: Path) -> None:
    with server(b"HTTP/1.1 200 OK\r\n\r\n") as port:
        assert responds(tmp_path, closed_port(), accepted=port)


def test_after_a_rollback_httpd_is_tested_at_its_port_again(tmp_path: Path) -> None:
    with server(b"HTTP/1.1 200 OK\r\n\r\n") as port:
        assert responds(tmp_path, port, accepted=closed_port())
