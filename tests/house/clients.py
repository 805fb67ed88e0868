"""Clients of a gateway during a deploy."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from tests.lab.clients import BackgroundStream, PromptLoop, prompt
from tests.support.proxy_rules.behaviour import wait_until


@contextmanager
def clients(*urls: str, lengths: tuple[int, ...] = (1, 30, 400)) -> Iterator[list[PromptLoop]]:
    """Short and longer responses, one after another, while the block runs.

    Args:
        urls: of gateways; each has clients of its own, which go on to the next one when it refuses.
        lengths: tokens of a response; each gateway has a client for each length.
    """
    loops = [PromptLoop(words, *urls[first:], *urls[:first]) for first in range(len(urls)) for words in lengths]
    with ExitStack() as stack:
        for loop in loops:
            stack.enter_context(loop)
        yield loops


@contextmanager
def long_responses(*urls: str) -> Iterator[list[BackgroundStream]]:
    """A response through each gateway that takes longer than a deploy needs to begin its first turn: a minute, or more
    if the machine gets busier. All are complete when the block ends.

    If they are the only ones, those through one gateway are at different backends.
    """
    words, took = 100, 0.0
    while took < 3:  # long enough that loading the model does not count
        words, begun = words * 3, time.monotonic()
        prompt(words, at=urls[0])
        took = time.monotonic() - begun
    words = round(words * 60 / took)
    streams = [BackgroundStream(words, at=url) for url in urls]
    for stream in streams:
        stream.start()
        wait_until(lambda one=stream: bool(one.streamed.lines), 60)  # type: ignore[misc]
    yield streams
    for stream in streams:
        stream.join(300)
    assert [stream.streamed.complete for stream in streams] == [True] * len(urls)


@contextmanager
def closed(address: str, *ports: int) -> Iterator[None]:
    """Nobody but a backend's gateways can connect to these ports of it while the block runs: this machine tries."""
    opened: set[int] = set()
    ended = threading.Event()

    def knock() -> None:
        while not ended.wait(0.05):
            for port in ports:
                with suppress(OSError), socket.create_connection((address, port), timeout=1):
                    opened.add(port)

    thread = threading.Thread(target=knock)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    assert opened == set()


def served(loops: list[PromptLoop]) -> set[str]:
    """The backends that answered; every response was complete."""
    assert all(loop.responses for loop in loops)
    assert [one for loop in loops for one in loop.failed] == []
    assert [one for loop in loops for one in loop.cut] == []
    return {one.backend for loop in loops for one in loop.responses}
