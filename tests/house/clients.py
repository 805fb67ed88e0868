"""Clients of a gateway during a deploy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.lab.clients import PromptLoop


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


def served(loops: list[PromptLoop]) -> set[str]:
    """The backends that answered; every response was complete."""
    assert all(loop.responses for loop in loops)
    assert [one for loop in loops for one in loop.failed] == []
    assert [one for loop in loops for one in loop.cut] == []
    return {one.backend for loop in loops for one in loop.responses}
