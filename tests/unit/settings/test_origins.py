"""Origins: what browsers send, what Ollama starts with, and what httpd allows."""

from __future__ import annotations

import ipaddress
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hearth.settings.origins import check_origin, httpd_pattern, ollama_origins

ACCEPTED = [
    "http://pi",
    "http://pi:85",
    "https://chat.example.org",
    "http://192.168.1.20:8080",
    "http://raspberrypi.local:85",
    "https://*.example.org",
    "https://*.example.org:8443",
    "http://[fe80::1]:85",
    "http://xn--bcher-kva.example",
    "http://a:65535",
    "https://a:80",
    *(
        "app://obsidian.md",
        "app://-",
        "tauri://localhost",
        "https://tauri.localhost",
        "capacitor://localhost",
        "ionic://localhost",
        "vscode-webview://1a2b3c4d5e",
        f"chrome-extension://{'abcdefghijklmnop' * 2}",
        "moz-extension://0f1e2d3c-0a1b-4c2d-8e3f-00112233aabb",
        "safari-web-extension://0F1E2D3C-0A1B-4C2D-8E3F-00112233AABB",
    ),
]


@pytest.mark.parametrize("origin", ACCEPTED)
def test_accepted_unchanged(origin: str) -> None:
    assert check_origin(origin) == origin


@pytest.mark.parametrize(
    ("origin", "instead"),
    [
        # Ollama panics at start.
        (" http://pi:85", '"http://pi:85"'),
        ("http://a, http://b", "['http://a', 'http://b']"),
        ("http://a,", "['http://a']"),
        ("192.168.1.5", '"http://192.168.1.5"'),
        ("null", "http://"),
        ("", "remove the entry"),
        ("   ", "remove the entry"),
        ("safari-web-extension://abc", "scheme://host"),
        ("http://*.a.*", "at most one"),
        ("file://", "scheme://host"),
        ("htpp://pi", "app, capacitor"),
        ("app://obsidian.md/index.html", '"app://obsidian.md"'),
        ("APP://obsidian.md", '"app://obsidian.md"'),
        ("app://", "a name"),
        ("app://*", 'without "*"'),
        ("chrome-extension://*", 'without "*"'),
        ("chrome-extension://abc", "32 letters"),
        (f"chrome-extension://{'ABCDEFGHIJKLMNOP' * 2}/", f'"chrome-extension://{"abcdefghijklmnop" * 2}"'),
        ("moz-extension://abc", "a UUID in lower case"),
        ("vscode-webview://a b", "a name"),
        ('app://a"', '"app://a"'),
        # Ollama starts, but they match nobody or everybody.
        ("http://pi/", '"http://pi"'),
        ("http://pi:85/chat/index.html", '"http://pi:85"'),
        ("http://pi?x=1", '"http://pi"'),
        ("http://pi#top", '"http://pi"'),
        ("HTTP://Pi:85", '"http://pi:85"'),
        ("http://pi:80", '"http://pi"'),
        ("https://pi:443", '"https://pi"'),
        ("http://pi:0085", '"http://pi:85"'),
        ("http://me:secret@pi:85", '"http://pi:85"'),
        ("'http://pi'", '"http://pi"'),
        ("*", "https://*.example.org"),
        ("http://*", "leftmost"),
        ("http://192.168.1.*", "leftmost"),
        ("http://a.*.example.org", "leftmost"),
        ("http://evil*.example.org", "leftmost"),
        ("ftp://pi", "scheme://host"),
        ("http://", "scheme://host"),
        ("http://pi:", "scheme://host"),
        ("http://pi:70000", "1 to 65535"),
        ("http://pi:0", "1 to 65535"),
        ("http://my_pi", "not a valid host name"),
        ("http://-pi", "not a valid host name"),
        ("http://pi..local", "not a valid host name"),
        ("http://bücher.example", "xn--bcher-kva.example"),
        ("http://[fe80:0:0:0:0:0:0:1]", "[fe80::1]"),
        ("http://[fe80::g]", "scheme://host"),
        ("http://[1:2]", "not a valid IPv6 address"),
    ],
)
def test_rejected(origin: str, instead: str) -> None:
    with pytest.raises(ValueError, match=re.escape(instead)):
        check_origin(origin)


labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
hosts = st.one_of(
    st.lists(labels, min_size=1, max_size=4).map(".".join),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{ipaddress.IPv6Address(address).compressed}]"),
    st.lists(labels, min_size=1, max_size=3).map(lambda parts: "*." + ".".join(parts)),
)
# Without the schemes' default ports.
ports = st.one_of(st.just(""), st.integers(1, 65535).filter(lambda port: port not in (80, 443)).map(":{}".format))
origins = st.builds("{}://{}{}".format, st.sampled_from(["http", "https"]), hosts, ports)
near_misses = st.text(alphabet="htps:/*.a-1[]@?#, \n\t\"'A%\\^", max_size=20).map("http://a{}".format)


