"""Where a secret comes from. The settings name the place; the secret itself is read from there when a run needs it.

It is read on the machine that deploys, once in a run, and stays in memory. No message says anything of what was read,
nor what a command complained of, since that may hold it, too.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
import subprocess
import threading
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, SecretStr, model_serializer, model_validator

# Seconds for a command; a person may have to unlock a key meanwhile.
PATIENCE = 60
_RIGHT = {
    "env": '{"env": "HEARTH_ANNA"}',
    "file": '{"file": "~/.hearth/anna"}',
    "command": '{"command": ["pass", "show", "hearth/anna"]}',
}
_MEANING = {
    "env": "it is the name of an environment variable",
    "file": "it is a path from / or ~/",
    "command": "it is a program and its arguments",
}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_read: dict[tuple[str, ...], SecretStr] = {}
# Hosts are prepared at the same time: a password store that asks for its own password asks once.
_one_at_a_time = threading.Lock()


class SourceError(Exception):
    """A secret that can't be had; the message says from where and why, and nothing of what was read."""


class Source(BaseModel):
    """Where one secret comes from: exactly one of the three.

    Attributes:
        env: name of an environment variable.
        file: path that begins with `/` or `~/`.
        command: a program and its arguments, run without a shell; the secret is what it prints.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    env: str = ""
    file: str = ""
    command: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _check(cls, value: Any) -> Any:
        if isinstance(value, cls):
            return value
        if not isinstance(value, dict) or len(value) != 1 or not _RIGHT.keys() & value.keys():
            raise ValueError(
                f"a secret never stands in the settings; say where it comes from: {', '.join(_RIGHT.values())}"
            )
        [(kind, place)] = value.items()
        words = place if kind == "command" and isinstance(place, list | tuple) else (place,)
        is_right = bool(words) and all(isinstance(word, str) and word.isprintable() for word in words) and words[0]
        if kind == "env":
            is_right = is_right and _VARIABLE.fullmatch(place)
        elif kind == "file":
            is_right = is_right and place.startswith(("/", "~/"))
        if not is_right or (kind == "command" and words is not place):
            raise ValueError(f"{_MEANING[kind]}, such as {_RIGHT[kind]}")
        return value

    @model_serializer
    def _as_written(self) -> dict[str, Any]:
        if self.command:
            return {"command": list(self.command)}
        return {"file": self.file} if self.file else {"env": self.env}

    @property
    def title(self) -> str:
        """What it is, for messages."""
        if self.command:
            return f"the command `{shlex.join(self.command)}`"
        return f"the file {self.file}" if self.file else f"the environment variable {self.env}"


def read_secret(source: Source) -> SecretStr:
    """The text that the source has, whole; a second call gives what the first one read.

    Raises:
        SourceError: there is nothing, it is no text, or others may read the file.
    """
    key = (source.env, source.file, *source.command)
    with _one_at_a_time:
        if key not in _read:
            content = _content(source)
            try:
                text = content.decode()
            except UnicodeDecodeError:
                text = "\0"
            if "\0" in text:
                raise SourceError(f"{source.title} gives no text")
            if not text.strip():
                raise SourceError(f"{source.title} gives nothing")
            _read[key] = SecretStr(text)
        return _read[key]


def _content(source: Source) -> bytes:
    if source.command:
        return _output(source)
    if source.file:
        return _file(source)
    value = os.environ.get(source.env)
    if value is None:
        raise SourceError(f"{source.title} is not set here, on the machine that deploys")
    return os.fsencode(value)


def _file(source: Source) -> bytes:
    try:
        path = Path(source.file).expanduser()
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & stat.S_IROTH:
                raise SourceError(f"{source.title} can be read by everybody on this machine; `chmod 600` it")
            return file.read()
    except (OSError, RuntimeError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise SourceError(f"{source.title} can't be read here, on the machine that deploys: {why}") from None


def _output(source: Source) -> bytes:
    """What the command prints. It can't ask on standard input; programs like pinentry ask on the terminal."""
    try:
        with subprocess.Popen(
            source.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            try:
                output, _ = process.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                raise SourceError(f"{source.title} gave nothing for {PATIENCE} s") from None
    except OSError as error:
        raise SourceError(f"{source.title} can't be run: {error.strerror}") from None
    if process.returncode:
        raise SourceError(
            f"{source.title} ended with {process.returncode}; what it said is not shown, since that may hold the "
            "secret: run it yourself to see why"
        )
    return output
