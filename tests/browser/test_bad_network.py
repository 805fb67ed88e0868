"""The chat page when what comes from the lab comes in halves, ends too early, is refused or does not come at all."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from tests.browser.chat_page import ChatPage
from tests.browser.conftest import OpenChat
from tests.browser.fault_proxy import Fault, FaultProxy, PageFiles

JSON = {"Content-Type": "application/json"}
# As httpd says them (the ErrorDocument lines), and as Ollama does.
BUSY = (503, JSON | {"Retry-After": "2"}, '{"error":"busy, or model server down"}')
QUEUE_FULL = (503, JSON, '{"error":"server busy, please try again.  maximum pending requests exceeded"}')
NO_ANSWER = (502, JSON, '{"error":"model server gave no answer in time"}')
NO_NAME = (500, JSON, '{"error":"model server name does not resolve"}')
TOO_LARGE = (413, JSON, '{"error":"request too large"}')
NO_MEMORY = (
    500,
    JSON,
    '{"error":"model requires more system memory (5.6 GiB) than is available (3.1 GiB)"}',
)


def ask(chat: ChatPage, proxy: FaultProxy, fault: Fault) -> None:
    proxy.fault = fault
    chat.pick("tinyllama")
    chat.ask("Who are you?")


def test_half_lines(faulty_chat: ChatPage, fault_proxy: FaultProxy, sentence: str) -> None:
    ask(faulty_chat, fault_proxy, Fault(piece=7, pause=0.002))
    faulty_chat.wait_for("done")
    expect(faulty_chat.answer).to_have_text(sentence)
    halves = [read for read in faulty_chat.watched("reads") if read["line"]]
    assert len(halves) > len(sentence.split()), "the page never got half a line: nothing was tested"


def test_half_characters(faulty_chat: ChatPage, fault_proxy: FaultProxy, sentence: str) -> None:
    swap = ("hardware", "🏠éü" * 9)
    ask(faulty_chat, fault_proxy, Fault(piece=5, pause=0.004, swap=(swap[0].encode(), swap[1].encode())))
    faulty_chat.wait_for("done")
    expect(faulty_chat.answer).to_have_text(sentence.replace(*swap))
    halves = [read for read in faulty_chat.watched("reads") if read["character"]]
    assert halves, "the page never got half a character: nothing was tested"


def test_answers_are_text_never_markup(faulty_chat: ChatPage, fault_proxy: FaultProxy, sentence: str) -> None:
    swap = ("hardware", "<b>me</b><img src=x onerror=alert(1)>")
    ask(faulty_chat, fault_proxy, Fault(swap=(swap[0].encode(), swap[1].encode())))
    faulty_chat.wait_for("done")
    expect(faulty_chat.answer).to_have_text(sentence.replace(*swap))
    assert faulty_chat.answer.locator("*:not(p)").count() == 0


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(keep=5, ending="orderly"), id="ends-without-done"),
        pytest.param(Fault(keep=5, tail=b'{"model":"tiny', ending="abrupt", pause=0.03), id="lost-in-half-a-line"),
    ],
)
def test_a_cut_is_said_and_the_text_kept(
    faulty_chat: ChatPage, fault_proxy: FaultProxy, sentence: str, fault: Fault
) -> None:
    ask(faulty_chat, fault_proxy, fault)
    faulty_chat.wait_for("error")
    expect(faulty_chat.alert).to_contain_text("The answer was cut off before its end.")
    kept = " ".join(sentence.split()[:5])
    expect(faulty_chat.answer).to_have_text(kept)

    fault_proxy.fault = Fault()
    faulty_chat.press("Continue")
    faulty_chat.wait_for("done")
    # The model was given what there was, to go on with it; what came is put behind it.
    assert fault_proxy.questions()[-1]["messages"][1:] == [{"role": "assistant", "content": kept}]
    assert faulty_chat.answer.inner_text().startswith(kept)
    assert len(faulty_chat.answer.inner_text()) > len(kept)

    faulty_chat.press("Ask again")
    faulty_chat.wait_for("done")
    expect(faulty_chat.answer).to_have_text(sentence)
    expect(faulty_chat.page.locator(".exchange")).to_have_count(1)


def test_an_error_line_within_the_answer(faulty_chat: ChatPage, fault_proxy: FaultProxy) -> None:
    ask(faulty_chat, fault_proxy, Fault(keep=3, tail=b'{"error":"llama runner process has terminated"}\n'))
    faulty_chat.wait_for("error")
    expect(faulty_chat.alert).to_contain_text("The model server failed while answering.")
    expect(faulty_chat.alert).to_contain_text("llama runner process has terminated")


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"Origin": "http://stranger.example"}, "This page's address may not use the model."),
        ({"Host": "stranger.example"}, "The server does not answer to the name in the address bar."),
    ],
    ids=["403", "421"],
)
def test_refusals_of_the_proxy(
    faulty_chat: ChatPage, fault_proxy: FaultProxy, headers: dict[str, str], said: str
) -> None:
    ask(faulty_chat, fault_proxy, Fault(headers=headers))
    faulty_chat.wait_for("error")
    expect(faulty_chat.alert).to_contain_text(said)
    expect(faulty_chat.answer).to_have_text("")


@pytest.mark.parametrize(
    ("answer", "said", "button"),
    [
        pytest.param(QUEUE_FULL, "Too many questions are waiting for the model.", "Keep trying", id="queue-full"),
        pytest.param(NO_ANSWER, "The model server gave no answer in time.", "Ask again", id="too-slow"),
        pytest.param(NO_NAME, "The model server's name could not be found", "Keep trying", id="no-container"),
        pytest.param(TOO_LARGE, "The chat is too large for this server.", "Edit question", id="too-large"),
        pytest.param(NO_MEMORY, "“tinyllama:latest” needs more memory than the server has free.", "", id="no-memory"),
        pytest.param((401, {}, "<h1>401</h1>"), "asks for a password", "Ask again", id="password"),
        pytest.param((200, {}, "<h1>login</h1>"), "What came back is not from Ollama.", "Ask again", id="not-ollama"),
    ],
)
def test_answers_that_are_errors(
    faulty_chat: ChatPage, fault_proxy: FaultProxy, answer: tuple[int, dict[str, str], str], said: str, button: str
) -> None:
    faulty_chat.pick("tinyllama")
    other = next(model for model in faulty_chat.models() if model != "tinyllama")
    fault_proxy.fault = Fault(answers={"/api/chat": answer})
    faulty_chat.ask("Who are you?")
    faulty_chat.wait_for("error")
    expect(faulty_chat.alert).to_contain_text(said)
    expect(faulty_chat.alert.get_by_role("button", name=button or f"Ask {other} instead")).to_be_enabled()
    expect(faulty_chat.alert.get_by_role("button", name="What is wrong?")).to_be_visible()


@pytest.mark.parametrize(
    ("version", "said"),
    [((200, JSON, '{"version":"0.17.4"}'), "busy with other questions"), (BUSY, "down or just starting")],
    ids=["busy", "down"],
)
def test_a_503_counts_down_and_tells_busy_from_down(
    faulty_chat: ChatPage, fault_proxy: FaultProxy, version: tuple[int, dict[str, str], str], said: str, sentence: str
) -> None:
    ask(faulty_chat, fault_proxy, Fault(answers={"/api/chat": BUSY, "/api/version": version}))
    faulty_chat.wait_for("error")
    expect(faulty_chat.alert).to_contain_text(said)
    again = faulty_chat.alert.get_by_role("button", name=re.compile("^Ask again"))
    expect(again).to_be_disabled()
    expect(again).to_have_text("Ask again in 2 s")
    expect(again).to_have_text("Ask again", timeout=5000)

    faulty_chat.press("Keep trying")
    expect(faulty_chat.status).to_contain_text("Trying again in")
    fault_proxy.fault = Fault()
    faulty_chat.wait_for("done")
    expect(faulty_chat.answer).to_have_text(sentence)


def test_a_host_that_is_gone_and_comes_back(
    open_chat: OpenChat, hearth_url: str, page_files: PageFiles, sentence: str
) -> None:
    with FaultProxy(hearth_url, page_files) as proxy:
        chat = open_chat(proxy.url)
        port = proxy.port
    chat.pick("tinyllama")
    chat.ask("Is anyone there?")
    chat.wait_for("error")
    expect(chat.alert).to_contain_text("The server can't be reached.")
    chat.prompt.fill("And what I was about to ask")
    chat.press("What is wrong?")
    expect(chat.page.get_by_role("dialog").get_by_role("listitem")).to_have_count(1)
    expect(chat.page.locator("#verdict")).to_contain_text("Put this right first: The server can't be reached.")
    chat.press("Close")

    chat.press("Keep trying")
    expect(chat.status).to_contain_text("Trying again in")
    with FaultProxy(hearth_url, page_files, port):
        chat.wait_for("done")
        expect(chat.answer).to_have_text(sentence)
        expect(chat.prompt).to_have_value("And what I was about to ask")


def test_a_device_that_comes_back_to_its_network_asks_at_once(faulty_chat: ChatPage, sentence: str) -> None:
    chat, context = faulty_chat, faulty_chat.page.context
    chat.pick("tinyllama")
    context.set_offline(True)
    chat.ask("Is anyone there?")
    chat.wait_for("error")
    chat.press("Keep trying")
    expect(chat.status).to_contain_text("Trying again in 8 s", timeout=15_000)
    context.set_offline(False)
    # Not after the eight seconds.
    expect(chat.status).not_to_contain_text("Trying again", timeout=4000)
    chat.wait_for("done")
    expect(chat.answer).to_have_text(sentence)


def test_trying_again_can_be_stopped(faulty_chat: ChatPage, fault_proxy: FaultProxy) -> None:
    ask(faulty_chat, fault_proxy, Fault(answers={"/api/chat": QUEUE_FULL}))
    faulty_chat.wait_for("error")
    faulty_chat.press("Keep trying")
    expect(faulty_chat.status).to_contain_text("Trying again in")
    faulty_chat.page.keyboard.press("Escape")
    faulty_chat.wait_for("stopped")
    expect(faulty_chat.prompt).to_be_focused()


def test_the_diagnosis_names_what_is_wrong(faulty_chat: ChatPage, fault_proxy: FaultProxy) -> None:
    faulty_chat.pick("tinyllama")
    faulty_chat.press("What is wrong?")
    verdict = faulty_chat.page.locator("#verdict")
    expect(verdict).to_contain_text("Everything answers.", timeout=60_000)
    steps = faulty_chat.page.get_by_role("dialog").get_by_role("listitem").all_inner_texts()
    assert ["✓" in step for step in steps] == [True] * 4, steps
    assert "“tinyllama:latest”" in steps[1]
    assert re.search(r"Ollama \d+\.\d+", steps[2])
    assert fault_proxy.questions()[-1]["path"] == "/api/ollama"  # the route of a single prompt

    fault_proxy.fault = Fault(answers={"/api/ollama": NO_MEMORY})
    faulty_chat.press("Look again")
    expect(verdict).to_contain_text("Put this right first: The model “tinyllama:latest” needs more memory")
    assert json.loads(NO_MEMORY[2])["error"] in faulty_chat.page.get_by_role("dialog").inner_text()


# What the server says when the model server is down: httpd's words, from its container.
DOWN = (503, JSON, '{"error":"busy, or model server down"}')
CLOSED: tuple[int, dict[str, str], str] = (0, {}, "")


@pytest.mark.parametrize("answer", [NO_ANSWER, CLOSED], ids=["502", "closed"])
def test_a_restart_of_the_model_server_is_said(
    faulty_chat: ChatPage, fault_proxy: FaultProxy, sentence: str, answer: tuple[int, dict[str, str], str]
) -> None:
    """httpd answers the questions that waited with 502, or closes connections that were used before."""
    ask(faulty_chat, fault_proxy, Fault(answers={"/api/chat": answer, "/api/version": DOWN}))
    faulty_chat.wait_for("error")
    expect(faulty_chat.alert).to_contain_text("It is being restarted, which Hearth also does when it is stuck.")
    faulty_chat.press("Keep trying")
    expect(faulty_chat.status).to_contain_text("Trying again in")
    fault_proxy.fault = Fault()
    faulty_chat.wait_for("done")
    expect(faulty_chat.answer).to_have_text(sentence)


def test_a_connection_that_breaks_off_before_a_healthy_server(faulty_chat: ChatPage, fault_proxy: FaultProxy) -> None:
    ask(faulty_chat, fault_proxy, Fault(answers={"/api/chat": CLOSED}))
    faulty_chat.wait_for("error")
    expect(faulty_chat.alert).to_contain_text("The connection broke off before an answer came.")


def pass_time(chat: ChatPage, seconds: int) -> None:
    """The page's clock goes on, in steps in which it can ask the server something."""
    for _ in range(seconds):
        chat.page.clock.run_for(1000)
        chat.page.wait_for_timeout(20)


