"""The setting host_http_proxy."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from hearth.outbound.probe import proxy_obstacles
from hearth.settings.http_proxy import HttpProxy, ProxySetting, parse_http_proxy, read_http_proxy
from hearth.settings.secret_source import Source, SourceError


def test_special_characters_survive() -> None:
    proxy = parse_http_proxy("http://an%40na:p%3Aa%2Fs%25@proxy.example.org:3128/")
    assert (proxy.user, proxy.password.get_secret_value()) == ("an@na", "p:a/s%")
    assert proxy.address == "http://proxy.example.org:3128"
    assert proxy.url.get_secret_value() == "http://an%40na:p%3Aa%2Fs%25@proxy.example.org:3128"
    assert "p:a" not in repr(proxy)


@pytest.mark.parametrize(
    "text",
    [
        "proxy.example.org:3128",
        "https://proxy.example.org:3128",
        "http://proxy.example.org",
        "http://proxy.example.org:99999",
        "http://anna@proxy.example.org:3128",
        "http://anna:a%20b@proxy.example.org:3128",
        "http://anna:%FF@proxy.example.org:3128",
    ],
)
def test_an_address_that_no_client_could_use_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"use http://|has a space|UTF-8") as error:
        parse_http_proxy(text)
    assert "anna" not in str(error.value)


def test_a_password_in_the_settings_is_refused_and_not_shown() -> None:
    with pytest.raises(ValidationError, match="never write a password in the settings") as error:
        TypeAdapter(ProxySetting).validate_python("http://anna:topsecret@proxy.example.org:3128")
    assert "topsecret" not in error.value.errors(include_input=False)[0]["msg"]


def test_a_source_without_an_address_is_refused_and_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "proxy"
    path.write_text("topsecret\n")
    path.chmod(0o600)
    with pytest.raises(SourceError, match="no valid address in its first line") as error:
        read_http_proxy(Source(file=str(path)))
    assert "topsecret" not in str(error.value)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("HTTP/1.0 200 Connection established", ""),
        ("HTTP/1.1 403 Filtered", ""),
        ("HTTP/1.1 407 Proxy Authentication Required", "requires a user and a password (407)"),
        ("HTTP/1.1 401 Unauthorized", "requires a user and a password (401)"),
        ("HTTP/1.1 405 Method Not Allowed", "is a web server, not a proxy"),
        ("bash: connect: Connection refused", "does not respond to the host (Connection refused)"),
        ("", "does not respond to the host (it sent nothing)"),
    ],
)
def test_what_a_proxy_responds(answer: str, sentence: str) -> None:
    obstacles = proxy_obstacles(HttpProxy("10.0.0.1", 3128), answer)
    assert len(obstacles) == bool(sentence)
    assert sentence in "".join(obstacles)
