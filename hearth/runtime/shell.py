"""Shell quoting and shared shell functions."""

from __future__ import annotations

import shlex
from pathlib import Path


def quote(*words: str) -> str:
    """The words as one shell command, each quoted."""
    return " ".join(shlex.quote(word) for word in words)


def script_without_comments(path: Path) -> str:
    """A shell script without its comments, which need not be sent to a host."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("#"))


# Prefix for scripts that query the engine: a hung engine accepts a request and never responds.
DOCKER_WITH_TIMEOUT = (
    'docker() { timeout 40 docker "$@" && return; code=$?; '
    '[ $code != 124 ] || echo "no response from the Docker daemon for 40 s"; return $code; }; '
)
