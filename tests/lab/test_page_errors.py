"""What the chat page says when something is wrong on the host: each error made there, and the sentence shown.

The sentences stand here whole, since they are what a person gets to read; `test_bad_network.py` has those that a
healthy host never gives.
"""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.acceptance.api import call
from tests.browser.chat_page import ANSWER_MS, ChatPage
from tests.browser.conftest import OpenChat
from tests.lab.held import held, refusal
from tests.lab.machine import deployed_with, on_guest, url, wait_until

pytestmark = [pytest.mark.scenario, pytest.mark.long, pytest.mark.usefixtures("deployed")]

LOOK = "on the server, “cd /opt/hearth && sudo docker compose ps” shows what is running"
LOGS = "on the server, “cd /opt/hearth && sudo docker compose logs ollama” says why"
UNREACHABLE = (
    f"The server can't be reached. Check that it is on and that this device is on its network; if both are so, {LOOK}."
)
NO_OLLAMA = f"The model server's name could not be found, or it failed. Ask again in a minute; if it stays, {LOOK}."
BUSY = "The model is busy with other questions. Wait a moment and ask again."
QUEUE_FULL = "Too many questions are waiting for the model. Wait a moment and ask again."
TOO_SLOW = (
    f"The model server gave no answer in time. It may still be loading: ask again, or pick a smaller model; {LOGS}."
)
FAILED = f"The model server failed while answering. Ask again, or pick a smaller model; if it stays, {LOGS}."
CUT_OFF = f"The answer was cut off before its end. Continue or ask again; if it happens often, {LOGS}."
RESTARTED = (
    "The model server went away with your question and is being restarted. It may have been stuck, or out of memory. "
    f"Ask again in a moment; if it happens often, {LOGS}."
)
NO_MODELS = "There is no model on this server yet. Add one to “ollama_models” in the inventory and deploy again."
WAIT = ["Ask again", "Keep trying", "Edit question", "What is wrong?"]

OLLAMA = "sudo docker exec hearth-ollama ollama"


@pytest.fixture
def chat(open_chat: OpenChat) -> ChatPage:
    """The page, opened while all was well."""
    return open_chat(url())


def said(chat: ChatPage) -> str:
    """The sentence of the newest exchange, which ended in an error."""
    chat.wait_for("error")
    return chat.alert.locator("p").first.inner_text()


def offered(chat: ChatPage) -> list[str]:
    """What can be pressed below it."""
    return [re.sub(r" in \d+ s$", "", text) for text in chat.alert.get_by_role("button").all_inner_texts()]


def diagnosed(chat: ChatPage) -> tuple[str, str]:
    """What “What is wrong?” shows: a mark for each thing that was asked, and what to put right first."""
    chat.press("What is wrong?")
    verdict = chat.page.locator("#verdict")
    expect(verdict).not_to_have_text("Looking…", timeout=ANSWER_MS)
    steps = chat.page.get_by_role("dialog").get_by_role("listitem").all_inner_texts()
    told = verdict.inner_text().removeprefix("Put this right first: ")
    chat.press("Close")
    return "".join("✓" if "✓" in step else "✗" for step in steps), told


def asked(chat: ChatPage, model: str = "tinyllama") -> str:
    """The sentence that a question to this model ends in."""
    chat.pick(model)
    chat.ask("Who are you?")
    return said(chat)


def telling(chat: ChatPage) -> str:
    """What is there of a story, after a few words."""
    chat.pick("tinystory")
    chat.ask("Tell me a story.")
    chat.wait_for_words(6)
    return chat.answer.inner_text()


def container_is_stopped(chat: ChatPage, container: str, problem: str, checks: str) -> None:
    """The page names the problem, its checks find it, and it goes on by itself when the container is back."""
    on_guest(f"sudo docker stop {container}")
    assert asked(chat) == problem
    assert offered(chat) == WAIT
    assert diagnosed(chat) == (checks, problem)
    chat.press("Keep trying")
    on_guest(f"sudo docker start {container}")
    chat.wait_for("done")


def test_ollama_is_stopped(chat: ChatPage) -> None:
    container_is_stopped(chat, "hearth-ollama", NO_OLLAMA, "✓✗✗✗")


def test_httpd_is_stopped(chat: ChatPage) -> None:
    container_is_stopped(chat, "hearth-httpd", UNREACHABLE, "✗")


def test_the_model_was_deleted(chat: ChatPage) -> None:
    on_guest(f"{OLLAMA} rm tinyllama")
    assert asked(chat) == (
        "The model “tinyllama:latest” is not on this server, which has “tinystory:latest”. Pick another one, or add it "
        "to “ollama_models” in the inventory and deploy again."
    )
    assert offered(chat) == ["Ask tinystory instead", "Edit question", "What is wrong?"]
    assert chat.models() == ["tinystory"]
    chat.press("Ask tinystory instead")
    chat.wait_for_words(3)
    chat.press("Stop")
    chat.wait_for("stopped")

    on_guest(f"{OLLAMA} rm tinystory")
    chat.press("Ask again")
    chat.wait_for("error")
    expect(chat.page.locator("#notice-text")).to_have_text(NO_MODELS)
    assert diagnosed(chat) == ("✓✗✓✗", NO_MODELS)


def test_all_places_are_taken(chat: ChatPage) -> None:
    """As many answers as `proxy_max_streams` lets through: one comes, the others wait for the model."""
    with held(4):
        wait_until(lambda: refusal("tinystory") == "busy, or model server down", 120, "no place is left")
        assert asked(chat, "tinystory") == BUSY
        assert offered(chat) == WAIT
        assert diagnosed(chat) == ("✓✓✓✗", BUSY)
        chat.press("Keep trying")
        expect(chat.status).to_contain_text("Trying again in", timeout=ANSWER_MS)
    chat.wait_for_words(3)


