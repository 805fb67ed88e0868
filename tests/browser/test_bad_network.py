"""The chat page when what comes from the lab comes in halves, ends too early, is refused or does not come at all."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.chat_page import ChatPage
from tests.browser.fault_proxy import Fault, FaultProxy


def ask(chat: ChatPage, proxy: FaultProxy, fault: Fault) -> None:
    proxy.fault = fault
    chat.pick("tinyllama")
    chat.ask("Who are you?")


def test_half_lines(faulty_chat: ChatPage, fault_proxy: FaultProxy, sentence: str) -> None:
    ask(faulty_chat, fault_proxy, Fault(piece=7, pause=0.004))
    faulty_chat.wait_for("done")
    expect(faulty_chat.answer).to_have_text(sentence)
    halves = [read for read in faulty_chat.watched("reads") if read["line"]]
    assert len(halves) > len(sentence.split()), "the page never got half a line: nothing was tested"


def test_half_characters(faulty_chat: ChatPage, fault_proxy: FaultProxy, sentence: str) -> None:
    swap = ("hardware", "🏠éü")
    ask(faulty_chat, fault_proxy, Fault(piece=1, pause=0.002, swap=(swap[0].encode(), swap[1].encode())))
    faulty_chat.wait_for("done")
    expect(faulty_chat.answer).to_have_text(sentence.replace(*swap))
    halves = [read for read in faulty_chat.watched("reads") if read["character"]]
    assert halves, "the page never got half a character: nothing was tested"


def test_answers_are_text_never_markup(faulty_chat: ChatPage, fault_proxy: FaultProxy, sentence: str) -> None:
    swap = ("hardware", "<b>me</b><img src=x>")
    ask(faulty_chat, fault_proxy, Fault(swap=(swap[0].encode(), swap[1].encode())))
    faulty_chat.wait_for("done")
    expect(faulty_chat.answer).to_have_text(sentence.replace(*swap))
    assert faulty_chat.answer.locator("*").count() == 0


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(keep=5, ending="orderly"), id="ends-without-done"),
        pytest.param(Fault(keep=5, ending="abrupt"), id="connection-lost"),
        pytest.param(Fault(keep=5, tail=b'{"model":"tiny', ending="orderly"), id="ends-in-half-a-line"),
        pytest.param(Fault(keep=5, tail=b'{"model":"tiny', ending="abrupt"), id="lost-in-half-a-line"),
    ],
)
def test_a_cut_is_said_and_the_text_kept(
    faulty_chat: ChatPage, fault_proxy: FaultProxy, sentence: str, fault: Fault
) -> None:
    ask(faulty_chat, fault_proxy, fault)
    faulty_chat.wait_for("error")
    expect(faulty_chat.alert).to_contain_text("The answer was cut off before its end.")
    expect(faulty_chat.answer).to_have_text(" ".join(sentence.split()[:5]))

    fault_proxy.fault = Fault()
    faulty_chat.alert.get_by_role("button", name="Ask again").click()
    expect(faulty_chat.page.locator(".exchange")).to_have_count(2)
    faulty_chat.wait_for("done")
    expect(faulty_chat.answer).to_have_text(sentence)


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


def test_server_unreachable(faulty_chat: ChatPage, fault_proxy: FaultProxy) -> None:
    fault_proxy.close()
    faulty_chat.ask("Is anyone there?")
    faulty_chat.wait_for("error")
    expect(faulty_chat.alert).to_contain_text("The server can't be reached.")
