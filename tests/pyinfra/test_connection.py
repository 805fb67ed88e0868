"""A host that falls silent is given up, one that is merely slow is not: with paramiko's own client and server.

Here because this process has gevent's threads and sockets, as pyinfra has.
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
    """An ssh connection over a line that can be cut without either end being told."""

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
    """Begins to watch as a deploy's code does: for as long as that runs, `pyinfra.host` is this host."""
    started = []

    def begin(patience: float) -> gevent.Greenlet:
        with ctx_host.use(host):
            watching = start_keepalive(pause=0.05, patience=patience)
        assert watching is not None
        started.append(watching)
        return watching

    yield begin
    gevent.killall(started)


Watch = Callable[[float], gevent.Greenlet]
SILENT = "[pi] the host has given no sign of life for 1 s"


def is_given_up(watching: gevent.Greenlet, line: Line, caplog: pytest.LogCaptureFixture) -> None:
    watching.join(10)
    assert watching.dead
    assert not line.client.is_active()
    assert SILENT in caplog.text


def test_a_host_that_answers_is_left_alone(line: Line, watch: Watch, caplog: pytest.LogCaptureFixture) -> None:
    watching = watch(5)
    gevent.sleep(1)
    assert line.client.is_active()
    assert not watching.dead
    assert not caplog.records


def test_a_host_that_falls_silent_is_given_up_with_a_sentence(
    line: Line, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, logger="pyinfra")
    watching = watch(1)
    gevent.sleep(0.3)
    line.is_cut.set()
    is_given_up(watching, line, caplog)


def test_the_connection_after_a_restart_is_watched_as_well(
    line: Line, host: Any, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, logger="pyinfra")
    watching = watch(1)
    gevent.sleep(0.3)
    line.client.close()
    gevent.sleep(0.3)
    assert not watching.dead, "a connection that was closed is no host that fell silent"
    second = Line()
    host.connector.client = second.client_of()
    gevent.sleep(0.3)
    second.is_cut.set()
    is_given_up(watching, second, caplog)
    second.server.close()


def test_a_connection_that_is_not_ssh_is_not_watched() -> None:
    with ctx_host.use(SimpleNamespace(connector=SimpleNamespace(), print_prefix="")):
        assert start_keepalive() is None
