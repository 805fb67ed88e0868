"""Run the doctor in an isolated network: routes that lead nowhere, names that do not resolve, ports below 1024.

Run inside `unshare -rnm`. Standard input: {"setup": shell, "hosts": text of /etc/hosts, "servers": [[address, port,
kind]], "dns": "nothing" | "silent" | "", "container": bool, "arguments": [strings], "environment": {…}}; kinds are
those of KINDS. Standard output: the doctor's output with --json.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(PROJECT))

from tests.support.doctor.handlers import hearth, ollama  # noqa: E402
from tests.support.doctor.server import Request, black_hole, serving  # noqa: E402

NAMES = ("127.0.0.1", "127.0.0.2", "localhost", "192.168.7.2", "pi", "pi.local")


def far_hearth(request: Request, connection: socket.socket) -> None:
    """A proxy on the only machine that can reach a Hearth."""
    _, _, path = request.path.removeprefix("http://").partition("/")
    hearth(names=NAMES)(replace(request, path=f"/{path}"), connection)


KINDS = {"hearth": hearth(names=NAMES), "ollama": ollama, "proxy that reaches a hearth": far_hearth}


def replace_file(path: str, text: str) -> None:
    """Mount a file over one of the system's, in this mount namespace only."""
    with tempfile.NamedTemporaryFile("w", delete=False) as file:
        file.write(text)
    Path(file.name).chmod(0o644)
    # It may be a symbolic link; mount over its target.
    subprocess.run(["mount", "--bind", file.name, str(Path(path).resolve())], check=True)
    Path(file.name).unlink()


def no_such_name(listener: socket.socket) -> None:
    """A DNS server that knows no names."""
    while True:
        query, client = listener.recvfrom(4096)
        # The query, turned into a response: recursion available, NXDOMAIN, no records.
        listener.sendto(query[:2] + b"\x81\x83" + query[4:6] + bytes(6) + query[12:], client)


def main() -> None:
    job: dict[str, Any] = json.load(sys.stdin)
    subprocess.run(["sh", "-ec", job.get("setup", "")], check=True, stdout=sys.stderr)
    replace_file("/etc/hosts", job.get("hosts", "127.0.0.1 localhost\n"))
    replace_file("/etc/nsswitch.conf", "hosts: files dns\n")
    replace_file("/etc/resolv.conf", "nameserver 127.0.0.53\noptions timeout:1 attempts:1\n")
    if job.get("container"):
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
        Path("/run/.containerenv").touch()
    with ExitStack() as stack:
        if job.get("dns"):
            listener = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            listener.bind(("127.0.0.53", 53))
            if job["dns"] == "nothing":
                threading.Thread(target=no_such_name, args=(listener,), daemon=True).start()
        for address, port, kind in job.get("servers", ()):
            if kind == "black hole":
                stack.enter_context(black_hole(port))
            else:
                stack.enter_context(serving(KINDS[kind], port=port, address=address))
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        done = subprocess.run(
            [sys.executable, "-S", "-m", "hearth.doctor", "--json", *job["arguments"]],
            cwd=PROJECT,
            env=environment | job.get("environment", {}),
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    print(done.stdout)
    sys.stdout.flush()
    os._exit(0)  # the DNS server's thread never ends


if __name__ == "__main__":
    main()
