"""The chat page on a faulty network: responses arrive in fragments, are cut off, refused, or do not arrive at all."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from tests.browser.chat_page import ChatPage
from tests.browser.conftest import OpenChat
from tests.browser.fault_proxy import Fault, FaultProxy, PageFiles

JSON = {"Content-Type": "application/json"}
# Messages of httpd (its ErrorDocument lines) and of Ollama.
BUSY = (503, JSON | {"Retry-After": "2"}, '{"error":"busy, or model server down"}')
QUEUE_FULL = (503, JSON, '{"error":"server busy, please try again.  maximum pending requests exceeded"}')
DOWN = (503, JSON, '{"error":"busy, or model server down"}')
NO_ANSWER = (502, JSON, '{"error":"model server gave no answer in time"}')
NO_NAME = (500, JSON, '{"error":"model server name does not resolve"}')
TOO_LARGE = (413, JSON, '{"error":"request too large"}')
MISSING = (404, JSON, '{"error":"model \'tinyllama\' not found"}')
CLOSED: tuple[int, dict[str, str], str] = (0, {}, "")
NO_MEMORY = (
    500,
    JSON,
    '{"error":"model requires more system memory (5.6 GiB) than is available (3.1 GiB)"}',
)


def send(chat: ChatPage, proxy: FaultProxy, fault: Fault) -> None:
    proxy.fault = fault
    chat.pick("tinyllama")
    chat.send("Who are you?")


def test_fragments_of_lines(faulty_chat: ChatPage, fault_proxy: FaultProxy, sentence: str) -> None:
    send(faulty_chat, fault_proxy, Fault(chunk=7, pause=0.002))
    faulty_chat.wait_for("done")
    expect(faulty_chat.answer).to_have_text(sentence)
    fragments = [read for read in faulty_chat.recorded("reads") if read["line"]]
    assert len(fragments) > len(sentence.split()), "the page never received an incomplete line: nothing was tested"


def test_fragments_of_characters(faulty_chat: ChatPage, fault_proxy: FaultProxy, sentence: str) -> None:
    swap = ("hardware", "🏠éü" * 9)
    send(faulty_chat, fault_proxy, Fault(chunk=5, pause=0.004, swap=(swap[0].encode(), swap[1].encode())))
    faulty_chat.wait_for("done")
    expect(faulty_chat.answer).to_have_text(sentence.replace(*swap))
    fragments = [read for read in faulty_chat.recorded("reads") if read["character"]]
    assert fragments, "the page never received an incomplete character: nothing was tested"


def test_answers_are_text_never_markup(faulty_chat: ChatPage, fault_proxy: FaultProxy, sentence: str) -> None:
    swap = ("hardware", "<b>me</b><img src=x onerror=alert(1)>")
    send(faulty_chat, fault_proxy, Fault(swap=(swap[0].encode(), swap[1].encode())))
    faulty_chat.wait_for("done")
    expect(faulty_chat.answer).to_have_text(sentence.replace(*swap))
    assert faulty_chat.answer.locator("*:not(p)").count() == 0


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(keep=5, ending="orderly"), id="ends-without-done"),
        pytest.param(Fault(keep=5, tail=b'{"model":"tiny', ending="abrupt", pause=0.03), id="lost-in-mid-line"),
    ],
)
def test_a_cut_is_reported_and_the_text_kept(
    faulty_chat: ChatPage, fault_proxy: FaultProxy, sentence: str, fault: Fault
) -> None:
    send(faulty_chat, fault_proxy, fault)
    faulty_chat.wait_for("error")
    expect(faulty_chat.alert).to_contain_text("The answer was cut off.")
    kept = " ".join(sentence.split()[:5])
    expect(faulty_chat.answer).to_have_text(kept)

    fault_proxy.fault = Fault()
    faulty_chat.press("Continue")
    faulty_chat.wait_for("done")
    # The model was sent the part that had arrived, and its continuation is appended.
    assert fault_proxy.prompts()[-1]["messages"][1:] == [{"role": "assistant", "content": kept}]
    assert faulty_chat.answer.inner_text().startswith(kept)
    assert len(faulty_chat.answer.inner_text()) > len(kept)

    faulty_chat.press("Retry")
    faulty_chat.wait_for("done")
    expect(faulty_chat.answer).to_have_text(sentence)
    expect(faulty_chat.page.locator(".exchange")).to_have_count(1)


def test_an_error_line_within_the_answer(faulty_chat: ChatPage, fault_proxy: FaultProxy) -> None:
    send(faulty_chat, fault_proxy, Fault(keep=3, tail=b'{"error":"llama runner process has terminated"}\n'))
    faulty_chat.wait_for("error")
    expect(faulty_chat.alert).to_contain_text("The model server failed while answering.")
    expect(faulty_chat.alert).to_contain_text("llama runner process has terminated")


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"Origin": "http://unlisted.example"}, "This page's origin is not allowed to use the model."),
        ({"Host": "unlisted.example"}, "The server does not accept the host name in the address bar."),
    ],
    ids=["403", "421"],
)
def test_requests_refused_by_the_proxy(
    faulty_chat: ChatPage, fault_proxy: FaultProxy, headers: dict[str, str], message: str
) -> None:
    send(faulty_chat, fault_proxy, Fault(headers=headers))
    faulty_chat.wait_for("error")
    expect(faulty_chat.alert).to_contain_text(message)
    expect(faulty_chat.answer).to_have_text("")


@pytest.mark.parametrize(
    ("response", "message", "button"),
    [
        pytest.param(QUEUE_FULL, "The model's queue is full.", "Keep trying", id="queue-full"),
        pytest.param(NO_ANSWER, "The model server did not respond in time.", "Retry", id="too-slow"),
        pytest.param(NO_NAME, "The model server is missing or has failed.", "Keep trying", id="no-container"),
        pytest.param(TOO_LARGE, "The chat is too large for this server.", "Edit prompt", id="too-large"),
        pytest.param(NO_MEMORY, "“tinyllama:latest” needs more memory than the server has free.", "", id="no-memory"),
        pytest.param((401, {}, "<h1>401</h1>"), "A password is required.", "Retry", id="password"),
        pytest.param((200, {}, "<h1>login</h1>"), "Unexpected response, not from Ollama.", "Retry", id="not-ollama"),
    ],
)
def test_error_responses(
    faulty_chat: ChatPage, fault_proxy: FaultProxy, response: tuple[int, dict[str, str], str], message: str, button: str
) -> None:
    faulty_chat.pick("tinyllama")
    other = next(model for model in faulty_chat.models() if model != "tinyllama")
    fault_proxy.fault = Fault(responses={"/api/chat": response})
    faulty_chat.send("Who are you?")
    faulty_chat.wait_for("error")
    expect(faulty_chat.alert).to_contain_text(message)
    expect(faulty_chat.alert.get_by_role("button", name=button or f"Use {other} instead")).to_be_enabled()
    expect(faulty_chat.alert.get_by_role("button", name="Troubleshoot")).to_be_visible()


@pytest.mark.parametrize(
    ("version", "state"),
    [((200, JSON, '{"version":"0.17.4"}'), "busy with other prompts"), (BUSY, "down or still starting")],
    ids=["busy", "down"],
)
def test_a_503_counts_down_and_distinguishes_busy_from_down(
    faulty_chat: ChatPage, fault_proxy: FaultProxy, version: tuple[int, dict[str, str], str], state: str, sentence: str
) -> None:
    send(faulty_chat, fault_proxy, Fault(responses={"/api/chat": BUSY, "/api/version": version}))
    faulty_chat.wait_for("error")
    expect(faulty_chat.alert).to_contain_text(state)
    retry = faulty_chat.alert.get_by_role("button", name=re.compile("^Retry"))
    expect(retry).to_be_disabled()
    expect(retry).to_have_text("Retry in 2 s")
    expect(retry).to_have_text("Retry", timeout=5000)

    faulty_chat.press("Keep trying")
    expect(faulty_chat.status).to_contain_text("Retrying in")
    fault_proxy.fault = Fault()
    faulty_chat.wait_for("done")
    expect(faulty_chat.answer).to_have_text(sentence)


def test_a_host_that_goes_down_and_comes_back(
    open_chat: OpenChat, page_url: str, page_files: PageFiles, sentence: str
) -> None:
    with FaultProxy(page_url, page_files) as proxy:
        chat = open_chat(proxy.url)
        port = proxy.port
    chat.pick("tinyllama")
    chat.send("Who are you?")
    chat.wait_for("error")
    expect(chat.alert).to_contain_text("Can't reach the server.")
    chat.prompt.fill("My next prompt")
    chat.press("Troubleshoot")
    expect(chat.page.get_by_role("dialog").get_by_role("listitem")).to_have_count(1)
    expect(chat.page.locator("#verdict")).to_contain_text("Fix this first: Can't reach the server.")
    chat.press("Close")

    chat.press("Keep trying")
    expect(chat.status).to_contain_text("Retrying in")
    with FaultProxy(page_url, page_files, port):
        chat.wait_for("done")
        expect(chat.answer).to_have_text(sentence)
        expect(chat.prompt).to_have_value("My next prompt")


def test_a_device_that_is_back_online_retries_immediately(faulty_chat: ChatPage, sentence: str) -> None:
    chat, context = faulty_chat, faulty_chat.page.context
    chat.pick("tinyllama")
    context.set_offline(True)
    chat.send("Who are you?")
    chat.wait_for("error")
    chat.press("Keep trying")
    expect(chat.status).to_contain_text("Retrying in 8 s", timeout=15_000)
    context.set_offline(False)
    # Without waiting for the eight seconds.
    expect(chat.status).not_to_contain_text("Retrying", timeout=4000)
    chat.wait_for("done")
    expect(chat.answer).to_have_text(sentence)


def test_retries_can_be_stopped(faulty_chat: ChatPage, fault_proxy: FaultProxy) -> None:
    send(faulty_chat, fault_proxy, Fault(responses={"/api/chat": QUEUE_FULL}))
    faulty_chat.wait_for("error")
    faulty_chat.press("Keep trying")
    expect(faulty_chat.status).to_contain_text("Retrying in")
    faulty_chat.page.keyboard.press("Escape")
    faulty_chat.wait_for("stopped")
    expect(faulty_chat.prompt).to_be_focused()


@pytest.mark.parametrize(
    ("asked", "response", "button"),
    [("version", BUSY, ""), ("version", BUSY, "Keep trying"), ("version", CLOSED, ""), ("tags", MISSING, "")],
    ids=["busy", "keep-trying", "closed", "missing"],
)
def test_stop_is_immediate_while_the_page_looks_for_the_cause(
    faulty_chat: ChatPage, fault_proxy: FaultProxy, asked: str, response: tuple[int, dict[str, str], str], button: str
) -> None:
    chat, url = faulty_chat, f"**/api/{asked}"
    if button:
        send(chat, fault_proxy, Fault(responses={"/api/chat": response, "/api/version": DOWN}))
        chat.wait_for("error")
    with chat.page.expect_request(url):
        chat.page.route(url, lambda _: None)  # no response
        if button:
            chat.press(button)
        else:
            send(chat, fault_proxy, Fault(responses={"/api/chat": response}))
    chat.page.keyboard.press("Escape")
    expect(chat.last).to_have_attribute("data-state", "stopped", timeout=3000)
    expect(chat.page.get_by_role("button", name="Send")).to_be_visible()


def test_an_error_is_shown_before_the_models_are_listed_again(faulty_chat: ChatPage, fault_proxy: FaultProxy) -> None:
    faulty_chat.page.route("**/api/tags", lambda _: None)
    send(faulty_chat, fault_proxy, Fault(responses={"/api/chat": NO_MEMORY}))
    expect(faulty_chat.alert).to_contain_text("needs more memory", timeout=3000)
    expect(faulty_chat.page.get_by_role("button", name="Send")).to_be_visible()


def test_the_diagnosis_names_the_problem(faulty_chat: ChatPage, fault_proxy: FaultProxy) -> None:
    faulty_chat.pick("tinyllama")
    faulty_chat.press("Troubleshoot")
    verdict = faulty_chat.page.locator("#verdict")
    expect(verdict).to_contain_text("All checks passed.", timeout=60_000)
    steps = faulty_chat.page.get_by_role("dialog").get_by_role("listitem").all_inner_texts()
    assert ["✓" in step for step in steps] == [True] * 4, steps
    assert "“tinyllama:latest”" in steps[1]
    assert re.search(r"Ollama \d+\.\d+", steps[2])
    assert fault_proxy.prompts()[-1]["path"] == "/api/ollama"  # the route of a single prompt

    fault_proxy.fault = Fault(responses={"/api/ollama": NO_MEMORY})
    faulty_chat.press("Retry")
    expect(verdict).to_contain_text("Fix this first: The model “tinyllama:latest” needs more memory")
    assert json.loads(NO_MEMORY[2])["error"] in faulty_chat.page.get_by_role("dialog").inner_text()


@pytest.mark.parametrize("response", [NO_ANSWER, CLOSED], ids=["502", "closed"])
def test_a_restart_of_the_model_server_is_reported(
    faulty_chat: ChatPage, fault_proxy: FaultProxy, sentence: str, response: tuple[int, dict[str, str], str]
) -> None:
    """httpd responds to waiting prompts with 502, or closes connections that were used before."""
    send(faulty_chat, fault_proxy, Fault(responses={"/api/chat": response, "/api/version": DOWN}))
    faulty_chat.wait_for("error")
    expect(faulty_chat.alert).to_contain_text("The model server lost your prompt and is being restarted.")
    faulty_chat.press("Keep trying")
    expect(faulty_chat.status).to_contain_text("Retrying in")
    fault_proxy.fault = Fault()
    faulty_chat.wait_for("done")
    expect(faulty_chat.answer).to_have_text(sentence)


def test_a_lost_connection_to_a_healthy_server(faulty_chat: ChatPage, fault_proxy: FaultProxy) -> None:
    send(faulty_chat, fault_proxy, Fault(responses={"/api/chat": CLOSED}))
    faulty_chat.wait_for("error")
    expect(faulty_chat.alert).to_contain_text("The connection was lost before a response arrived.")


def pass_time(chat: ChatPage, seconds: int) -> None:
    """Advance the page's clock, in steps that leave it time for requests."""
    for _ in range(seconds):
        chat.page.clock.run_for(1000)
        chat.page.wait_for_timeout(20)


