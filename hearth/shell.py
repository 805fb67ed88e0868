"""Words of a shell."""

from __future__ import annotations

import shlex


def quote(*words: str) -> str:
    """The words as one shell command, each quoted."""
    return " ".join(shlex.quote(word) for word in words)
