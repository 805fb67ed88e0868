"""Sources of secrets: the settings name a source, and the secret is read from it when a run needs it.

It is read on the machine that deploys, once per run, and stays in memory. No message contains the secret, or the
output of a command, which may contain it.
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

# Seconds for a command; a user may have to unlock a key meanwhile.
COMMAND_TIMEOUT = 60
_EXAMPLES = {
    "env": '{"env": "HEARTH_ANNA"}',
    "file": '{"file": "~/.hearth/anna"}',
    "command": '{"command": ["pass", "show", "hearth/anna"]}',
}
_MEANING = {
    "env": "use the name of an environment variable",
    "file": "use a path that begins with / or ~/",
    "command": "use a list with a program and its arguments",
}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_read: dict[tuple[str, ...], SecretStr] = {}
# Hosts are prepared in parallel: a password store should prompt for its own password only once.
_lock = threading.Lock()


class SourceError(Exception):
    """A secret could not be read; the message names the source and the reason, and contains nothing of the secret."""


class Source(BaseModel):
    """Source of one secret: exactly one of the three.

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
        if not isinstance(value, dict) or len(value) != 1 or not _EXAMPLES.keys() & value.keys():
            raise ValueError(f"never write secrets in the settings; use a source: {', '.join(_EXAMPLES.values())}")
        [(kind, source)] = value.items()
        words = source if kind == "command" and isinstance(source, list | tuple) else (source,)
        is_valid = bool(words) and all(isinstance(word, str) and word.isprintable() for word in words) and words[0]
        if kind == "env":
            is_valid = is_valid and _VARIABLE.fullmatch(source)
        elif kind == "file":
            is_valid = is_valid and source.startswith(("/", "~/"))
        if not is_valid or (kind == "command" and words is not source):
            raise ValueError(f"{_MEANING[kind]}, such as {_EXAMPLES[kind]}")
        return value

    @model_serializer
    def _as_written(self) -> dict[str, Any]:
        if self.command:
            return {"command": list(self.command)}
        return {"file": self.file} if self.file else {"env": self.env}

    @property
    def description(self) -> str:
        """For messages."""
        if self.command:
            return f"the command `{shlex.join(self.command)}`"
        return f"the file {self.file}" if self.file else f"the environment variable {self.env}"


def read_secret(source: Source) -> SecretStr:
    """The complete text of the source; further calls return what the first one read.

    Raises:
        SourceError: it is missing, empty, not UTF-8, or a world-readable file.
    """
    key = (source.env, source.file, *source.command)
    with _lock:
        if key not in _read:
            content = _content(source)
            try:
                text = content.decode()
            except UnicodeDecodeError:
                text = "\0"
            if "\0" in text:
                raise SourceError(f"{source.description}: the value is not UTF-8 text")
            if not text.strip():
                raise SourceError(f"{source.description}: the value is empty")
            _read[key] = SecretStr(text)
        return _read[key]


def _content(source: Source) -> bytes:
    if source.command:
        return _output(source)
    if source.file:
        return _file(source)
    value = os.environ.get(source.env)
    if value is None:
        raise SourceError(f"{source.description} is not set on this machine")
    return os.fsencode(value)


def _file(source: Source) -> bytes:
    try:
        path = Path(source.file).expanduser()
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & stat.S_IROTH:
                raise SourceError(f"{source.description} is world-readable; run `chmod 600` on it")
            return file.read()
    except (OSError, RuntimeError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise SourceError(f"could not read {source.description} on this machine: {why}") from None


def _output(source: Source) -> bytes:
    """The command's output. It can't prompt on standard input; programs like pinentry prompt on the terminal."""
    try:
        with subprocess.Popen(
            source.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            try:
                output, _ = process.communicate(timeout=COMMAND_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                raise SourceError(f"{source.description} timed out after {COMMAND_TIMEOUT} s") from None
    except OSError as error:
        raise SourceError(f"could not run {source.description}: {error.strerror}") from None
    if process.returncode:
        raise SourceError(
            f"{source.description} exited with {process.returncode}; its output is hidden because it may contain the "
            "secret: run the command yourself to see it"
        )
    return output
