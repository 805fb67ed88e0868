"""Messages go to a real server over HTTP, and nothing shows where."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from hearth.settings.secret_source import Source
from hearth.watch.notify import NotifyError, parse_source, read_urls, send
from tests.support.ntfy import Ntfy, serving_ntfy


@pytest.fixture
def ntfy() -> Iterator[Ntfy]:
    with serving_ntfy() as server:
        yield server


def source(tmp_path: Path, text: str) -> Source:
    path = tmp_path / "notify"
    path.write_text(text)
    path.chmod(0o600)
    return parse_source(f"file:{path}")


def test_a_message_arrives_as_it_was_written(tmp_path: Path, ntfy: Ntfy) -> None:
    urls = read_urls([source(tmp_path, f"# at home\n\n{ntfy.url}\n")])
    send(urls, "Hearth: pi_1 has drifted", "pi_1: drifted:\n  *x* <b> & 100%")
    [message] = ntfy.messages
    assert message["topic"] == "secret-topic"
    assert message["title"] == "Hearth: pi_1 has drifted"
    assert message["message"] == "pi_1: drifted:\n  *x* <b> & 100%"


def test_the_url_may_come_from_a_command(ntfy: Ntfy) -> None:
    found = read_urls([parse_source(f"command:{shlex.join(['printf', '%s', ntfy.url])}")])
    assert found == [ntfy.url]


def test_a_refused_message_is_an_error_and_the_others_are_sent(
    tmp_path: Path, ntfy: Ntfy, capfd: pytest.CaptureFixture[str]
) -> None:
    with serving_ntfy() as other:
        other.status = 403
        urls = read_urls([source(tmp_path, f"{other.url}\n{ntfy.url}\n")])
        with pytest.raises(NotifyError) as error:
            send(urls, "title", "text")
    assert "was not accepted by ntfy://…" in str(error.value)
    assert len(ntfy.messages) == 1
    shown = capfd.readouterr()
    assert "secret-topic" not in f"{error.value}{shown.out}{shown.err}"


@pytest.mark.parametrize("text", ["not a url", "nosuch://secret-topic/x"])
def test_what_is_not_a_url_of_apprises_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(NotifyError, match="line 2: this is not a URL that apprise knows") as error:
        read_urls([source(tmp_path, f"\n{text}\n")])
    assert text not in str(error.value)


def test_an_empty_or_missing_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotifyError, match="has no URL"):
        read_urls([source(tmp_path, "# nothing\n")])
    with pytest.raises(NotifyError, match="could not read the file"):
        read_urls([parse_source(f"file:{tmp_path}/nosuch")])


@pytest.mark.parametrize("text", ["", "ntfy://topic", "env:NTFY", "file:notify", "command:", "command:'open"])
def test_other_sources_are_refused(text: str) -> None:
    with pytest.raises(NotifyError, match=r"use file:~/\.hearth/notify"):
        parse_source(text)
