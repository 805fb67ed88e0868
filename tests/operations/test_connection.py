"""A host that falls silent is given up, one that is merely slow is not: with paramiko's own client and server.

Here because this process has gevent's threads and sockets, as pyinfra has.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import gevent
import paramiko
import pytest
from pyinfra.api import State

from hearth.connection import watch_connection


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
        while piece := source.recv(65536):
            if not self.is_cut.is_set():
                target.sendall(piece)

    def host(self) -> Any:
        client = SimpleNamespace(get_transport=lambda: self.client)
        return SimpleNamespace(connector=SimpleNamespace(client=client), print_prefix="[pi] ", name="pi", state=State())


@pytest.fixture
def line() -> Iterator[Line]:
    one = Line()
    yield one
    one.client.close()
    one.server.close()


def test_a_host_that_answers_is_left_alone(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    watching = watch_connection(line.host(), pause=0.05, patience=5)
    gevent.sleep(1)
    assert line.client.is_active()
    assert watching is not None
    assert not watching.dead
    assert not caplog.records


def test_a_host_that_falls_silent_is_given_up_with_a_sentence(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, logger="pyinfra")
    watching = watch_connection(line.host(), pause=0.05, patience=1)
    gevent.sleep(0.3)
    line.is_cut.set()
    assert watching is not None
    watching.join(10)
    assert watching.dead
    assert not line.client.is_active()
    assert "[pi] the host has given no sign of life for 1 s" in caplog.text


def test_a_connection_that_is_not_ssh_is_not_watched() -> None:
    host: Any = SimpleNamespace(connector=SimpleNamespace(), print_prefix="")
    assert watch_connection(host) is None