def pass_until(chat: ChatPage, text: str, seconds: int = 300) -> None:
    """The page's clock goes on until its status has that text; on a busy machine the question goes out late."""
    for _ in range(seconds):
        if re.search(text, chat.status.text_content() or ""):
            return
        pass_time(chat, 1)
    raise AssertionError(f"after {seconds} s the page says: {chat.status.text_content()}")


def test_a_long_silence_is_explained(open_chat: OpenChat, fault_proxy: FaultProxy) -> None:
    chat = open_chat(fault_proxy.url, clock=True)
    ask(chat, fault_proxy, Fault(silence=3600))
    pass_until(chat, r"Thinking… 1\d s$")
    pass_until(chat, "The model server answers; the model may be busy with other questions")
    fault_proxy.fault = Fault(silence=3600, answers={"/api/version": DOWN})
    pass_until(chat, r"The model server does not answer now; it may be restarting\.")
    fault_proxy.fault = Fault(silence=3600)
    pass_until(chat, "If the model server is stuck, Hearth restarts it")
    assert chat.watched("announced")[-1].startswith("Nothing for two minutes.")
    chat.press("Stop")
    chat.wait_for("stopped")


def test_a_question_that_waited_when_the_server_went_away(open_chat: OpenChat, fault_proxy: FaultProxy) -> None:
    """As Chromium sees it: it sends the question again, which nobody takes any more."""
    chat = open_chat(fault_proxy.url, clock=True)
    chat.say("Load it, please.")
    ask(chat, fault_proxy, Fault(silence=4, answers={"/api/version": DOWN}))
    while len(fault_proxy.questions()) < 2:
        pass_time(chat, 1)
    fault_proxy.fault = Fault(answers={"/api/chat": DOWN, "/api/version": DOWN})
    pass_time(chat, 30)
    chat.wait_for("error")
    expect(chat.alert).to_contain_text("The model server went away with your question")