def browser_could_send(origin: str) -> bool:
    """The URL standard's origin serialization for http(s), as an independent rule."""
    web = r"https?://(\*\.)?([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?"
    return (
        re.fullmatch(web, origin) is not None
        or re.fullmatch(r"[a-z-]+://[A-Za-z0-9._-]+(:[0-9]+)?", origin) is not None
    )


def ollama_starts_with(value: str) -> bool:
    """The rules of gin-contrib/cors 1.7.2, which panics on anything else, for each entry between commas."""
    return all(
        entry.count("*") <= 1 and (entry.startswith(("http://", "https://")) or "*" in entry)
        for entry in value.split(",")
    )


@given(st.one_of(st.text(), near_misses, origins))
@example("http://a\n")
@example("http://a:²")
@example("http://\ud800")
@example("http://ß..x")
@example("http://a:" + "9" * 5000)
def test_any_text_is_returned_unchanged_or_rejected(text: str) -> None:
    try:
        returned = check_origin(text)
    except ValueError:
        return
    assert returned == text
    assert browser_could_send(text)
    assert ollama_starts_with(text)
    assert not text.endswith(("/", ":80") if text.startswith("http:") else ("/", ":443"))


@given(origins)
def test_every_origin_of_a_browser_is_accepted(origin: str) -> None:
    assert check_origin(origin) == origin


@given(origins, st.sampled_from(["{}/", "{}/chat", " {}", "{} ", "'{}'", '"{}"', "{}/?q=1"]), st.booleans())
def test_the_error_has_the_form_that_browsers_send(origin: str, slip: str, loud: bool) -> None:
    written = slip.format(origin.upper() if loud else origin)
    with pytest.raises(ValueError, match=re.escape(f'"{origin}"')):
        check_origin(written)


@given(st.lists(origins, max_size=5))
def test_ollama_starts_with_the_joined_list(listed: list[str]) -> None:
    value = ollama_origins(tuple(listed))
    assert [entry for entry in value.split(",") if entry] == listed
    assert not value or ollama_starts_with(value)


def matches(listed: tuple[str, ...], sent: str) -> bool:
    """Match like PCRE in httpd: unanchored search, with `$` only at the very end."""
    return re.search(re.sub(r"\$$", r"\\Z", httpd_pattern(listed)), sent) is not None


@given(st.lists(origins.filter(lambda origin: "*" not in origin), min_size=1, max_size=4))
def test_listed_origins_match_and_changed_ones_do_not(listed: list[str]) -> None:
    pattern = tuple(listed)
    for origin in listed:
        assert matches(pattern, origin)
        for changed in (f"{origin}/", f"{origin}.evil.com", f" {origin}", origin.upper(), f"x{origin}", f"{origin}\n"):
            assert not matches(pattern, changed)


@pytest.mark.parametrize(
    "sent",
    [
        "http://good.evil.com",
        "http://evil.com/http://good.example:85",
        "http://goodxexample:85",
        "http://good.example:85/",
        "http://good.example:86",
        "http://good.example:850",
        "http://good.example",
        "http://GOOD.example:85",
        "https://good.example:85",
        "http://good.example:85.evil.com",
        "http://notgood.example:85",
        "http://sub.good.example:85",
        "null",
        "",
    ],
)
def test_similar_origins_do_not_match(sent: str) -> None:
    assert matches(("http://good.example:85", "http://other"), "http://good.example:85")
    assert not matches(("http://good.example:85", "http://other"), sent)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("https://a.example.org", True),
        ("https://a.b-c.example.org", True),
        ("https://example.org", False),
        ("https://evilexample.org", False),
        ("https://.example.org", False),
        ("https://a..example.org", False),
        ("https://a.exampleXorg", False),
        ("https://evil.com/.example.org", False),
        ("https://evil.com:1.example.org", False),
        ("https://evil.com#.example.org", False),
        ("https://user@a.example.org", False),
        ("https://a.example.org.evil.com", False),
        ("https://a.example.org:8443", False),
        ("http://a.example.org", False),
    ],
)
def test_a_star_matches_whole_labels(sent: str, expected: bool) -> None:
    assert matches(("https://*.example.org",), sent) is expected


@given(st.one_of(st.text(), origins))
def test_an_empty_list_matches_nothing(sent: str) -> None:
    assert not matches((), sent)


def test_the_match_is_captured_whole() -> None:
    """httpd responds with `$1`, so the first group must be the whole origin."""
    match = re.search(httpd_pattern(("http://a", "https://*.b.c")), "https://x.y.b.c")
    assert match is not None
    assert match[1] == "https://x.y.b.c"


def test_an_invalid_internationalized_name_is_rejected() -> None:
    with pytest.raises(ValueError, match="host name"):
        check_origin("http://ß..x")


def test_a_port_with_non_ascii_digits_is_rejected() -> None:
    with pytest.raises(ValueError, match=r"port|scheme"):
        check_origin("http://a:²")