def pass_until(chat: ChatPage, text: str, seconds: int = 300) -> None:
    """Advance the page's clock until its status has this text; on a busy machine the prompt is sent late."""
    for _ in range(seconds):
        if re.search(text, chat.status.text_content() or ""):
            return
        pass_time(chat, 1)
    raise AssertionError(f"after {seconds} s the page shows: {chat.status.text_content()}")


def test_a_long_silence_is_explained(open_chat: OpenChat, fault_proxy: FaultProxy) -> None:
    chat = open_chat(fault_proxy.url, clock=True)
    send(chat, fault_proxy, Fault(silence=3600))
    pass_until(chat, r"Thinking… 1\d s$")
    pass_until(chat, "The model server responds; the model may be busy with other prompts")
    fault_proxy.fault = Fault(silence=3600, responses={"/api/version": DOWN})
    pass_until(chat, r"The model server is not responding; it may be restarting\.")
    fault_proxy.fault = Fault(silence=3600)
    pass_until(chat, "If the model server is stuck, Hearth restarts it")
    assert chat.recorded("announced")[-1].startswith("No output for two minutes.")
    chat.press("Stop")
    chat.wait_for("stopped")


def test_a_prompt_that_waited_when_the_server_exited(open_chat: OpenChat, fault_proxy: FaultProxy) -> None:
    """Chromium's case: it resends the prompt, and the server is down by then."""
    chat = open_chat(fault_proxy.url, clock=True)
    chat.send_and_wait("Load it, please.")
    send(chat, fault_proxy, Fault(silence=4, responses={"/api/version": DOWN}))
    while len(fault_proxy.prompts()) < 2:
        pass_time(chat, 1)
    fault_proxy.fault = Fault(responses={"/api/chat": DOWN, "/api/version": DOWN})
    pass_time(chat, 30)
    chat.wait_for("error")
    expect(chat.alert).to_contain_text("The model server lost your prompt")


