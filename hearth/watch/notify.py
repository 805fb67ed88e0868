"""Send messages through apprise: mail, ntfy, Telegram, Home Assistant and many others, each by a URL.

A URL contains a password or a token, so it is read from a secret source, and no message shows it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib.util import find_spec

from pydantic import ValidationError

from hearth.settings.secret_source import Source, SourceError, read_secret

_EXAMPLE = "file:~/.hearth/notify or 'command:pass show hearth/notify'"


class NotifyError(Exception):
    """A message can't be sent; the text says why, and contains nothing of the URL."""


def parse_source(text: str) -> Source:
    """The source of URLs from `file:PATH` or `command:PROGRAM ARGUMENTS`.

    An environment variable is not accepted, because a timer has none of the user's.

    Raises:
        NotifyError: it has another form.
    """
    import shlex

    kind, _, value = text.partition(":")
    try:
        if kind == "file":
            return Source.model_validate({"file": value})
        if kind == "command":
            return Source.model_validate({"command": shlex.split(value)})
    except (ValidationError, ValueError):
        pass
    raise NotifyError(f"--notify {text!r}: use {_EXAMPLE}")


def read_urls(sources: Sequence[Source]) -> list[str]:
    """The URLs in the sources, one a line; empty lines and those that begin with `#` don't count.

    Raises:
        NotifyError: a source can't be read, or has a line that is not a URL of apprise's.
    """
    if not sources:
        return []
    if find_spec("apprise") is None:
        raise NotifyError("--notify needs the Python package apprise: run `make setup WITH=watch`")
    from apprise import Apprise

    urls = []
    for source in sources:
        try:
            lines = read_secret(source).get_secret_value().splitlines()
        except SourceError as error:
            raise NotifyError(f"--notify: {error}") from None
        for number, line in enumerate(lines, 1):
            url = line.strip()
            if not url or url.startswith("#"):
                continue
            with _Silenced():
                is_valid = Apprise().add(url)
            if not is_valid:
                raise NotifyError(
                    f"--notify: {source.description}, line {number}: this is not a URL that apprise knows; "
                    "https://github.com/caronc/apprise/wiki lists them, such as ntfys://TOPIC or mailto://…"
                )
            urls.append(url)
        if not urls:
            raise NotifyError(f"--notify: {source.description} has no URL")
    return urls


def send(urls: Sequence[str], title: str, text: str) -> None:
    """Send a message to each URL.

    Raises:
        NotifyError: not every one was accepted; the others were sent.
    """
    from apprise import Apprise, NotifyFormat

    failed = []
    for url in urls:
        service = Apprise()
        with _Silenced():
            service.add(url)
            # As text: others would turn names with underscores into italics.
            is_sent = service.notify(body=text, title=title, body_format=NotifyFormat.TEXT)
        if not is_sent:
            failed.append(url.partition(":")[0])
    if failed:
        raise NotifyError(
            f"the message was not accepted by {', '.join(f'{name}://…' for name in failed)}; "
            "check the address, and whether this computer can reach it"
        )


class _Silenced:
    """Keep apprise's own log, which has parts of URLs, off the terminal and out of the journal."""

    def __enter__(self) -> None:
        self._disabled = logging.root.manager.disable
        logging.disable(logging.CRITICAL)

    def __exit__(self, *_error: object) -> None:
        logging.disable(self._disabled)
