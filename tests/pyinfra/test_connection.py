"""The run fails on a host that stops responding, but not on a slow one: with paramiko's own client and server.

Here because this process uses gevent's threads and sockets, as pyinfra does.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import gevent
import paramiko
import pytest
from pyinfra.api import State
from pyinfra.context import ctx_host

from hearth.runtime.keepalive import start_keepalive


class Line:
    """An ssh connection over a line that can be cut without either end noticing."""

    def __init__(self) -> None:
        here, ours = socket.socketpair()
        there, theirs = socket.socketpair()
        self.is_cut = threading.Event()
        for source, target in ((ours, theirs), (theirs, ours)):
            threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()
        self.server = paramiko.Transport(there)
        self.server.add_server_key(paramiko.ECDSAKey.generate())
        self.server.start_server(event=threading.Event(), server=paramiko.ServerInterface())
        self.client = paramiko.Transport(here)
        self.client.start_client(timeout=20)

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):  # one of the ends was closed
            while piece := source.recv(65536):
                if not self.is_cut.is_set():
                    target.sendall(piece)

    def client_of(self) -> Any:
        return SimpleNamespace(get_transport=lambda: self.client)


@pytest.fixture
def line() -> Iterator[Line]:
    one = Line()
    yield one
    one.client.close()
    one.server.close()


@pytest.fixture
def host(line: Line) -> Any:
    connector = SimpleNamespace(client=line.client_of())
    return SimpleNamespace(connector=connector, print_prefix="[pi] ", name="pi", state=State())


@pytest.fixture
def watch(host: Any) -> Iterator[Callable[[float], gevent.Greenlet]]:
    """Start the keepalive as a deploy does, while `pyinfra.host` is this host."""
    started = []

    def begin(timeout: float) -> gevent.Greenlet:
        with ctx_host.use(host):
            watching = start_keepalive(interval=0.05, timeout=timeout)
        assert watching is not None
        started.append(watching)
        return watching

    yield begin
    gevent.killall(started)


Watch = Callable[[float], gevent.Greenlet]
SILENT = "[pi] no response from the host for 1 s"


def assert_given_up(watching: gevent.Greenlet, line: Line, caplog: pytest.LogCaptureFixture) -> None:
    watching.join(10)
    assert watching.dead
    assert not line.client.is_active()
    assert SILENT in caplog.text


def test_responsive_host_is_left_alone(line: Line, watch: Watch, caplog: pytest.LogCaptureFixture) -> None:
    watching = watch(5)
    gevent.sleep(1)
    assert line.client.is_active()
    assert not watching.dead
    assert not caplog.records


def test_unresponsive_host_fails_with_a_message(line: Line, watch: Watch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, logger="pyinfra")
    watching = watch(1)
    gevent.sleep(0.3)
    line.is_cut.set()
    assert_given_up(watching, line, caplog)


def test_connection_after_a_reboot_is_covered(
    line: Line, host: Any, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, logger="pyinfra")
    watching = watch(1)
    gevent.sleep(0.3)
    line.client.close()
    gevent.sleep(0.3)
    assert not watching.dead, "a closed connection does not mean an unresponsive host"
    second = Line()
    host.connector.client = second.client_of()
    gevent.sleep(0.3)
    second.is_cut.set()
    assert_given_up(watching, second, caplog)
    second.server.close()


def test_no_keepalive_without_ssh() -> None:
    with ctx_host.use(SimpleNamespace(connector=SimpleNamespace(), print_prefix="")):
        assert start_keepalive() is None
