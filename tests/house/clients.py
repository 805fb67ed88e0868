"""Clients of a gateway during a deploy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.lab.clients import PromptLoop


@contextmanager
def clients(url: str) -> Iterator[list[PromptLoop]]:
    """Short and longer responses, one after another, while the block runs."""
    loops = [PromptLoop(words, url) for words in (1, 30, 400)]
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