def test_the_diagnosis_explains_a_long_silence(open_chat: OpenChat, fault_proxy: FaultProxy) -> None:
    chat = open_chat(fault_proxy.url, clock=True)
    chat.pick("tinyllama")
    fault_proxy.fault = Fault(silence=3600)
    chat.press("What is wrong?")
    last = chat.page.get_by_role("dialog").get_by_role("listitem").last
    expect(last).to_contain_text("One word from the model")
    for _ in range(300):
        if re.search(r"asking… 1[2-9]\d s", last.text_content() or ""):
            break
        pass_time(chat, 1)
    expect(chat.page.locator("#verdict")).to_contain_text("If the model server is stuck, Hearth restarts it")


TALKER = {"name": "talker:1b", "size": 13_000_000, "digest": "a", "details": {"family": "llama"}}
EMBEDDER = {"name": "all-minilm:latest", "size": 46_000_000, "digest": "b", "details": {"family": "bert"}}
ODD = {"name": "vectors:1b", "size": 46_000_000, "digest": "c", "details": {"family": "gemma3"}}
SHOWN = (200, JSON, '{"capabilities":["embedding"]}')
NO_SHOW: tuple[int, dict[str, str], str] = (405, {}, "<h1>Method Not Allowed</h1>")


def listing(*models: dict[str, object]) -> tuple[int, dict[str, str], str]:
    return (200, JSON, json.dumps({"models": models}))