def test_the_diagnosis_explains_a_long_silence(open_chat: OpenChat, fault_proxy: FaultProxy) -> None:
    chat = open_chat(fault_proxy.url, clock=True)
    chat.pick("tinyllama")
    fault_proxy.fault = Fault(silence=3600)
    chat.press("Troubleshoot")
    last = chat.page.get_by_role("dialog").get_by_role("listitem").last
    expect(last).to_contain_text("Test prompt")
    for _ in range(300):
        if re.search(r"checking… 1[2-9]\d s", last.text_content() or ""):
            break
        pass_time(chat, 1)
    expect(chat.page.locator("#verdict")).to_contain_text("If the model server is stuck, Hearth restarts it")


CHAT_MODEL = {"name": "chatter:1b", "size": 13_000_000, "digest": "a", "details": {"family": "llama"}}
EMBEDDER = {"name": "all-minilm:latest", "size": 46_000_000, "digest": "b", "details": {"family": "bert"}}
ODD = {"name": "vectors:1b", "size": 46_000_000, "digest": "c", "details": {"family": "gemma3"}}
SHOWN = (200, JSON, '{"capabilities":["embedding"]}')
NO_SHOW: tuple[int, dict[str, str], str] = (405, {}, "<h1>Method Not Allowed</h1>")


