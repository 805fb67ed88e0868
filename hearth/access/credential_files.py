"""The files by which httpd knows users and API clients, made so that nobody is known from them. Pure rules.

people          name and bcrypt hash, for mod_authn_file, which reads it with each request that has a password
programs.conf   a salted hash of each key, included into httpd.conf when that is read

Passwords are what people can remember, so their hash is slow on purpose. Keys are made by chance and too long to be
guessed, and a fast hash is enough; SHA-1 is the best that httpd's expressions have, and nobody could turn it round.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping

import bcrypt
from pydantic import SecretStr

from hearth.access.credentials import Credentials
from hearth.paths import HTTPD_SECRET_FILES
from hearth.runtime.text import join_words

PEOPLE, PROGRAMS = FILES = HTTPD_SECRET_FILES
# Doublings of work per check: some 80 ms of one core of an ordinary computer.
_COST = 10
_PERSON = re.compile(r"([^:\n]+):(\$2y\$[0-9]{2}\$[./A-Za-z0-9]{53})")
_SALT = re.compile(r"^# salt ([0-9a-f]{32})$", re.MULTILINE)
_PROGRAM = re.compile(r"== '([0-9a-f]{40})'\" PROGRAM=(\S+)")
_HEAD = "# Written by Hearth. Hashes of API keys: who holds a key is known by it, and no key is known from it.\n"

# File → content; "" or nothing where it is not there.
Contents = Mapping[str, SecretStr]


def renew(present: Contents, callers: Credentials) -> dict[str, SecretStr]:
    """What the files should be. Where a password or key is the one that it was, its hash stays what it was."""
    return {
        PEOPLE: SecretStr(_people(_text(present, PEOPLE), callers.users)),
        PROGRAMS: SecretStr(_programs(_text(present, PROGRAMS), callers.api_keys)),
    }


def about(present: Contents, wanted: Contents) -> list[str]:
    """A sentence for each file that changes: who is new, who has another password or key, and who is gone."""
    sentences = []
    for file, noun, effect in (
        (PEOPLE, "password", "httpd sees it at once"),
        (PROGRAMS, "key", "httpd reloads gracefully, nothing is cut"),
    ):
        if _text(present, file) == _text(wanted, file):
            continue
        old, new = (_names(file, _text(contents, file)) for contents in (present, wanted))
        parts = [
            *_part([name for name in new if name not in old], "is new", "are new"),
            *_part(
                [name for name in new if name in old and old[name] != new[name]],
                f"has another {noun}",
                f"have other {noun}s",
            ),
            *_part([name for name in old if name not in new], "is let in no more", "are let in no more"),
        ]
        sentences.append(f"{join_words(parts) if parts else f'secrets/httpd/{file} was changed on the host'}; {effect}")
    return sentences


def _part(names: list[str], one: str, several: str) -> list[str]:
    return [f"{join_words(names)} {one if len(names) == 1 else several}"] if names else []


def _text(contents: Contents, file: str) -> str:
    return contents[file].get_secret_value() if file in contents else ""


def _names(file: str, text: str) -> dict[str, str]:
    """Name → hash."""
    if file == PEOPLE:
        return dict(match.groups() for line in text.splitlines() if (match := _PERSON.fullmatch(line)))  # type: ignore[misc]
    return {name: digest for digest, name in _PROGRAM.findall(text)}


def _people(text: str, people: Mapping[str, SecretStr]) -> str:
    known = _names(PEOPLE, text)
    lines = []
    for name, secret in sorted(people.items()):
        password = secret.get_secret_value().encode()
        digest = known.get(name, "")
        if not _is_hash_of(password, digest):
            # The same algorithm under the name that every version of httpd knows.
            digest = bcrypt.hashpw(password, bcrypt.gensalt(_COST)).decode().replace("$2b$", "$2y$", 1)
        lines.append(f"{name}:{digest}\n")
    return "".join(lines)


def _is_hash_of(password: bytes, digest: str) -> bool:
    try:
        return digest.startswith(f"$2y${_COST}$") and bcrypt.checkpw(password, digest.encode())
    except ValueError:  # it only looks like one
        return False


def _programs(text: str, programs: Mapping[str, SecretStr]) -> str:
    if not programs:
        return ""
    match = _SALT.search(text)
    salt = match[1] if match else secrets.token_hex(16)
    lines = []
    for name, secret in sorted(programs.items()):
        digest = hashlib.sha1(f"{salt}{secret.get_secret_value()}".encode()).hexdigest()
        lines.append(
            f'SetEnvIfExpr "%{{HTTP:Authorization}} =~ m#^Bearer +([!-~]+)$#i && '
            f"sha1('{salt}' . $1) == '{digest}'\" PROGRAM={name}\n"
        )
    return f"{_HEAD}# salt {salt}\n{''.join(lines)}"
