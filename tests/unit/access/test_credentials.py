"""Valid passwords and API keys, and the files generated from them."""

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

from hearth.access.credential_files import API_KEYS_FILE, PROVIDERS_FILE, USERS_FILE, describe_changes, update_files
from hearth.access.credentials import (
    Credentials,
    ProviderKey,
    check_key,
    check_password,
    check_provider_key,
    read_credentials,
)
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
    ("text", "reason"),
    [
        ("seven77", "shorter than 8"),
        ("seven77\nand much more below", "shorter than 8"),
        (" begins with a space", "a space"),
        ("ends with one ", "a space"),
        ("\nsecond line", "shorter than 8"),
        ("with a\ttab", "can't be typed"),
        ("with \x00 nothing", "can't be typed"),
        ("x" * 73, "longer than 72 bytes"),
        ("ß" * 37, "longer than 72 bytes"),
    ],
)
def test_invalid_passwords(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        check_password(text)
    assert text.strip() not in str(caught.value)


@pytest.mark.parametrize("text", [KEY, f"{KEY}\n", "sk-proj-0/9+8_7-6.5~4=3!2", "0123456789" * 10])
def test_keys(text: str) -> None:
    assert check_key(text) == text.strip()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0123456789abcdefghi", "at least 20"),
        ("a" * 40, "at least 20"),
        ("ababababababababababab", "at least 20"),
        ("0123456789" * 60, "at least 20"),
        ("with a space in the middle", "a space"),
        ("kein-Schlüssel-mit-Umlaut", "not ASCII"),
        ("nb-4f0c86d1a2b37e5f\t9c08", "a space"),
    ],
)
def test_invalid_keys(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        check_key(text)
    assert text not in str(caught.value)


@given(st.text(min_size=1))
def test_any_text_from_a_source_is_accepted_or_rejected(text: str) -> None:
    for check in (check_password, check_key):
        message = ""
        try:
            assert "\n" not in check(text)
        except ValueError as error:
            message = str(error)
        assert not message or "first line" in message or "at least" in message


@pytest.fixture
def secret_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], dict[str, str]]:
    monkeypatch.setattr(secret_source, "_read", {})

    def make(name: str, content: str) -> dict[str, str]:
        path = tmp_path / name
        path.write_text(content)
        path.chmod(0o600)
        return {"file": str(path)}

    return make


def test_all_credentials_in_the_settings_are_read(make_settings: Make, secret_file: Any) -> None:
    settings = make_settings(
        proxy_access="users or api_keys",
        proxy_users={"anna": secret_file("anna", "the password\nnotes")},
        proxy_api_keys={"notebook": secret_file("notebook", KEY)},
    )
    credentials = read_credentials(settings)
    assert {name: secret.get_secret_value() for name, secret in credentials.users.items()} == {"anna": "the password"}
    assert {name: secret.get_secret_value() for name, secret in credentials.api_keys.items()} == {"notebook": KEY}
    assert "the password" not in f"{credentials} {credentials!r}"


