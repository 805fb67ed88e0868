"""The tiny models' token tables, evaluated like a model does."""

from __future__ import annotations

import pytest

from lab import models


def reply(name: str, limit: int) -> str:
    """The model's reply according to its table, up to `limit` tokens."""
    table = models.table(name)
    token, text = table.following[0], ""
    for _ in range(limit):
        if token == models.END:
            break
        text += table.tokens[token].replace("▁", " ")
        token = table.following[table.dimension[token]]
    return text


def test_tinyllama_replies_with_its_sentence_and_ends() -> None:
    assert reply("tinyllama", 1000) == models.TINYLLAMA_SENTENCE


def test_tinystory_repeats_until_it_is_stopped() -> None:
    words = len(models.TINYSTORY_SENTENCE.split())
    assert reply("tinystory", 3 * words) == " ".join([models.TINYSTORY_SENTENCE] * 3)


@pytest.mark.parametrize("sentence", [models.TINYLLAMA_SENTENCE, models.TINYSTORY_SENTENCE])
def test_words_are_unique(sentence: str) -> None:
    assert len(set(sentence.split())) == len(sentence.split())


@pytest.mark.parametrize("name", models.NAMES)
def test_the_table_fits_the_model(name: str) -> None:
    table = models.table(name)
    assert len(table.tokens) == len(table.dimension) == len(set(table.tokens))
    assert max(table.dimension) < models.WIDTH
    assert set(table.dimension) == set(table.following)
    assert table.tokens[: len(models.SPECIAL)] == models.SPECIAL
    assert table.tokens[len(models.SPECIAL) + 255] == "<0xFF>"
    # After any prompt, the template's final space leads to the first word.
    assert models.TEMPLATE.endswith(" ")
    assert "▁" not in table.tokens


def test_embedding_model_distinguishes_texts() -> None:
    """It has one dimension per token. It is not deployed by default: all of those are chat models."""
    tokens = models.embedding_tokens()
    assert len(set(tokens)) == len(tokens) <= models.EMBEDDING_WIDTH
    assert tokens[: len(models.EMBEDDING_SPECIAL)] == models.EMBEDDING_SPECIAL
    assert {"▁a", "a", "▁z", "z"} <= set(tokens)
    assert models.EMBEDDING not in models.NAMES
