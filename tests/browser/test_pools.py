"""The menu of pools: the real httpd in front of two real Ollamas with a model each, without the lab's machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import expect

from lab import artefacts
from lab.progress import Stages
from tests.browser.chat_page import ChatPage
from tests.browser.conftest import OpenChat
from tests.proxy.httpd import Httpd
from tests.proxy.machine_on_lan import MachineOnLan
from tests.proxy.ollama import ONE_THREAD, Ollama
from tests.support.shipped import shipped_settings

MODELS = {"default": "tinystory", "big": "tinyllama"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a gateway with the pools of MODELS."""
    with Stages() as stages:
        parts = artefacts.build(("roots", "models"), stages)
    with ExitStack() as stack:
        pools = {}
        for pool, model in MODELS.items():
            directory = tmp_path_factory.mktemp(pool)
            machine = stack.enter_context(MachineOnLan())
            ollama = Ollama(
                parts["roots"] / "ollama", directory, parts["models"], machine.address, (model,),
                parameters=ONE_THREAD | {"num_predict": 8}, network=machine.name,
            )  # fmt: skip
            pools[pool] = [{"url": stack.enter_context(ollama).url}]
        settings = shipped_settings(ollama_models=[MODELS["default"]], ollama_pools=pools, proxy_port=8085)
        directory = tmp_path_factory.mktemp("httpd")
        yield stack.enter_context(Httpd(parts["roots"] / "httpd", directory, settings)).url


def select(chat: ChatPage, pool: str) -> None:
    """Select a pool, and wait until its model can be picked."""
    menu = chat.page.get_by_label("Pool")
    menu.select_option(label=pool)
    expect_pool(chat, pool)


def expect_pool(chat: ChatPage, pool: str) -> None:
    expect(chat.page.get_by_label("Pool").locator("option:checked")).to_have_text(pool)
    expect(chat.picker).to_have_value(f"{MODELS[pool]}:latest")
    assert chat.models() == [MODELS[pool]]


def ask(chat: ChatPage, prompt: str) -> list[str]:
    """Send a prompt, and return the paths that were requested for it."""
    before = len(chat.requested)
    chat.send(prompt)
    chat.wait_for("done")
    return [url.removeprefix(chat.url) for url in chat.requested[before:]]


def test_each_pool_has_its_models_and_its_routes(open_chat: OpenChat, gateway: str) -> None:
    chat = open_chat(gateway)
    expect_pool(chat, "default")
    assert set(ask(chat, "One.")) == {"/api/chat"}
    select(chat, "big")
    assert set(ask(chat, "Two.")) == {"/big/api/chat"}
    assert chat.last.locator(".name").inner_text() == MODELS["big"]
    chat.page.get_by_role("button", name="Troubleshoot").last.click()
    expect(chat.page.locator("#verdict")).to_contain_text("All checks passed", timeout=60_000)
    assert f"{chat.url}/big/api/ollama" in chat.requested
    assert chat.console == []


def test_a_chat_keeps_its_pool(open_chat: OpenChat, gateway: str) -> None:
    chat = open_chat(gateway)
    ask(chat, "With the usual one.")
    chat.press("New chat")
    select(chat, "big")
    ask(chat, "With the big one.")
    chat.open()
    expect_pool(chat, "big")
    chat.press("With the usual one.")
    expect_pool(chat, "default")
    chat.press("With the big one.")
    expect_pool(chat, "big")
    # A new chat begins where the last one was.
    chat.press("New chat")
    expect_pool(chat, "big")
    assert set(ask(chat, "Another one.")) == {"/big/api/chat"}