@pytest.mark.parametrize(
    ("models", "show"),
    [
        ([EMBEDDER, {**ODD, "capabilities": ["embedding"]}, {**TALKER, "capabilities": ["completion"]}], NO_SHOW),
        ([EMBEDDER, TALKER], NO_SHOW),
        # Every model that is asked about makes embeddings; of the other one the list says that it talks.
        ([ODD, {**TALKER, "capabilities": ["completion", "tools"]}], SHOWN),
    ],
    ids=["listed", "guessed", "asked"],
)
def test_models_for_embeddings_are_not_offered(
    open_chat: OpenChat,
    fault_proxy: FaultProxy,
    models: list[dict[str, object]],
    show: tuple[int, dict[str, str], str],
) -> None:
    fault_proxy.fault = Fault(answers={"/api/tags": listing(*models), "/api/show": show})
    chat = open_chat(fault_proxy.url)
    assert chat.models() == ["talker:1b"]
    assert chat.picker.input_value() == "talker:1b"
    assert chat.page.locator("#notice").is_hidden()


def test_a_host_with_embedding_models_alone_says_so(faulty_chat: ChatPage, fault_proxy: FaultProxy) -> None:
    fault_proxy.fault = Fault(answers={"/api/tags": listing(EMBEDDER, ODD), "/api/show": SHOWN})
    faulty_chat.page.reload()
    said = "(“all-minilm” and “vectors:1b”) makes embeddings and does not answer questions."
    expect(faulty_chat.page.locator("#notice-text")).to_contain_text(said)
    expect(faulty_chat.picker).to_be_disabled()
    faulty_chat.prompt.fill("Hello?")
    expect(faulty_chat.page.locator("#send")).to_be_disabled()
    faulty_chat.press("What is wrong?")
    expect(faulty_chat.page.locator("#verdict")).to_contain_text("makes embeddings and does not answer questions.")
    steps = faulty_chat.page.get_by_role("dialog").get_by_role("listitem").all_inner_texts()
    assert ["✓" in step for step in steps] == [True, True, True, False], steps
