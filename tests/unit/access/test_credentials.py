"""Users and API clients: what they may have for passwords and keys, and the files that are made of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import SecretStr

from hearth.access.credential_files import PEOPLE, PROGRAMS, about, renew
from hearth.access.credentials import Credentials, check_key, check_password, read_credentials
from hearth.settings import secret_source
from hearth.settings.model import Settings
from hearth.settings.secret_source import SourceError

Make = Callable[..., Settings]
KEY = "nb-4f0c86d1a2b37e5f9c08"


@pytest.mark.parametrize(
    ("text", "password"),
    [
        ("eight888", "eight888"),
        ("with spaces and ß", "with spaces and ß"),
        ("first line\nurl: example.org\n", "first line"),
        ("from windows\r\n", "from windows"),
        ("a\u0308hnliches", "ähnliches"),
        ("colons: too:", "colons: too:"),
    ],
)
def test_passwords(text: str, password: str) -> None:
    assert check_password(text) == password


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("seven77", "fewer than 8"),
        ("seven77\nand much more below", "fewer than 8"),
        (" begins with a space", "a space"),
        ("ends with one ", "a space"),
        ("\nsecond line", "fewer than 8"),
        ("with a\ttab", "can't be typed"),
        ("with \x00 nothing", "can't be typed"),
        ("x" * 73, "more than 72 bytes"),
        ("ß" * 37, "more than 72 bytes"),
    ],
)
def test_what_is_no_password(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        check_password(text)
    assert text.strip() not in str(caught.value)


@pytest.mark.parametrize("text", [KEY, f"{KEY}\n", "sk-proj-0/9+8_7-6.5~4=3!2", "0123456789" * 10])
def test_keys(text: str) -> None:
    assert check_key(text) == text.strip()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0123456789abcdefghi", "at least 20"),
        ("a" * 40, "at least 20"),
        ("ababababababababababab", "at least 20"),
        ("0123456789" * 60, "at least 20"),
        ("with a space in the midst", "a space"),
        ("kein-Schlüssel-mit-Umlaut", "beyond those of ASCII"),
        ("nb-4f0c86d1a2b37e5f\t9c08", "a space"),
    ],
)
def test_what_is_no_key(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        check_key(text)
    assert text not in str(caught.value)


@given(st.text(min_size=1))
def test_whatever_comes_from_a_source_is_used_or_refused_with_a_sentence(text: str) -> None:
    for check in (check_password, check_key):
        said = ""
        try:
            assert "\n" not in check(text)
        except ValueError as error:
            said = str(error)
        assert not said or "first line" in said or "at least" in said


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], dict[str, str]]:
    monkeypatch.setattr(secret_source, "_read", {})

    def make(name: str, content: str) -> dict[str, str]:
        path = tmp_path / name
        path.write_text(content)
        path.chmod(0o600)
        return {"file": str(path)}

    return make


def test_all_that_the_settings_name_is_read(make_settings: Make, place: Any) -> None:
    settings = make_settings(
        proxy_access="users or api_keys",
        proxy_users={"anna": place("anna", "the password\nnotes")},
        proxy_api_keys={"notebook": place("notebook", KEY)},
    )
    callers = read_credentials(settings)
    assert {name: secret.get_secret_value() for name, secret in callers.users.items()} == {"anna": "the password"}
    assert {name: secret.get_secret_value() for name, secret in callers.api_keys.items()} == {"notebook": KEY}
    assert "the password" not in f"{callers} {callers!r}"


def test_all_that_is_wrong_is_told_at_once_with_settings_and_without_secrets(make_settings: Make, place: Any) -> None:
    settings = make_settings(
        proxy_access="users or api_keys",
        proxy_users={"anna": place("anna", "short!"), "ben": {"env": "HEARTH_NOBODY"}},
        proxy_api_keys={"a": place("a", KEY), "b": place("b", KEY), "c": place("c", "guess me, if you can")},
    )
    with pytest.raises(SourceError) as caught:
        read_credentials(settings)
    lines = str(caught.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "proxy_users[anna]",
        "proxy_users[ben]",
        "proxy_api_keys[c]",
        "proxy_api_keys[b]",
    ]
    assert "gives what is no password: its first line has fewer than 8 characters" in lines[0]
    assert "HEARTH_NOBODY is not set" in lines[1]
    assert "gives what is no API key" in lines[2]
    assert "the same key as a" in lines[3]
    assert not any(secret in str(caught.value) for secret in ("short!", KEY, "guess me"))


# --- Files ----------------------------------------------------------------------------------------


def known(people: dict[str, str] | None = None, programs: dict[str, str] | None = None) -> Credentials:
    return Credentials(
        {name: SecretStr(value) for name, value in (people or {}).items()},
        {name: SecretStr(value) for name, value in (programs or {}).items()},
    )


ANNA_AND_BEN = {"anna": "password of anna", "ben": "password of ben"}
FIRST = renew({}, known(ANNA_AND_BEN, {"notebook": KEY, "editor": KEY[::-1]}))


def lines(contents: Any, name: str) -> list[str]:
    return list(contents[name].get_secret_value().splitlines())


def test_people_are_names_and_bcrypt_hashes() -> None:
    found = [line.split(":", 1) for line in lines(FIRST, PEOPLE)]
    assert [name for name, _ in found] == ["anna", "ben"]
    for name, digest in found:
        assert digest.startswith("$2y$10$")
        assert bcrypt.checkpw(ANNA_AND_BEN[name].encode(), digest.encode())


def test_programs_are_hashes_with_one_salt_and_no_key() -> None:
    text = FIRST[PROGRAMS].get_secret_value()
    assert KEY not in text
    assert KEY[::-1] not in text
    assert re.findall(r"PROGRAM=(\S+)$", text, re.MULTILINE) == ["editor", "notebook"]
    assert len(set(re.findall(r"sha1\('([0-9a-f]{32})' ", text))) == 1
    assert len(set(re.findall(r"== '([0-9a-f]{40})'", text))) == 2
    again = renew({}, known(ANNA_AND_BEN, {"notebook": KEY, "editor": KEY[::-1]}))
    assert again[PROGRAMS] != FIRST[PROGRAMS], "on another host the same key has another hash"


def test_nothing_changes_while_passwords_and_keys_are_the_same() -> None:
    wanted = renew(FIRST, known(dict(reversed(ANNA_AND_BEN.items())), {"editor": KEY[::-1], "notebook": KEY}))
    assert wanted == FIRST
    assert about(FIRST, wanted) == []


def test_only_what_changed_has_another_hash() -> None:
    wanted = renew(FIRST, known(ANNA_AND_BEN | {"ben": "another password"}, {"notebook": KEY, "editor": KEY[1:] + "x"}))
    assert lines(wanted, PEOPLE)[0] == lines(FIRST, PEOPLE)[0]
    assert lines(wanted, PEOPLE)[1] != lines(FIRST, PEOPLE)[1]
    assert [line in lines(FIRST, PROGRAMS) for line in lines(wanted, PROGRAMS)] == [True, True, False, True]
    assert about(FIRST, wanted) == [
        "ben has another password; httpd sees it at once",
        "editor has another key; httpd reloads gracefully, nothing is cut",
    ]


def test_who_comes_and_who_goes_is_said() -> None:
    wanted = renew(FIRST, known({"anna": "password of anna", "carl": "password of carl"}, {"a": KEY, "b": f"{KEY}b"}))
    assert about(FIRST, wanted) == [
        "carl is new and ben is let in no more; httpd sees it at once",
        "a and b are new and editor and notebook are let in no more; httpd reloads gracefully, nothing is cut",
    ]
    nobody = renew(wanted, known())
    assert [content.get_secret_value() for content in nobody.values()] == ["", ""]


@pytest.mark.parametrize(
    "edited",
    [
        "anna:$2y$05$" + "x" * 53,
        "anna:$2y$10$" + "x" * 53,
        "anna:{SHA}nothing",
        "eve:$2y$10$" + "x" * 53,
        "\x00\xff nonsense",
        "anna:",
        "",
    ],
)
def test_what_somebody_wrote_there_is_put_right(edited: str) -> None:
    present = {PEOPLE: SecretStr(edited), PROGRAMS: SecretStr("# salt x\nLoadModule evil evil.so\n")}
    wanted = renew(present, known({"anna": "password of anna"}, {"notebook": KEY}))
    (line,) = lines(wanted, PEOPLE)
    assert bcrypt.checkpw(b"password of anna", line.partition(":")[2].encode())
    assert "evil" not in wanted[PROGRAMS].get_secret_value()
    assert about(present, wanted)


def test_an_edit_that_changes_no_name_nor_hash_is_named_by_its_file() -> None:
    present = FIRST | {PEOPLE: SecretStr(FIRST[PEOPLE].get_secret_value() + "\n# mine\n")}
    wanted = renew(present, known(ANNA_AND_BEN, {"notebook": KEY, "editor": KEY[::-1]}))
    assert wanted == FIRST
    assert about(present, wanted) == ["secrets/httpd/people was changed on the host; httpd sees it at once"]


@hypothesis_settings(max_examples=20)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200))
def test_whatever_is_there_the_files_are_made(text: str) -> None:
    present = {PEOPLE: SecretStr(text), PROGRAMS: SecretStr(text)}
    wanted = renew(present, known({}, {"notebook": KEY}))
    assert re.fullmatch(r"(#.*\n)+SetEnvIfExpr \"[^\"]*\" PROGRAM=notebook\n", wanted[PROGRAMS].get_secret_value())
