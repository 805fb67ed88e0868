"""Processes on the host that die without a word."""

from __future__ import annotations

import time

import pytest

from tests.lab.checks import deploy_twice
from tests.lab.clients import Talker, ask
from tests.lab.machine import on_guest, wait_until

pytestmark = [pytest.mark.scenario, pytest.mark.usefixtures("deployed")]


def talking(words: int) -> Talker:
    """A client in the middle of an answer."""
    assert ask(4).whole, "the model does not answer at all"
    talker = Talker(words)
    talker.start()
    wait_until(lambda: len(talker.told.lines) > 5, 60, "words come")
    return talker


@pytest.mark.long
def test_responses_continue_when_the_engine_is_killed() -> None:
    talker = talking(words=400)
    engine = "systemctl show docker.service --property MainPID --value"
    before = on_guest(f"{engine}; sudo kill -9 $({engine})")
    came = len(talker.told.lines)
    knows_all = f"{engine}; sudo docker ps -q | wc -l"

    def is_back() -> bool:
        process, count = on_guest(knows_all).split()
        return process not in ("0", before) and count == "2"

    wait_until(is_back, 120, "the engine is back and knows its containers")
    talker.join(300)
    told = talker.told
    print(f"\ndockerd killed after {came} lines of {len(told.lines)}: {told.broken or 'a whole answer'}")
    assert told.whole, told.broken
    assert came < len(told.lines), "the answer had ended before"
    deploy_twice()


def test_killed_ollama_causes_an_error_and_not_a_normal_end() -> None:
    talker = talking(words=2000)
    on_guest("sudo kill -9 $(sudo docker inspect -f '{{.State.Pid}}' hearth-ollama)")
    killed = time.monotonic()
    talker.join(60)
    told = talker.told
    assert not talker.is_alive(), "the client was left waiting"
    print(f"\nOllama killed after {len(told.lines)} lines; the client sees: {told.broken or told.lines[-1]}")
    assert not told.whole
    assert told.broken or "error" in told.lines[-1], "this can't be told from an answer's end"
    wait_until(lambda: ask(4).whole, 120, "the next question is answered")
    print(f"the next question was answered {time.monotonic() - killed:.1f} s later, without a deploy")
    deploy_twice()


@pytest.mark.long
def test_killed_model_process_causes_an_error_and_not_a_normal_end() -> None:
    """As the kernel does when memory runs out: Ollama lives, the process that runs the model does not."""
    talker = talking(words=2000)
    on_guest("sudo pkill -9 -f '[o]llama runner'")
    killed = time.monotonic()
    talker.join(60)
    told = talker.told
    assert not talker.is_alive(), "the client was left waiting"
    print(f"\nrunner killed after {len(told.lines)} lines; the client sees: {told.broken or told.lines[-1]}")
    assert not told.whole
    assert told.broken or "error" in told.lines[-1], "this can't be told from an answer's end"
    wait_until(lambda: ask(4).whole, 120, "the next question is answered")
    print(f"the next question was answered {time.monotonic() - killed:.1f} s later, without a deploy")
    deploy_twice()
