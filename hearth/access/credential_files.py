"""httpd's files of users and API clients, which contain only hashes, and of providers' keys. Pure rules.

people          name and bcrypt hash, for mod_authn_file, which reads it for each request with a password
programs.conf   a salted hash of each key, included in httpd.conf when that is loaded
providers.conf  the keys of providers in the internet as they are, since httpd sends them; included likewise

Users can remember passwords, so their hash is slow on purpose. Keys are random and too long to be guessed, so a fast
hash is enough; SHA-1 is the best that httpd's expressions offer, and can't be reversed for random keys.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping

import bcrypt
from pydantic import SecretStr

from hearth.access.credentials import Credentials, ProviderKey
from hearth.paths import HTTPD_PROVIDERS_FILE, HTTPD_SECRET_FILES
from hearth.runtime.text import join_words

USERS_FILE, API_KEYS_FILE = HTTPD_SECRET_FILES
PROVIDERS_FILE = HTTPD_PROVIDERS_FILE
FILES = (*HTTPD_SECRET_FILES, PROVIDERS_FILE)
# What includes them reads them when httpd loads its configuration.
RELOADED_FILES = (API_KEYS_FILE, PROVIDERS_FILE)
# bcrypt's cost: a check takes about 80 ms of one core of an ordinary computer.
_COST = 10
_USER = re.compile(r"([^:\n]+):(\$2y\$[0-9]{2}\$[./A-Za-z0-9]{53})")
_SALT = re.compile(r"^# salt ([0-9a-f]{32})$", re.MULTILINE)
_API_KEY = re.compile(r"== '([0-9a-f]{40})'\)?\" PROGRAM=(\S+)")
_PROVIDER_KEY = re.compile(r"(RequestHeader set .+ == '(\S+) \S+'\")")
_HEAD = "# Written by Hearth. Salted hashes of API keys: they verify a key, and don't reveal it.\n"

# File → content; "" or no entry if it is missing.
Contents = Mapping[str, SecretStr]


def update_files(present: Contents, credentials: Credentials) -> dict[str, SecretStr]:
    """The files' new content. The hash of an unchanged password or key stays the same. Without providers, their file is
    only emptied: no host has it that never had any."""
    files = {
        USERS_FILE: SecretStr(_users(_text(present, USERS_FILE), credentials.users)),
        API_KEYS_FILE: SecretStr(_api_keys(_text(present, API_KEYS_FILE), credentials.api_keys)),
    }
    if credentials.providers or PROVIDERS_FILE in present:
        files[PROVIDERS_FILE] = SecretStr(_provider_keys(credentials.providers))
    return files


# Of users and API clients, and of providers.
_GONE = (("loses access", "lose access"), ("is no longer used", "are no longer used"))


def describe_changes(present: Contents, wanted: Contents) -> list[str]:
    """A sentence for each file that changes: who is new, has a new password or key, or was removed."""
    sentences = []
    for file, noun, effect in (
        (USERS_FILE, "password", "httpd applies it at once"),
        (API_KEYS_FILE, "key", "httpd reloads gracefully, nothing is cut"),
        (PROVIDERS_FILE, "key or address", "httpd reloads gracefully, nothing is cut"),
    ):
        if _text(present, file) == _text(wanted, file):
            continue
        old, new = (_names(file, _text(contents, file)) for contents in (present, wanted))
        parts = [
            *_part([name for name in new if name not in old], "is new", "are new"),
            *_part(
                [name for name in new if name in old and old[name] != new[name]],
                f"has a new {noun}",
                f"have new {noun}s",
            ),
            *_part([name for name in old if name not in new], *_GONE[file == PROVIDERS_FILE]),
        ]
        sentences.append(f"{join_words(parts) if parts else f'secrets/httpd/{file} was changed on the host'}; {effect}")
    return sentences


def _part(names: list[str], one: str, several: str) -> list[str]:
    return [f"{join_words(names)} {one if len(names) == 1 else several}"] if names else []


def _text(contents: Contents, file: str) -> str:
    return contents[file].get_secret_value() if file in contents else ""


def _names(file: str, text: str) -> dict[str, str]:
    """Name → hash."""
    if file == USERS_FILE:
        return dict(match.groups() for line in text.splitlines() if (match := _USER.fullmatch(line)))  # type: ignore[misc]
    if file == PROVIDERS_FILE:
        return {f"the provider {name}": key for key, name in _PROVIDER_KEY.findall(text)}
    return {name: digest for digest, name in _API_KEY.findall(text)}


def _users(text: str, users: Mapping[str, SecretStr]) -> str:
    known = _names(USERS_FILE, text)
    lines = []
    for name, secret in sorted(users.items()):
        password = secret.get_secret_value().encode()
        digest = known.get(name, "")
        if not _is_hash_of(password, digest):
            # The same algorithm, with the prefix that every version of httpd supports.
            digest = bcrypt.hashpw(password, bcrypt.gensalt(_COST)).decode().replace("$2b$", "$2y$", 1)
        lines.append(f"{name}:{digest}\n")
    return "".join(lines)


def _is_hash_of(password: bytes, digest: str) -> bool:
    try:
        return digest.startswith(f"$2y${_COST}$") and bcrypt.checkpw(password, digest.encode())
    except ValueError:  # an invalid hash
        return False


def _api_keys(text: str, api_keys: Mapping[str, SecretStr]) -> str:
    if not api_keys:
        return ""
    match = _SALT.search(text)
    salt = match[1] if match else secrets.token_hex(16)
    lines = []
    for name, secret in sorted(api_keys.items()):
        digest = hashlib.sha1(f"{salt}{secret.get_secret_value()}".encode()).hexdigest()
        # As OpenAI's clients send it, and as Anthropic's do.
        checks = " || ".join(
            f"({sent} && sha1('{salt}' . $1) == '{digest}')"
            for sent in ("%{HTTP:Authorization} =~ m#^Bearer +([!-~]+)$#i", "%{HTTP:X-Api-Key} =~ m#^([!-~]+)$#")
        )
        lines.append(f'SetEnvIfExpr "{checks}" PROGRAM={name}\n')
    return f"{_HEAD}# salt {salt}\n{''.join(lines)}"


def _provider_keys(providers: Mapping[str, ProviderKey]) -> str:
    """A directive for each key, for requests with the mark of its provider. Included at the end of httpd.conf, since
    the sections before it remove these headers; in a section as well, since directives outside would come first."""
    if not providers:
        return ""
    lines = []
    for _, one in sorted(providers.items()):
        key = one.key.get_secret_value()
        header = f'X-Api-Key "{key}"' if one.api == "anthropic" else f'Authorization "Bearer {key}"'
        lines.append(f"  RequestHeader set {header} \"expr=reqenv('PROVIDER') == '{one.mark}'\"\n")
    head = "# Written by Hearth. Keys that httpd adds to requests to providers."
    return f'{head}\n<Location "/">\n{"".join(lines)}</Location>\n'