def test_ollamas_queue_is_full(chat: ChatPage) -> None:
    """Who wants another model than the one that is answering waits in Ollama's own queue: one first in line, and one
    more behind it."""
    deployed_with("ollama_max_queue=1", "proxy_max_streams=16")
    with held():
        wait_until(lambda: "maximum pending requests" in refusal("tinyllama"), 120, "the queue is full")
        assert asked(chat) == QUEUE_FULL
        assert "The server said: server busy" in chat.alert.inner_text()
        assert offered(chat) == WAIT
        assert diagnosed(chat) == ("✓✓✓✗", QUEUE_FULL)
        chat.press("Keep trying")
        expect(chat.status).to_contain_text("Trying again in", timeout=ANSWER_MS)
    chat.wait_for("done")


def test_the_models_process_is_killed_in_the_midst_of_an_answer(chat: ChatPage) -> None:
    told = telling(chat)
    on_guest("sudo pkill -9 -f '[o]llama runner'")
    assert said(chat) == FAILED
    assert "The server said: " in chat.alert.inner_text()
    assert chat.answer.inner_text().startswith(told)
    chat.press("Ask again")
    chat.wait_for_words(3)


def test_ollama_is_killed_in_the_midst_of_an_answer(chat: ChatPage) -> None:
    told = telling(chat)
    on_guest("sudo kill -9 $(sudo docker inspect -f '{{.State.Pid}}' hearth-ollama)")
    assert said(chat) == CUT_OFF
    assert offered(chat) == ["Copy", "Continue", "Ask again", "Edit question", "What is wrong?"]
    kept = chat.answer.inner_text()
    assert kept.startswith(told)
    # Docker starts it again, without anybody's doing.
    wait_until(lambda: call(url(), "GET", "/api/tags", timeout=10).status == 200, 120, "Ollama answers again")
    chat.press("Continue")
    chat.wait_for_words(len(kept.split()) + 3)
    assert chat.answer.inner_text().startswith(kept)


def test_ollama_is_killed_while_a_question_waits(chat: ChatPage) -> None:
    """Chromium sends a question again whose connection was closed, and learns that nobody is there to take it."""
    with held():
        chat.pick("tinystory")
        chat.ask("And me?")
        expect(chat.status).to_contain_text(
            "The model server answers; the model may be busy with other questions", timeout=60_000
        )
        on_guest("sudo kill -9 $(sudo docker inspect -f '{{.State.Pid}}' hearth-ollama)")
        assert said(chat) == RESTARTED
    assert offered(chat) == WAIT
    chat.press("Keep trying")
    chat.wait_for_words(3)


def test_an_answer_that_takes_longer_than_the_proxy_waits(chat: ChatPage) -> None:
    deployed_with("proxy_timeout=30", 'ollama_load_timeout="30s"')
    with held():
        assert asked(chat, "tinystory") == TOO_SLOW
        assert offered(chat) == ["Ask again", "Edit question", "What is wrong?"]
        assert diagnosed(chat) == ("✓✓✓✗", TOO_SLOW)
    chat.press("Ask again")
    chat.wait_for_words(3)


def test_the_callers_network_is_no_longer_let_in(chat: ChatPage) -> None:
    deployed_with('proxy_access="networks"', 'proxy_allowed_networks=["192.168.77.0/24"]')
    sentence = (
        "This device's network may not use the model. Add it to “proxy_allowed_networks” in the inventory and deploy "
        "again."
    )
    assert asked(chat) == sentence
    assert offered(chat) == ["Ask again", "Edit question", "What is wrong?"]
    marks, told = diagnosed(chat)
    assert (marks[1:], told) == ("✗✗✗", sentence)


def test_the_name_in_the_address_bar_is_no_longer_served(open_chat: OpenChat) -> None:
    deployed_with('proxy_host_names=["hearth.test"]')
    chat = open_chat(url().replace("127.0.0.1", "hearth.test"))
    chat.say("Who are you?")
    deployed_with()
    assert asked(chat) == (
        "The server does not answer to the name in the address bar. Open the page by its IP address, or add the name "
        "to “proxy_host_names” in the inventory and deploy again."
    )
    assert offered(chat) == ["Ask again", "Edit question", "What is wrong?"]
    again = open_chat(url())
    again.say("And by its address?")


def test_the_model_is_too_large_for_the_memory(chat: ChatPage) -> None:
    """Ollama counts as taken what the container has read from its disk, too; so a limit is reached by a large file."""
    on_guest(
        f"{OLLAMA} stop tinyllama; {OLLAMA} stop tinystory; "
        "sudo docker update --memory 200m --memory-swap 200m hearth-ollama && "
        "sudo docker exec hearth-ollama bash -c "
        "'head -c 250000000 /dev/zero > /root/.ollama/large && cat /root/.ollama/large > /dev/null'"
    )
    assert (
        asked(chat) == "The model “tinyllama:latest” needs more memory than the server has free. Pick a smaller model."
    )
    assert re.search(r"requires more system memory \(.+\) than is available", chat.alert.inner_text())
    assert "Ask again" in offered(chat)[0] or "instead" in offered(chat)[0]
    on_guest("sudo docker exec hearth-ollama rm /root/.ollama/large")
    chat.press("Edit question")
    chat.prompt.press("Enter")
    chat.wait_for("done")
