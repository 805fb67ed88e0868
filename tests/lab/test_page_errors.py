"""The chat page's messages for faults on the host: each fault is caused there, and the message is checked.

The messages are quoted in full, as users read them; `test_bad_network.py` has those that a healthy host never causes.
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

CONTAINERS = "on the server, “cd /opt/hearth && sudo docker compose ps” shows what is running"
LOGS = "on the server, “cd /opt/hearth && sudo docker compose logs ollama” shows why"
UNREACHABLE = (
    f"Can't reach the server. Check that it is on and that this device is on its network; if so, {CONTAINERS}."
)
NO_OLLAMA = f"The model server is missing or has failed. Try again in a minute; if the problem persists, {CONTAINERS}."
BUSY = "The model is busy with other prompts. Wait a moment and try again."
QUEUE_FULL = "The model's queue is full. Wait a moment and try again."
TOO_SLOW = (
    f"The model server did not respond in time. It may still be loading: try again, or pick a smaller model; {LOGS}."
)
FAILED = (
    f"The model server failed while answering. Try again, or pick a smaller model; if the problem persists, {LOGS}."
)
CUT_OFF = f"The answer was cut off. Continue it or retry; if this happens often, {LOGS}."
RESTARTED = (
    "The model server lost your prompt and is being restarted. It may have been stuck or out of memory. "
    f"Try again in a moment; if this happens often, {LOGS}."
)
NO_MODELS = (
    "This server has no models yet. A running deploy may still be downloading models: retry when it has finished. "
    "Otherwise, add one to “ollama_models” in the inventory and deploy again."
)
WAIT = ["Retry", "Keep trying", "Edit prompt", "Troubleshoot"]

OLLAMA = "sudo docker exec hearth-ollama ollama"


@pytest.fixture
def chat(open_chat: OpenChat) -> ChatPage:
    """The page, opened while the host was healthy."""
    return open_chat(url())


def error_message(chat: ChatPage) -> str:
    """The message of the newest exchange, which must end in an error."""
    chat.wait_for("error")
    return chat.alert.locator("p").first.inner_text()


def buttons(chat: ChatPage) -> list[str]:
    """The labels of the buttons below it."""
    return [re.sub(r" in \d+ s$", "", text) for text in chat.alert.get_by_role("button").all_inner_texts()]


def diagnosed(chat: ChatPage) -> tuple[str, str]:
    """The result of “Troubleshoot”: a mark for each check, and what to fix first."""
    chat.press("Troubleshoot")
    verdict = chat.page.locator("#verdict")
    # Until then it shows what is known about a server that does not respond.
    expect(verdict).to_have_text(re.compile("^(Fix this first|All checks passed)"), timeout=ANSWER_MS)
    steps = chat.page.get_by_role("dialog").get_by_role("listitem").all_inner_texts()
    problem = verdict.inner_text().removeprefix("Fix this first: ")
    chat.press("Close")
    return "".join("✓" if "✓" in step else "✗" for step in steps), problem


def error_of_prompt(chat: ChatPage, model: str = "tinyllama") -> str:
    """The error message for a prompt to this model."""
    chat.pick(model)
    chat.send("Who are you?")
    return error_message(chat)


def start_story(chat: ChatPage) -> str:
    """Start an endless answer; the text after a few words."""
    chat.pick("tinystory")
    chat.send("Tell me a story.")
    chat.wait_for_words(6)
    return chat.answer.inner_text()


def container_is_stopped(chat: ChatPage, container: str, problem: str, checks: str) -> None:
    """The page names the problem, its checks find it, and it continues by itself when the container is back."""
    on_guest(f"sudo docker stop {container}")
    assert error_of_prompt(chat) == problem
    assert buttons(chat) == WAIT
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
    assert error_of_prompt(chat) == (
        "The model “tinyllama:latest” is not installed on this server (installed: “tinystory:latest”). Pick another "
        "one, or add it to “ollama_models” in the inventory and deploy again."
    )
    assert buttons(chat) == ["Use tinystory instead", "Edit prompt", "Troubleshoot"]
    assert chat.models() == ["tinystory"]
    chat.press("Use tinystory instead")
    chat.wait_for_words(3)
    chat.press("Stop")
    chat.wait_for("stopped")

    on_guest(f"{OLLAMA} rm tinystory")
    chat.press("Retry")
    chat.wait_for("error")
    expect(chat.page.locator("#notice-text")).to_have_text(NO_MODELS)
    assert diagnosed(chat) == ("✓✗✓✗", NO_MODELS)


def test_all_slots_are_taken(chat: ChatPage) -> None:
    """As many in-flight responses as `proxy_max_streams` allows: one is generated, the others wait for the model."""
    with held(4):
        wait_until(lambda: refusal("tinystory") == "busy, or model server down", 120, "no slot is free")
        assert error_of_prompt(chat, "tinystory") == BUSY
        assert buttons(chat) == WAIT
        assert diagnosed(chat) == ("✓✓✓✗", BUSY)
        chat.press("Keep trying")
        expect(chat.status).to_contain_text("Retrying in", timeout=ANSWER_MS)
    chat.wait_for_words(3)


def test_ollamas_queue_is_full(chat: ChatPage) -> None:
    """Prompts to another model than the running one wait in Ollama's own queue: one at its head, one behind it."""
    deployed_with("ollama_max_queue=1", "proxy_max_streams=16")
    with held():
        wait_until(lambda: "maximum pending requests" in refusal("tinyllama"), 120, "the queue is full")
        assert error_of_prompt(chat) == QUEUE_FULL
        assert "Server message: server busy" in chat.alert.inner_text()
        assert buttons(chat) == WAIT
        assert diagnosed(chat) == ("✓✓✓✗", QUEUE_FULL)
        chat.press("Keep trying")
        expect(chat.status).to_contain_text("Retrying in", timeout=ANSWER_MS)
    chat.wait_for("done")


