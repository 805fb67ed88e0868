"""Shell quoting and shared shell functions."""

from __future__ import annotations

import shlex


def quote(*words: str) -> str:
    """The words as one shell command, each quoted."""
    return " ".join(shlex.quote(word) for word in words)


# Prefix for scripts that query the engine: a hung engine accepts a request and never responds.
DOCKER_WITH_TIMEOUT = (
    'docker() { timeout 40 docker "$@" && return; code=$?; '
    '[ $code != 124 ] || echo "no response from the Docker daemon for 40 s"; return $code; }; '
)
