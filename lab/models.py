"""The tiny models: what they say, and the token tables that make them say it. No number is drawn at random.

Each is a real llama-architecture model that the real server loads and runs. All attention and feed-forward weights
are zero, so a token's embedding passes through unchanged; embeddings are one-hot, one dimension per token of a chain,
and the output matrix maps each dimension to the chain's next token. Whatever the prompt, its last token is not of the
chain and leads to the chain's first one.

One is of another kind: EMBEDDING is a BERT, which makes embeddings and can't be asked anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TINYLLAMA_SENTENCE = (
    "Hello! I am a tiny model living on your own hardware, and every word you see was streamed through Apache just now."
)
TINYSTORY_SENTENCE = (
    "Once upon a time there was small fireplace that kept warm words going round and"  # and from the start
)
NAMES = ("tinyllama", "tinystory")
# In the registry, and deployed only by the tests that ask for it: it makes embeddings and does not talk.
EMBEDDING = "tinyembed"

TEMPLATE = "{{ .Prompt }} "  # ends in a space, whose token belongs to no chain
SPECIAL = ("<unk>", "<s>", "</s>")
END = 2  # </s>
BYTES = 256

# As small as the server accepts. Depth would be the cheap way to make words slower, but every layer is some twenty
# synchronisations of the server's threads, each of which can cost milliseconds on busy processors under emulation:
# with 64 layers a word took between 0.3 and 6 seconds.
LAYERS = 1
HEADS = 1
HEAD_WIDTH = 32
FEED_FORWARD = 32
# The output matrix, WIDTH times VOCABULARY, sets the pace instead: one multiplication per generated token, and none
# for those of the prompt. Filler tokens that are never generated make up the number.
WIDTH = 512
VOCABULARY = 6144
CONTEXT = 4096

# tinyembed, a BERT: one dimension per token, so that texts of different letters have different embeddings.
EMBEDDING_WIDTH = 64
EMBEDDING_CONTEXT = 512
EMBEDDING_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclass(frozen=True)
class Table:
    """A vocabulary and its chain. `tokens[i]` is the text of token i (SentencePiece: `▁` for a space before a word).

    `dimension[i]` is where token i's embedding is one; `following[d]` is the token that dimension d leads to.
    """

    tokens: tuple[str, ...]
    dimension: tuple[int, ...]
    following: Mapping[int, int]


def table(name: str) -> Table:
    """The table of one of NAMES. Dimension 0 is "not in the chain yet"."""
    sentence, loops = {"tinyllama": (TINYLLAMA_SENTENCE, False), "tinystory": (TINYSTORY_SENTENCE, True)}[name]
    words = sentence.split()
    if len(set(words)) != len(words):
        raise ValueError(f"{name}: each word must be distinct, since a token has one successor")
    # The first word has no space before it at the start of an answer, and one when the chain comes round again.
    pieces = [words[0], *(f"▁{word}" for word in words[1:]), *([f"▁{words[0]}"] if loops else [])]
    first = len(SPECIAL) + BYTES
    filler = [f"<filler-{i}>" for i in range(VOCABULARY - first - len(pieces))]
    tokens = (*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(BYTES)), *pieces, *filler)
    dimension = (*[0] * first, *range(1, len(pieces) + 1), *[0] * len(filler))
    following = {0: first, **{d: first + d for d in range(1, len(pieces))}}
    following[len(pieces)] = first + 1 if loops else END
    return Table(tokens, dimension, following)


def embedding_tokens() -> tuple[str, ...]:
    """tinyembed's vocabulary: every letter, at the beginning of a word (`▁` before it) and within one."""
    letters = tuple(chr(code) for code in range(ord("a"), ord("z") + 1))
    return (*EMBEDDING_SPECIAL, *(f"▁{letter}" for letter in letters), *letters)


def inputs() -> list[str]:
    """The sources of the models, for their key."""
    here = Path(__file__).parent
    return [(here / source).read_text() for source in ("models.py", "gguf_file.py", "model_store.py")]