def test_all_errors_are_reported_at_once_without_secrets(make_settings: Make, secret_file: Any) -> None:
    settings = make_settings(
        proxy_access="users or api_keys",
        proxy_users={"anna": secret_file("anna", "short!"), "ben": {"env": "HEARTH_NOBODY"}},
        proxy_api_keys={
            "a": secret_file("a", KEY),
            "b": secret_file("b", KEY),
            "c": secret_file("c", "guess me, if you can"),
        },
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
    assert "is not a valid password: the first line is shorter than 8 characters" in lines[0]
    assert "HEARTH_NOBODY is not set" in lines[1]
    assert "is not a valid API key" in lines[2]
    assert "the same key as a" in lines[3]
    assert not any(secret in str(caught.value) for secret in ("short!", KEY, "guess me"))


# --- Files ----------------------------------------------------------------------------------------


def credentials(users: dict[str, str] | None = None, api_keys: dict[str, str] | None = None) -> Credentials:
    return Credentials(
        {name: SecretStr(value) for name, value in (users or {}).items()},
        {name: SecretStr(value) for name, value in (api_keys or {}).items()},
    )


ANNA_AND_BEN = {"anna": "password of anna", "ben": "password of ben"}
FIRST = update_files({}, credentials(ANNA_AND_BEN, {"notebook": KEY, "editor": KEY[::-1]}))


def lines(contents: Any, name: str) -> list[str]:
    return list(contents[name].get_secret_value().splitlines())


def test_users_are_names_and_bcrypt_hashes() -> None:
    found = [line.split(":", 1) for line in lines(FIRST, USERS_FILE)]
    assert [name for name, _ in found] == ["anna", "ben"]
    for name, digest in found:
        assert digest.startswith("$2y$10$")
        assert bcrypt.checkpw(ANNA_AND_BEN[name].encode(), digest.encode())


def test_api_keys_are_hashes_with_one_salt() -> None:
    text = FIRST[API_KEYS_FILE].get_secret_value()
    assert KEY not in text
    assert KEY[::-1] not in text
    assert re.findall(r"PROGRAM=(\S+)$", text, re.MULTILINE) == ["editor", "notebook"]
    assert len(set(re.findall(r"sha1\('([0-9a-f]{32})' ", text))) == 1
    assert len(set(re.findall(r"== '([0-9a-f]{40})'", text))) == 2
    again = update_files({}, credentials(ANNA_AND_BEN, {"notebook": KEY, "editor": KEY[::-1]}))
    assert again[API_KEYS_FILE] != FIRST[API_KEYS_FILE], "the same key has a different hash on each host"


def test_unchanged_credentials_change_nothing() -> None:
    wanted = update_files(
        FIRST, credentials(dict(reversed(ANNA_AND_BEN.items())), {"editor": KEY[::-1], "notebook": KEY})
    )
    assert wanted == FIRST
    assert describe_changes(FIRST, wanted) == []


def test_only_changed_credentials_get_a_new_hash() -> None:
    wanted = update_files(
        FIRST, credentials(ANNA_AND_BEN | {"ben": "another password"}, {"notebook": KEY, "editor": KEY[1:] + "x"})
    )
    assert lines(wanted, USERS_FILE)[0] == lines(FIRST, USERS_FILE)[0]
    assert lines(wanted, USERS_FILE)[1] != lines(FIRST, USERS_FILE)[1]
    assert [line in lines(FIRST, API_KEYS_FILE) for line in lines(wanted, API_KEYS_FILE)] == [True, True, False, True]
    assert describe_changes(FIRST, wanted) == [
        "ben has a new password; httpd applies it at once",
        "editor has a new key; httpd reloads gracefully, nothing is cut",
    ]


def test_new_and_removed_users_are_reported() -> None:
    wanted = update_files(
        FIRST, credentials({"anna": "password of anna", "carl": "password of carl"}, {"a": KEY, "b": f"{KEY}b"})
    )
    assert describe_changes(FIRST, wanted) == [
        "carl is new and ben loses access; httpd applies it at once",
        "a and b are new and editor and notebook lose access; httpd reloads gracefully, nothing is cut",
    ]
    nobody = update_files(wanted, credentials())
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
def test_manual_edits_are_corrected(edited: str) -> None:
    present = {USERS_FILE: SecretStr(edited), API_KEYS_FILE: SecretStr("# salt x\nLoadModule evil evil.so\n")}
    wanted = update_files(present, credentials({"anna": "password of anna"}, {"notebook": KEY}))
    (line,) = lines(wanted, USERS_FILE)
    assert bcrypt.checkpw(b"password of anna", line.partition(":")[2].encode())
    assert "evil" not in wanted[API_KEYS_FILE].get_secret_value()
    assert describe_changes(present, wanted)


def test_an_edit_without_a_changed_name_or_hash_is_reported_by_its_file() -> None:
    present = FIRST | {USERS_FILE: SecretStr(FIRST[USERS_FILE].get_secret_value() + "\n# mine\n")}
    wanted = update_files(present, credentials(ANNA_AND_BEN, {"notebook": KEY, "editor": KEY[::-1]}))
    assert wanted == FIRST
    assert describe_changes(present, wanted) == [
        "secrets/httpd/people was changed on the host; httpd applies it at once"
    ]


@hypothesis_settings(max_examples=20)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200))
def test_any_existing_content_is_replaced(text: str) -> None:
    present = {USERS_FILE: SecretStr(text), API_KEYS_FILE: SecretStr(text)}
    wanted = update_files(present, credentials({}, {"notebook": KEY}))
    assert re.fullmatch(r"(#.*\n)+SetEnvIfExpr \"[^\"]*\" PROGRAM=notebook\n", wanted[API_KEYS_FILE].get_secret_value())


PROVIDER = {"url": "https://api.openai.com/v1", "key": {"env": "PAID"}}


def provider_credentials(**urls: str) -> Credentials:
    keys = {name: ProviderKey(f"{name} {url}", "openai", SecretStr(f"sk-of-{name}")) for name, url in urls.items()}
    return Credentials(providers=keys)


def test_file_of_providers_keys() -> None:
    files = update_files({}, provider_credentials(openai="https://api.openai.com/v1"))
    assert files[PROVIDERS_FILE].get_secret_value().splitlines()[1:] == [
        '<Location "/">',
        '  RequestHeader set Authorization "Bearer sk-of-openai" '
        "\"expr=reqenv('PROVIDER') == 'openai https://api.openai.com/v1'\"",
        "</Location>",
    ]
    assert PROVIDERS_FILE not in update_files({}, Credentials())
    assert update_files(files, Credentials())[PROVIDERS_FILE].get_secret_value() == ""


def test_changes_of_providers_are_described_without_their_keys() -> None:
    none: dict[str, SecretStr] = update_files({}, Credentials())
    one = update_files({}, provider_credentials(a="https://a.example/v1"))
    moved = update_files({}, provider_credentials(a="https://a.example/v2", b="https://b.example/v1"))
    effect = "httpd reloads gracefully, nothing is cut"
    assert describe_changes(none, one) == [f"the provider a is new; {effect}"]
    assert describe_changes(one, moved) == [
        f"the provider b is new and the provider a has a new key or address; {effect}"
    ]
    assert describe_changes(moved, update_files(moved, Credentials())) == [
        f"the provider a and the provider b are no longer used; {effect}"
    ]


@pytest.mark.parametrize(
    "key", ["short", "sk-with space", 'sk-with"quote', "sk-with%percent", "sk-ä-not-ascii", "sk-$HOME-x"]
)
def test_invalid_keys_of_providers(key: str) -> None:
    with pytest.raises(ValueError, match="the first line is not") as caught:
        check_provider_key(key)
    assert key not in str(caught.value)


def test_a_client_does_not_get_a_providers_key(make_settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_source, "_read", {})
    monkeypatch.setenv("PAID", KEY)
    settings = make_settings(
        proxy_access="users or api_keys",
        proxy_users={"anna": {"env": "PAID"}},
        proxy_api_keys={"notebook": {"env": "PAID"}},
        proxy_providers={"openai": PROVIDER},
    )
    with pytest.raises(SourceError, match=r"the same key as proxy_api_keys\[notebook\]"):
        read_credentials(settings)
