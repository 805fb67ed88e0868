"""Words of a shell."""

from __future__ import annotations

import shlex


def quote(*words: str) -> str:
    """The words as one shell command, each quoted."""
    return " ".join(shlex.quote(word) for word in words)


# Put before a script that asks the engine something: an engine that hangs takes a question and never answers it.
DOCKER_ANSWERS = (
    'docker() { timeout 40 docker "$@" && return; code=$?; '
    '[ $code != 124 ] || echo "the Docker daemon gave no answer for 40 s"; return $code; }; '
)
