"""The doctor before a real Ollama that is stuck (ollama#17131): from outside, from inside, during its restart."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from hearth.doctor.checks.host_state import why_stuck
from lab import artefacts
from tests.proxy.conftest import Serve
from tests.proxy.diagnosed import causes
from tests.proxy.httpd import OLLAMA_PORT
from tests.proxy.ollama import Ollama
from tests.proxy.test_stop import main_process
from tests.support.doctor.work import work_of
from tests.support.proxy_rules.behaviour import wait_until

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="looks at another user's process")
MODEL = "tinystory"  # it never ends by itself


def ask(ollama: Ollama, words: int, read: int, timeout: float) -> bool:
    """Read so many lines of an answer and leave; whether there were any."""
    connection = http.client.HTTPConnection(ollama.address, OLLAMA_PORT, timeout=timeout)
    question = {"model": MODEL, "prompt": "go", "options": {"num_predict": words}}
    try:
        connection.request("POST", "/api/generate", json.dumps(question), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return all(answer.readline() for _ in range(read))
    except TimeoutError:
        return False
    finally:
        connection.close()


def get_stuck(ollama: Ollama) -> float:
    """Seconds until nobody is answered any more, after a client that left while a piece was on its way to it.

    It reads nothing until the kernel's buffers are full, so that Ollama waits with the next piece. Twenty probabilities
    for each word make long lines of them. With the doctor's options: for others, the model would be loaded anew, which
    ends the fault.
    """
    begun = time.monotonic()
    message = {"role": "user", "content": "go"}
    wish = {
        "model": MODEL,
        "messages": [message],
        "options": {"num_predict": 30000},
        "logprobs": True,
        "top_logprobs": 20,
    }
    body = json.dumps(wish).encode()
    for seconds in (6, 10, 20, 40, 40):
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.settimeout(60)
            client.connect((ollama.address, OLLAMA_PORT))
            head = f"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}"
            client.sendall(f"{head}\r\nContent-Type: application/json\r\n\r\n".encode() + body)
            client.recv(1000)
            time.sleep(seconds)
            client.shutdown(socket.SHUT_WR)
            time.sleep(0.5)
        if not ask(ollama, 3, 1, 5):
            return time.monotonic() - begun
    pytest.skip("this Ollama did not get stuck; it takes chance, and mostly less than a minute")


def processes(is_one: Callable[[list[str]], bool]) -> list[int]:
    """Numbers of processes by the fields of their `stat`: number, (name), state, parent."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (entry / "stat").read_text().split()
            found += [int(entry.name)] if is_one(fields) else []
    return found


def server_of(ollama: Ollama) -> int:
    """The main process of that Ollama, by the address in its environment."""
    where = f"OLLAMA_HOST={ollama.address}:".encode()
    named = processes(lambda fields: fields[1] == "(ollama)")
    ours = [one for one in named if where in Path(f"/proc/{one}/environ").read_bytes()]
    # The models' processes have it as well; their parent is the server.
    (server,) = [one for one in ours if int(Path(f"/proc/{one}/stat").read_text().split()[3]) not in ours]
    return server


def test_a_stuck_ollama_is_told_from_a_slow_one(
    serve: Serve, parts: artefacts.Paths, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Ollama(parts["roots"] / "ollama", tmp_path, parts["models"]) as stuck, ThreadPoolExecutor() as pool:
        web = serve(upstream=stuck.address)
        assert ask(stuck, 3, 2, 30), "all is well"
        address, server, httpd = stuck.address, server_of(stuck), main_process(web)
        assert work_of(tmp_path, server, httpd, address=address)["work"] is None, "and nothing in flight"
        print(f"\nstuck after {get_stuck(stuck):.0f} s")
        # From outside: the lists come as ever, and so does the word that the model is in memory.
        assert causes(web.url, patience=4, model=MODEL) == ["model-does-not-answer"]
        # From inside, while a question waits.
        waiting = pool.submit(causes, web.url, patience=60, model=MODEL)
        time.sleep(1)
        symptoms = work_of(tmp_path, server, httpd, address=address, patience=6) | {"containers": {}}
        work = symptoms["work"]
        assert (work["models"], work["cpu_seconds"] < 0.2, work["seconds"] >= 6) == (1, True, True), work
        assert "question(s) wait" in why_stuck(symptoms | {"work": work | {"seconds": 30}})
        # What Hearth's health check does about it, and Docker: the server ends, and starts again.
        os.kill(server, signal.SIGTERM)
        with Ollama(parts["roots"] / "ollama", tmp_path_factory.mktemp("again"), parts["models"], at=address) as again:
            assert waiting.result(90) == ["model-server-restarted"]
            # A model's process that the kernel kills for want of memory leaves this in the log.
            runners = processes(lambda fields: fields[3] == str(server_of(again)) and fields[2] != "Z")
            assert runners
            for runner in runners:
                os.kill(runner, signal.SIGKILL)
            wait_until(lambda: ask(again, 3, 2, 30), 30)
            assert work_of(tmp_path, server_of(again), httpd, address=address, log=again.log())["kills"] >= 1
