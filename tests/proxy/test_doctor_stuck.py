"""The doctor and a real Ollama that is stuck (ollama#17131): from outside, from inside, during its restart."""

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

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="reads another user's process")
MODEL = "tinystory"  # its answers never end by themselves


def read_answer(ollama: Ollama, tokens: int, lines: int, timeout: float) -> bool:
    """Read some lines of an answer and disconnect; whether they came."""
    connection = http.client.HTTPConnection(ollama.address, OLLAMA_PORT, timeout=timeout)
    prompt = {"model": MODEL, "prompt": "go", "options": {"num_predict": tokens}}
    try:
        connection.request("POST", "/api/generate", json.dumps(prompt), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return all(answer.readline() for _ in range(lines))
    except TimeoutError:
        return False
    finally:
        connection.close()


def get_stuck(ollama: Ollama) -> float:
    """Seconds until Ollama answers nobody, because a client disconnected while a chunk was being sent to it.

    The client reads nothing until the kernel's buffers are full, which blocks Ollama; twenty probabilities per token
    make the lines long. It uses the doctor's options, because with others the model would be reloaded, which clears
    the fault.
    """
    begun = time.monotonic()
    message = {"role": "user", "content": "go"}
    body = {
        "model": MODEL,
        "messages": [message],
        "options": {"num_predict": 30000},
        "logprobs": True,
        "top_logprobs": 20,
    }
    data = json.dumps(body).encode()
    for seconds in (6, 10, 20, 40, 40):
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.settimeout(60)
            client.connect((ollama.address, OLLAMA_PORT))
            head = f"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}"
            client.sendall(f"{head}\r\nContent-Type: application/json\r\n\r\n".encode() + data)
            client.recv(1000)
            time.sleep(seconds)
            client.shutdown(socket.SHUT_WR)
            time.sleep(0.5)
        if not read_answer(ollama, 3, 1, 5):
            return time.monotonic() - begun
    raise AssertionError("it still answers")


def processes(matches: Callable[[list[str]], bool]) -> list[int]:
    """Process ids, selected by the fields of `stat`: id, (name), state, parent."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (entry / "stat").read_text().split()
            found += [int(entry.name)] if matches(fields) else []
    return found


def server_of(ollama: Ollama) -> int:
    """The main process of an Ollama, identified by the address in its environment."""
    marker = f"OLLAMA_HOST={ollama.address}:".encode()
    candidates = processes(lambda fields: fields[1] == "(ollama)")
    ours = [one for one in candidates if marker in Path(f"/proc/{one}/environ").read_bytes()]
    # The models' processes inherit it; their parent is the server.
    (server,) = [one for one in ours if int(Path(f"/proc/{one}/stat").read_text().split()[3]) not in ours]
    return server


def test_a_stuck_ollama_is_distinguished_from_a_slow_one(
    serve: Serve, parts: artefacts.Paths, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with (
        Ollama(parts["roots"] / "ollama", tmp_path, parts["models"]) as stuck,
        ThreadPoolExecutor() as pool,
    ):
        web = serve(upstream=stuck.address)
        assert read_answer(stuck, 3, 2, 30), "it works"
        address, server, httpd = stuck.address, server_of(stuck), main_process(web)
        assert causes(web.url, patience=20, model=MODEL) == [], "which leaves idle connections"
        assert work_of(tmp_path, server, httpd, address=address, url=web.url)["work"] is None, "nothing is in flight"
        print(f"\nstuck after {get_stuck(stuck):.0f} s")
        # From outside: Ollama still lists its models and reports that the model is in memory.
        assert causes(web.url, patience=4, model=MODEL) == ["model-does-not-answer"]
        # From inside, while a prompt waits.
        waiting = pool.submit(causes, web.url, patience=60, model=MODEL)
        time.sleep(1)
        symptoms = work_of(tmp_path, server, httpd, address=address, url=web.url, patience=6) | {"containers": {}}
        work = symptoms["work"]
        assert (work["models"], work["cpu_seconds"] < 0.2, work["seconds"] >= 6) == (1, True, True), work
        assert "prompt(s) waiting" in why_stuck(symptoms | {"work": work | {"seconds": 30}})
        # The effect of Hearth's health check and of Docker: the server exits and is restarted.
        os.kill(server, signal.SIGTERM)
        # Until then, it is the old one that responds at the address.
        wait_until(lambda: not processes(lambda fields: fields[0] == str(server) and fields[2] != "Z"), 30)
        restarted = Ollama(parts["roots"] / "ollama", tmp_path_factory.mktemp("again"), parts["models"], at=address)
        with restarted as again:
            assert waiting.result(90) == ["model-server-restarted"]

            def is_logged() -> bool:
                """Whether a kill of the model's process, as by the kernel for lack of memory, is in the log.

                Ollama does not log each of them: on a busy machine, one was missing.
                """
                runners = processes(lambda fields: fields[3] == str(server_of(again)) and fields[2] != "Z")
                assert runners
                for runner in runners:
                    os.kill(runner, signal.SIGKILL)
                wait_until(lambda: read_answer(again, 3, 2, 30), 30)
                symptoms = work_of(tmp_path, server_of(again), httpd, address=address, log=again.log())
                return bool(symptoms["kills"])

            wait_until(is_logged, 60)
