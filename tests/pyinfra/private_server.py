"""A server on 127.0.0.1:11434 in a network of its own, and a command that talks to it.

Run inside `unshare -rn`. Standard input: {"answers": [{status, body, then, pause}, …], "command": [words]}; without
answers, nothing listens. Standard output: {"code", "out", "err", "requests": [[request line, body], …],
"waits": [seconds of each call of sleep, in which no time passes]}. `pause`: seconds between lines.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

_SIOCSIFFLAGS = 0x8914
_IFF_UP_RUNNING = 0x41


def loopback_up() -> None:
    """A new network namespace has its loopback device down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP_RUNNING))


def read_request(stream: Any) -> list[str]:
    """Request line and body."""
    head = [line.decode().strip() for line in iter(stream.readline, b"\r\n")]
    lengths = [int(line.partition(":")[2]) for line in head if line.lower().startswith("content-length:")]
    return [head[0], stream.read(sum(lengths)).decode()]


def serve(listener: socket.socket, answers: list[dict[str, Any]], requests: list[list[str]]) -> None:
    """One connection per answer, as HTTP/1.0 has it."""
    for answer in answers:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as stream:
            requests.append(read_request(stream))
            head = f"HTTP/1.0 {answer['status']} OK\r\nContent-Type: application/x-ndjson\r\n\r\n"
            connection.sendall(head.encode())
            for line in answer["body"].splitlines(keepends=True):
                connection.sendall(line.encode())
                time.sleep(answer.get("pause", 0))
            until = time.monotonic() + 5
            try:
                while answer["then"] != "close" and time.monotonic() < until:
                    connection.settimeout(0.2)
                    if answer["then"] == "repeat":
                        connection.sendall(answer["body"].encode())
                    try:
                        if connection.recv(1) == b"":
                            break  # the other side gave up
                    except TimeoutError:
                        continue
            except OSError:
                pass


def main() -> None:
    job = json.load(sys.stdin)
    requests: list[list[str]] = []
    loopback_up()
    if job["answers"]:
        listener = socket.create_server(("127.0.0.1", 11434))
        threading.Thread(target=serve, args=(listener, job["answers"], requests), daemon=True).start()
    with tempfile.TemporaryDirectory() as directory:
        waits = Path(directory, "waits")
        sleep = Path(directory, "sleep")
        sleep.write_text(f'#!/bin/sh\necho "$1" >> {waits}\n')
        sleep.chmod(0o755)
        # What the script flushes to the disk at its end takes seconds on a busy machine, and no test looks at it.
        Path(directory, "sync").symlink_to("/bin/true")
        environment = os.environ | {"PATH": f"{directory}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
        done = subprocess.run(job["command"], capture_output=True, text=True, env=environment, timeout=30)
        slept = [int(line) for line in waits.read_text().split()] if waits.exists() else []
    json.dump(
        {"code": done.returncode, "out": done.stdout, "err": done.stderr, "requests": requests, "waits": slept},
        sys.stdout,
    )


if __name__ == "__main__":
    main()