def test_the_models_process_is_killed_during_an_answer(chat: ChatPage) -> None:
    text = start_story(chat)
    on_guest("sudo pkill -9 -f '[o]llama runner'")
    assert error_message(chat) == FAILED
    assert "Server message: " in chat.alert.inner_text()
    assert chat.answer.inner_text().startswith(text)
    chat.press("Retry")
    chat.wait_for_words(3)


def test_ollama_is_killed_during_an_answer(chat: ChatPage) -> None:
    text = start_story(chat)
    on_guest("sudo kill -9 $(sudo docker inspect -f '{{.State.Pid}}' hearth-ollama)")
    assert error_message(chat) == CUT_OFF
    assert buttons(chat) == ["Copy", "Continue", "Retry", "Edit prompt", "Troubleshoot"]
    kept = chat.answer.inner_text()
    assert kept.startswith(text)
    # Docker restarts it automatically.
    wait_until(lambda: call(url(), "GET", "/api/tags", timeout=10).status == 200, 120, "Ollama responds again")
    chat.press("Continue")
    chat.wait_for_words(len(kept.split()) + 3)
    assert chat.answer.inner_text().startswith(kept)


def test_ollama_is_killed_while_a_prompt_waits(chat: ChatPage) -> None:
    """Chromium resends a prompt whose connection was closed, and the server is down by then."""
    with held():
        chat.pick("tinystory")
        chat.send("And me?")
        expect(chat.status).to_contain_text(
            "The model server responds; the model may be busy with other prompts", timeout=60_000
        )
        on_guest("sudo kill -9 $(sudo docker inspect -f '{{.State.Pid}}' hearth-ollama)")
        assert error_message(chat) == RESTARTED
    assert buttons(chat) == WAIT
    chat.press("Keep trying")
    chat.wait_for_words(3)


def test_an_answer_takes_longer_than_the_proxy_timeout(chat: ChatPage) -> None:
    deployed_with("proxy_timeout=30", 'ollama_load_timeout="30s"')
    with held():
        assert error_of_prompt(chat, "tinystory") == TOO_SLOW
        assert buttons(chat) == ["Retry", "Edit prompt", "Troubleshoot"]
        assert diagnosed(chat) == ("✓✓✓✗", TOO_SLOW)
    chat.press("Retry")
    chat.wait_for_words(3)


def test_the_clients_network_is_no_longer_allowed(chat: ChatPage) -> None:
    deployed_with('proxy_access="networks"', 'proxy_allowed_networks=["192.168.77.0/24"]')
    message = (
        "This device's network is not allowed to use the model. Add it to “proxy_allowed_networks” in the inventory "
        "and deploy again."
    )
    assert error_of_prompt(chat) == message
    assert buttons(chat) == ["Retry", "Edit prompt", "Troubleshoot"]
    marks, problem = diagnosed(chat)
    assert (marks[1:], problem) == ("✗✗✗", message)


def test_the_name_in_the_address_bar_is_no_longer_served(open_chat: OpenChat) -> None:
    deployed_with('proxy_host_names=["hearth.test"]')
    chat = open_chat(url().replace("127.0.0.1", "hearth.test"))
    chat.send_and_wait("Who are you?")
    deployed_with()
    assert error_of_prompt(chat) == (
        "The server does not accept the host name in the address bar. Open the page by its IP address, or add the "
        "name to “proxy_host_names” in the inventory and deploy again."
    )
    assert buttons(chat) == ["Retry", "Edit prompt", "Troubleshoot"]
    other = open_chat(url())
    other.send_and_wait("And by its address?")


def test_the_model_is_too_large_for_the_memory(chat: ChatPage) -> None:
    """Ollama counts the container's page cache as used memory, so reading a large file reaches the limit."""
    on_guest(
        f"{OLLAMA} stop tinyllama; {OLLAMA} stop tinystory; "
        "sudo docker update --memory 200m --memory-swap 200m hearth-ollama && "
        "sudo docker exec hearth-ollama bash -c "
        "'head -c 250000000 /dev/zero > /root/.ollama/large && cat /root/.ollama/large > /dev/null'"
    )
    assert error_of_prompt(chat) == (
        "The model “tinyllama:latest” needs more memory than the server has free. Pick a smaller model."
    )
    assert re.search(r"requires more system memory \(.+\) than is available", chat.alert.inner_text())
    assert "Retry" in buttons(chat)[0] or "instead" in buttons(chat)[0]
    on_guest("sudo docker exec hearth-ollama rm /root/.ollama/large")
    chat.press("Edit prompt")
    chat.prompt.press("Enter")
    chat.wait_for("done")
