"""The complete stack in a real Docker engine, and functions to get its Ollama stuck (ollama#17131)."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from hearth.paths import CONTAINERS
from hearth.settings.model import Settings
from hearth.stack.containers import Container, parse_container
from lab import models
from tests.proxy.engine import ADDRESS, Engine

OLLAMA = CONTAINERS["ollama"]
PORT = 11434
# One thread, since two wait for each other on a busy machine. All prompts use it: with other options, Ollama would
# reload the model, which ends the fault.
PACE = {"num_thread": 1}
T = TypeVar("T")


class StuckHost:
    """The stack's containers with the given settings and the tiny models.

    Args:
        engine: with the lab's images.
        weights: the directory with each model's `NAME.gguf`.
        patience: seconds that a prompt waits before Ollama counts as stuck; None for the shipped value. The check runs
            more often accordingly.
    """

    def __init__(self, engine: Engine, weights: Path, patience: int | None = None) -> None:
        self._engine, self._weights, self._patience = engine, weights, patience
        # Each of its threads is in the engine's network.
        self._clients = ThreadPoolExecutor(16, initializer=engine.enter_network)

    def deploy(self, settings: Settings) -> None:
        """Start the containers, and add the models to Ollama."""
        self._engine.write(settings)
        if self._patience is not None:
            self._hurry(self._patience)
        self._engine.bring_up(settings)
        for name in models.NAMES:
            self.client(self.add, name).result(60)

    def _hurry(self, patience: int) -> None:
        """Like the shipped check, but faster: the same share of CPU time counts as work."""
        compose, check = self._engine.project / "compose.yaml", self._engine.project / "ollama/health.bash"
        # The first interval is Ollama's.
        _replace(compose, "interval: 30s", f"interval: {max(1, patience // 3)}s")
        _replace(check, "patience=90 ", f"patience={patience} ")
        _replace(check, "small_cpu=20 ", f"small_cpu={20 * patience // 90} ")

    def execute(self, command: str) -> str:
        """The output of a command that must succeed."""
        done = self._engine.execute(command)
        assert done.code == 0, f"{command}: {done.output}"
        return done.output

    def run(self, script: str) -> str:
        """The output of a shell script that must succeed."""
        done = self._engine.run(script)
        assert done.code == 0, done.output
        return done.output

    def client(self, work: Callable[..., T], *arguments: Any) -> Future[T]:
        """Run a function in a thread in the engine's network."""
        return self._clients.submit(work, *arguments)

    def address(self) -> str:
        """Ollama's address, without httpd: not the published port, whose proxy would buffer."""
        network = '{{(index .NetworkSettings.Networks "hearth-back").IPAddress}}'
        return self.execute(f"docker inspect -f '{network}' {OLLAMA}").strip()

    def inspect(self) -> dict[str, Any]:
        """Ollama's container."""
        found: list[dict[str, Any]] = json.loads(self.execute(f"docker inspect {OLLAMA}"))
        return found[0]

    def container(self) -> Container:
        """Ollama's container, as Hearth reads it."""
        return parse_container(self.inspect())

    def restarts(self) -> int:
        """How often Docker has restarted Ollama's container by itself."""
        return int(self.inspect()["RestartCount"])

    def alarms(self) -> list[str]:
        """Output of the failed ones among the last five health checks."""
        return [one["Output"] for one in self.inspect()["State"]["Health"]["Log"] or [] if one["ExitCode"]]

    def log(self) -> str:
        """The container's log."""
        return self.execute(f"docker logs {OLLAMA}")

    def wait_until(self, condition: Callable[[], bool], seconds: float) -> float:
        """Poll until a condition is true, and return the seconds that took; fails after `seconds`."""
        begun = time.monotonic()
        while not condition():
            assert time.monotonic() < begun + seconds, (
                f"not within {seconds:.0f} s:\n{self.inspect()['State']['Health']}\n{self.log()[-2000:]}"
            )
            time.sleep(0.2)
        return time.monotonic() - begun

    def ask(
        self, words: int = 3, timeout: float = 1200, prompt: str = "go", address: str = "", source: str = ""
    ) -> Future[int]:
        """A prompt to the endless model, through httpd or directly to that address: the response's status.

        0 if it was cut off or did not arrive within `timeout` seconds.

        Args:
            source: the client's own address; "" for any.
        """
        where, port = (address, PORT) if address else (ADDRESS, 85)
        return self.client(ask, where, port, words, timeout, prompt, source)

    @contextmanager
    def idle_connection(self, address: str, source: str) -> Iterator[None]:
        """A connection to Ollama that has had its answer, and is kept."""
        connection = self.client(_keep_connection, address, source).result(60)
        try:
            yield
        finally:
            connection.close()

    def answered_after(self, seconds: float) -> float:
        """Seconds until a new prompt through httpd is answered."""
        return self.wait_until(lambda: self.ask(timeout=20).result() == 200, seconds)

    def get_stuck(self) -> float:
        """Reliably make Ollama stuck, and return the seconds that took.

        Its handler must be busy with a part of the response when the client disconnects: a client that reads nothing
        blocks it as soon as the kernel's buffers are full (2 MB and more), and then disconnects.
        """
        begun, address = time.monotonic(), self.address()
        for seconds in (10, 20, 40):
            self.client(_disconnect_mid_token, address, seconds).result()
            if self.ask(timeout=5, address=address).result() != 200:
                return time.monotonic() - begun
        raise AssertionError("it still responds")

    def stop_answers(self, address: str = "", limit: int = 2000) -> int:
        """Read a few tokens of a response and disconnect, until there is no response; the number of repetitions."""
        where, port = (address, PORT) if address else (ADDRESS, 85)
        return self.client(_stop_answers, where, port, limit).result()

    def add(self, name: str) -> None:
        """Add a tiny model to Ollama; call it with `client`."""
        content = (self._weights / f"{name}.gguf").read_bytes()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        url = f"http://127.0.0.1:{PORT}"
        creation = {"model": name, "files": {f"{name}.gguf": digest}, "template": models.TEMPLATE, "stream": False}
        for path, body in ((f"/api/blobs/{digest}", content), ("/api/create", json.dumps(creation).encode())):
            with urllib.request.urlopen(urllib.request.Request(url + path, body), timeout=60) as answer:
                assert b'"error"' not in answer.read()

    def close(self) -> None:
        """Wait for the clients."""
        self._clients.shutdown(cancel_futures=True)


