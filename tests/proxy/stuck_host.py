"""The whole stack in a real Docker engine, ways to get its Ollama stuck (ollama#17131), and to look at it."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from hearth.paths import CONTAINERS
from hearth.settings.model import Settings
from hearth.stack.containers import Container, parse_container
from lab import models
from tests.proxy.engine import ADDRESS, Engine

OLLAMA = CONTAINERS["ollama"]
PORT = 11434
# One thread, since two wait for each other on a busy machine. All questions have it: a model that is asked with other
# options is loaded anew, and that ends the fault.
PACE = {"num_thread": 1}
T = TypeVar("T")


class StuckHost:
    """The stack with the given settings, deployed as far as containers go, and with the tiny models.

    Args:
        engine: one that has the lab's images.
        weights: the directory with each model's `NAME.gguf`.
        patience: seconds that a question waits before Ollama is stuck; None for what is shipped. The check looks
            the more often for it.
    """

    def __init__(self, engine: Engine, weights: Path, patience: int | None = None) -> None:
        self._engine, self._weights, self._patience = engine, weights, patience
        # Each of its threads is in the engine's network.
        self._clients = ThreadPoolExecutor(16, initializer=engine.enter_network)

    def deploy(self, settings: Settings) -> None:
        """Bring the containers up, and the models into Ollama."""
        self._engine.write(settings)
        if self._patience is not None:
            self._hurry(self._patience)
        self._engine.bring_up(settings)
        for name in models.NAMES:
            self.client(self._add, name).result(60)

    def _hurry(self, patience: int) -> None:
        """As shipped, but quicker: the same share of the processor counts as work."""
        compose, check = self._engine.project / "compose.yaml", self._engine.project / "ollama/health.bash"
        # The first interval is Ollama's.
        _replace(compose, "interval: 30s", f"interval: {max(1, patience // 3)}s")
        _replace(check, "patience=90 ", f"patience={patience} ")
        _replace(check, "small_cpu=20 ", f"small_cpu={20 * patience // 90} ")

    def execute(self, command: str) -> str:
        """What a command says that must not fail."""
        done = self._engine.execute(command)
        assert done.code == 0, f"{command}: {done.output}"
        return done.output

    def run(self, script: str) -> str:
        """What a shell script says that must not fail."""
        done = self._engine.run(script)
        assert done.code == 0, done.output
        return done.output

    def client(self, work: Callable[..., T], *arguments: Any) -> Future[T]:
        """Something done in a thread that is in the engine's network."""
        return self._clients.submit(work, *arguments)

    def address(self) -> str:
        """Ollama's own, past httpd: not the published one, since what is between would buffer."""
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
        """How often Docker has started Ollama's container again by itself."""
        return int(self.inspect()["RestartCount"])

    def alarms(self) -> list[str]:
        """What failed checks said, of the last five."""
        return [one["Output"] for one in self.inspect()["State"]["Health"]["Log"] or [] if one["ExitCode"]]

    def log(self) -> str:
        """The container's."""
        return self.execute(f"docker logs {OLLAMA}")

    def wait_until(self, is_so: Callable[[], bool], seconds: float) -> float:
        """Seconds until it was; fails after `seconds`."""
        begun = time.monotonic()
        while not is_so():
            assert time.monotonic() < begun + seconds, (
                f"not within {seconds:.0f} s:\n{self.inspect()['State']['Health']}\n{self.log()[-2000:]}"
            )
            time.sleep(0.2)
        return time.monotonic() - begun

    def ask(self, words: int = 3, timeout: float = 1200, prompt: str = "go", address: str = "") -> Future[int]:
        """A question to the model that never ends, through httpd, or else at that address: the answer's status.

        0 for one that broke off or did not come within `timeout` seconds.
        """
        where, port = (address, PORT) if address else (ADDRESS, 85)
        return self.client(ask, where, port, words, timeout, prompt)

    def answered_after(self, seconds: float) -> float:
        """Seconds until a new question through httpd is answered."""
        return self.wait_until(lambda: self.ask(timeout=20).result() == 200, seconds)

    def get_stuck(self) -> float:
        """Make Ollama stuck for certain, and return the seconds that it took.

        Its handler has to be busy with one piece of the answer when the client leaves: a client that reads nothing
        makes it wait, as soon as the kernel's buffers are full (2 MB and more), and then takes its leave.
        """
        begun, address = time.monotonic(), self.address()
        for seconds in (10, 20, 40):
            self.client(_leave_in_mid_word, address, seconds).result()
            if self.ask(timeout=5, address=address).result() != 200:
                return time.monotonic() - begun
        raise AssertionError("it answers still")

    def stop_answers(self, address: str = "", limit: int = 2000) -> int:
        """Read a few words of an answer, close the connection, again and again until nobody is answered: how often."""
        where, port = (address, PORT) if address else (ADDRESS, 85)
        return self.client(_stop_answers, where, port, limit).result()

    def _add(self, name: str) -> None:
        content = (self._weights / f"{name}.gguf").read_bytes()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        url = f"http://127.0.0.1:{PORT}"
        wish = {"model": name, "files": {f"{name}.gguf": digest}, "template": models.TEMPLATE, "stream": False}
        for path, body in ((f"/api/blobs/{digest}", content), ("/api/create", json.dumps(wish).encode())):
            with urllib.request.urlopen(urllib.request.Request(url + path, body), timeout=60) as answer:
                assert b'"error"' not in answer.read()

    def close(self) -> None:
        """Wait for what the clients still do."""
        self._clients.shutdown(cancel_futures=True)


def ask(address: str, port: int, words: int, timeout: float, prompt: str = "go") -> int:
    """Status of an answer that came whole; 0 of one that broke off or did not come in time."""
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request("POST", "/api/chat", _question(words, prompt), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        whole = b'"done":true' in answer.read()
        return answer.status if whole or answer.status != 200 else 0
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def _question(words: int, prompt: str = "go", **more: object) -> bytes:
    wish = {
        "model": "tinystory",
        "messages": [{"role": "user", "content": prompt}],
        "options": PACE | {"num_predict": words},
    }
    return json.dumps(wish | more).encode()


def _stop_answers(address: str, port: int, limit: int) -> int:
    for number in range(limit):
        connection = http.client.HTTPConnection(address, port, timeout=15)
        try:
            connection.request("POST", "/api/chat", _question(400), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            for _ in range(5):
                answer.readline()
            answer.close()
        except TimeoutError:
            return number
        finally:
            connection.close()
    raise AssertionError(f"it answers still, after {limit} answers that nobody read to their end")


def _leave_in_mid_word(address: str, seconds: float) -> None:
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.settimeout(60)
        client.connect((address, PORT))
        # Twenty probabilities for each word make long lines of them, which fill the buffers sooner.
        body = _question(30000, logprobs=True, top_logprobs=20)
        head = "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
        client.sendall(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        client.recv(1000)
        time.sleep(seconds)
        client.shutdown(socket.SHUT_WR)
        time.sleep(0.5)


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path.name} has no {old!r} any more"
    path.write_text(text.replace(old, new, 1))