def listing(*models: dict[str, object]) -> tuple[int, dict[str, str], str]:
    return (200, JSON, json.dumps({"models": models}))


@pytest.mark.parametrize(
    ("models", "show"),
    [
        ([EMBEDDER, {**ODD, "capabilities": ["embedding"]}, {**CHAT_MODEL, "capabilities": ["completion"]}], NO_SHOW),
        ([EMBEDDER, CHAT_MODEL], NO_SHOW),
        # /api/show reports an embedding model; the list reports that the other one can chat.
        ([ODD, {**CHAT_MODEL, "capabilities": ["completion", "tools"]}], SHOWN),
    ],
    ids=["listed", "by-name", "shown"],
)
def test_embedding_models_are_not_offered(
    open_chat: OpenChat,
    fault_proxy: FaultProxy,
    models: list[dict[str, object]],
    show: tuple[int, dict[str, str], str],
) -> None:
    fault_proxy.fault = Fault(responses={"/api/tags": listing(*models), "/api/show": show})
    chat = open_chat(fault_proxy.url)
    assert chat.models() == ["chatter:1b"]
    assert chat.picker.input_value() == "chatter:1b"
    assert chat.page.locator("#models-notice").is_hidden()


def test_models_that_a_deploy_is_still_pulling_appear_on_retry(open_chat: OpenChat, fault_proxy: FaultProxy) -> None:
    fault_proxy.fault = Fault(responses={"/api/tags": listing(), "/api/show": NO_SHOW})
    chat = open_chat(fault_proxy.url, is_ready=False)
    notice = chat.page.locator("#models-notice-text")
    expect(notice).to_contain_text("no models yet. A running deploy may still be downloading models: retry when")
    expect(chat.picker).to_be_disabled()
    fault_proxy.fault = Fault(responses={"/api/tags": listing(CHAT_MODEL), "/api/show": NO_SHOW})
    chat.press("Retry")
    expect(chat.picker).to_be_enabled()
    expect(notice).to_be_hidden()
    assert chat.models() == ["chatter:1b"]


def test_a_host_with_only_embedding_models_is_reported(faulty_chat: ChatPage, fault_proxy: FaultProxy) -> None:
    fault_proxy.fault = Fault(responses={"/api/tags": listing(EMBEDDER, ODD), "/api/show": SHOWN})
    faulty_chat.page.reload()
    message = "only embedding models (“all-minilm” and “vectors:1b”), which can't answer prompts."
    expect(faulty_chat.page.locator("#models-notice-text")).to_contain_text(message)
    expect(faulty_chat.picker).to_be_disabled()
    faulty_chat.prompt.fill("Hello?")
    expect(faulty_chat.page.locator("#send")).to_be_disabled()
    faulty_chat.press("Troubleshoot")
    expect(faulty_chat.page.locator("#verdict")).to_contain_text("which can't answer prompts.")
    steps = faulty_chat.page.get_by_role("dialog").get_by_role("listitem").all_inner_texts()
    assert ["✓" in step for step in steps] == [True, True, True, False], steps