def ask(address: str, port: int, words: int, timeout: float, prompt: str = "go", source: str = "") -> int:
    """Status of a complete response; 0 if it was cut off or timed out."""
    connection = http.client.HTTPConnection(address, port, timeout, source_address=(source, 0) if source else None)
    try:
        connection.request("POST", "/api/chat", _body(words, prompt), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        complete = b'"done":true' in answer.read()
        return answer.status if complete or answer.status != 200 else 0
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def _keep_connection(address: str, source: str) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection(address, PORT, timeout=60, source_address=(source, 0))
    connection.request("POST", "/api/chat", _body(3), {"Content-Type": "application/json"})
    assert b'"done":true' in connection.getresponse().read()
    return connection


def _body(words: int, prompt: str = "go", **more: object) -> bytes:
    body = {
        "model": "tinystory",
        "messages": [{"role": "user", "content": prompt}],
        "options": PACE | {"num_predict": words},
    }
    return json.dumps(body | more).encode()


def _stop_answers(address: str, port: int, limit: int) -> int:
    for number in range(limit):
        connection = http.client.HTTPConnection(address, port, timeout=15)
        try:
            connection.request("POST", "/api/chat", _body(400), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            for _ in range(5):
                answer.readline()
            answer.close()
        except TimeoutError:
            return number
        finally:
            connection.close()
    raise AssertionError(f"it still responds, after {limit} stopped responses")


def _disconnect_mid_token(address: str, seconds: float) -> None:
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.settimeout(60)
        client.connect((address, PORT))
        # Twenty probabilities per token make long lines, which fill the buffers sooner.
        body = _body(30000, logprobs=True, top_logprobs=20)
        head = "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
        client.sendall(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        client.recv(1000)
        time.sleep(seconds)
        client.shutdown(socket.SHUT_WR)
        time.sleep(0.5)


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path.name} no longer contains {old!r}"
    path.write_text(text.replace(old, new, 1))
