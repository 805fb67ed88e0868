"""Stopping httpd with Docker's signal, and how a deploy keeps the time without a listener short."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from hearth.docker.compose_up import COMPOSE_UP
from tests.proxy.conftest import Serve
from tests.proxy.httpd import Httpd

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="sends signals to another user's process")
# Only used in this file: listeners are identified by port, and servers of other tests are in the same network.
PORT = 8185


@pytest.fixture
def httpd(serve: Serve) -> Httpd:
    return serve(proxy_port=PORT)


def main_process(httpd: Httpd) -> int:
    """The pid of httpd's process 1 on this machine."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (entry / "stat").read_text().split()
            # Its parent is the container's shell; a worker's parent is another httpd.
            if fields[1] == "(httpd)" and Path(f"/proc/{fields[3]}/comm").read_text() != "httpd\n":
                # The path is relative to its file system, which may be /tmp.
                mounts = (entry / "mountinfo").read_text()
                found += [int(entry.name)] if "/".join(httpd.tree.parts[-3:]) + "/" in mounts else []
    (pid,) = found
    return pid


@contextmanager
def hastened(main: int, seconds: int = 10) -> Iterator[None]:
    """Run the part of a deploy that accelerates the stop during Compose's run, which takes `seconds` here."""
    script = COMPOSE_UP.replace(":0050 ", f":{PORT:04X} ")
    assert script.count(f":{PORT:04X} ") == 1
    with subprocess.Popen(["sh", "-c", f"{script}\nsleep {seconds} & hasten $! {main}; kill $!"]) as hastening:
        yield
        hastening.wait(seconds + 5)


def ended(pid: int) -> bool:
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def seconds_until(condition: Callable[[], bool]) -> float:
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() < begun + 15
        time.sleep(0.01)
    return time.monotonic() - begun


def request_stop(httpd: Httpd) -> int:
    """Like Docker: with the image's stop signal."""
    main = main_process(httpd)
    os.kill(main, signal.SIGWINCH)
    return main


def test_httpd_stops_slowly_by_itself(httpd: Httpd) -> None:
    """The reason for all of this: if httpd's behaviour changes, it is no longer needed."""
    main = request_stop(httpd)
    assert seconds_until(lambda: ended(main)) > 0.9


def test_idle_httpd_stops_immediately(httpd: Httpd) -> None:
    with hastened(main_process(httpd)):
        main = request_stop(httpd)
        assert seconds_until(lambda: ended(main)) < 0.8


def test_pending_response_is_sent_before_the_stop(httpd: Httpd) -> None:
    with hastened(main_process(httpd)), socket.create_connection((httpd.address, PORT), timeout=10) as client:
        client.sendall(b"GET /chat.js HTTP/1.1\r\nHost: localhost\r\n")
        time.sleep(0.3)
        main = request_stop(httpd)
        time.sleep(2.5)
        assert not ended(main)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((httpd.address, PORT), timeout=5)
        client.sendall(b"Connection: close\r\n\r\n")
        answer = http.client.HTTPResponse(client)
        answer.begin()
        assert answer.status == 200
        assert answer.read() == (httpd.tree / "htdocs/chat.js").read_bytes()


def test_httpd_without_a_stop_signal_keeps_running(httpd: Httpd) -> None:
    """Even if it reloads, which replaces its workers."""
    main = main_process(httpd)
    with hastened(main, seconds=4):
        for _ in range(6):
            assert httpd.reload().code == 0
            time.sleep(0.5)
            with urllib.request.urlopen(f"{httpd.url}/chat.css", timeout=10) as answer:
                assert answer.status == 200
    assert main_process(httpd) == main


def test_httpd_with_killed_workers_keeps_running(httpd: Httpd) -> None:
    """Like when memory runs out. It keeps listening, and starts new ones."""
    main = main_process(httpd)
    with hastened(main, seconds=4):
        for _ in range(6):
            for entry in Path("/proc").glob("[0-9]*"):
                with suppress(OSError):
                    if (entry / "stat").read_text().split()[1:4:2] == ["(httpd)", str(main)]:
                        os.kill(int(entry.name), signal.SIGKILL)
            time.sleep(0.5)
    with urllib.request.urlopen(f"{httpd.url}/chat.css", timeout=10) as answer:
        assert answer.status == 200
    assert main_process(httpd) == main
