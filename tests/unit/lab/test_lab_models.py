"""The tiny models' token tables, followed as the model would follow them."""

from __future__ import annotations

import pytest

from lab import models


def said(name: str, limit: int) -> str:
    """What the model answers, by its table alone, up to `limit` tokens."""
    table = models.table(name)
    token, text = table.following[0], ""
    for _ in range(limit):
        if token == models.END:
            break
        text += table.tokens[token].replace("▁", " ")
        token = table.following[table.dimension[token]]
    return text


def test_tinyllama_says_its_sentence_and_ends() -> None:
    assert said("tinyllama", 1000) == models.TINYLLAMA_SENTENCE


def test_tinystory_goes_round_until_it_is_stopped() -> None:
    words = len(models.TINYSTORY_SENTENCE.split())
    assert said("tinystory", 3 * words) == " ".join([models.TINYSTORY_SENTENCE] * 3)


@pytest.mark.parametrize("sentence", [models.TINYLLAMA_SENTENCE, models.TINYSTORY_SENTENCE])
def test_no_word_comes_twice(sentence: str) -> None:
    assert len(set(sentence.split())) == len(sentence.split())


@pytest.mark.parametrize("name", models.NAMES)
def test_the_table_fits_the_model(name: str) -> None:
    table = models.table(name)
    assert len(table.tokens) == len(table.dimension) == len(set(table.tokens))
    assert max(table.dimension) < models.WIDTH
    assert set(table.dimension) == set(table.following)
    assert table.tokens[: len(models.SPECIAL)] == models.SPECIAL
    assert table.tokens[len(models.SPECIAL) + 255] == "<0xFF>"
    # Whatever a prompt ends in, the template's last space leads to the first word.
    assert models.TEMPLATE.endswith(" ")
    assert "▁" not in table.tokens


def test_the_embedding_model_tells_texts_apart() -> None:
    """One dimension for each token. It is not among the models that are deployed by default, which all talk."""
    tokens = models.embedding_tokens()
    assert len(set(tokens)) == len(tokens) <= models.EMBEDDING_WIDTH
    assert tokens[: len(models.EMBEDDING_SPECIAL)] == models.EMBEDDING_SPECIAL
    assert {"▁a", "a", "▁z", "z"} <= set(tokens)
    assert models.EMBEDDING not in models.NAMES
