"""Processes on the host that are killed."""

from __future__ import annotations

import time

import pytest

from tests.lab.checks import deploy_twice
from tests.lab.clients import BackgroundStream, prompt
from tests.lab.machine import on_guest, wait_until

pytestmark = [pytest.mark.scenario, pytest.mark.usefixtures("deployed")]


def streaming(words: int) -> BackgroundStream:
    """A client in the middle of a response."""
    assert prompt(4).complete, "the model does not answer at all"
    client = BackgroundStream(words)
    client.start()
    wait_until(lambda: len(client.streamed.lines) > 5, 60, "tokens arrive")
    return client


@pytest.mark.long
def test_responses_continue_when_the_engine_is_killed() -> None:
    client = streaming(words=400)
    engine = "systemctl show docker.service --property MainPID --value"
    before = on_guest(f"{engine}; sudo kill -9 $({engine})")
    received = len(client.streamed.lines)
    status = f"{engine}; sudo docker ps -q | wc -l"

    def is_back() -> bool:
        process, count = on_guest(status).split()
        return process not in ("0", before) and count == "2"

    wait_until(is_back, 120, "the engine is back and knows its containers")
    client.join(300)
    streamed = client.streamed
    print(
        f"\ndockerd killed after {received} lines of {len(streamed.lines)}: {streamed.broken or 'a complete response'}"
    )
    assert streamed.complete, streamed.broken
    assert received < len(streamed.lines), "the response had already ended"
    deploy_twice()


def _killed_while_streaming(process: str, command: str) -> None:
    """A killed process is an error for the client of its response, and the next prompt is answered."""
    client = streaming(words=2000)
    on_guest(command)
    killed = time.monotonic()
    client.join(60)
    streamed = client.streamed
    assert not client.is_alive(), "the client was left waiting"
    print(
        f"\n{process} killed after {len(streamed.lines)} lines; the client got: {streamed.broken or streamed.lines[-1]}"
    )
    assert not streamed.complete
    assert streamed.broken or "error" in streamed.lines[-1], "this looks like a normal end"
    wait_until(lambda: prompt(4).complete, 120, "the next prompt is answered")
    print(f"the next prompt was answered {time.monotonic() - killed:.1f} s later, without a deploy")
    deploy_twice()


def test_killed_ollama_causes_an_error_and_not_a_normal_end() -> None:
    _killed_while_streaming("Ollama", "sudo kill -9 $(sudo docker inspect -f '{{.State.Pid}}' hearth-ollama)")


@pytest.mark.long
def test_killed_model_process_causes_an_error_and_not_a_normal_end() -> None:
    """Like the kernel when memory runs out: Ollama survives, the process that runs the model does not."""
    _killed_while_streaming("runner", "sudo pkill -9 -f '[o]llama runner'")
