"""The files with which a host uses its HTTP proxy, and what differs from them. Pure rules."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr

from hearth.paths import (
    HTTPD_GROUP,
    OUTBOUND,
    OUTBOUND_APT,
    OUTBOUND_APT_LOGIN,
    OUTBOUND_DIRECTORIES,
    OUTBOUND_DOCKER,
    OUTBOUND_HTTPD,
    OUTBOUND_OLLAMA,
    OUTBOUND_UNIT,
    SECRETS,
    TRUSTED_CA,
)
from hearth.settings.http_proxy import HttpProxy
from hearth.settings.model import Settings

# Path → mode and owner (numbers: user, group). Ollama's container is root without capabilities, httpd's is www-data.
RIGHTS = {
    OUTBOUND_APT: "644:0:0",
    OUTBOUND_APT_LOGIN: "600:0:0",
    OUTBOUND_UNIT: "644:0:0",
    OUTBOUND_DOCKER: "600:0:0",
    OUTBOUND_OLLAMA: "600:0:0",
    OUTBOUND_HTTPD: f"640:0:{HTTPD_GROUP}",
}
# Those that are read when the engine starts.
ENGINE_FILES = (OUTBOUND_UNIT, OUTBOUND_DOCKER)
DIRECTORIES = {
    SECRETS: "700:0:0",
    OUTBOUND: "700:0:0",
    OUTBOUND_DIRECTORIES["ollama"]: "700:0:0",
    OUTBOUND_DIRECTORIES["httpd"]: f"750:0:{HTTPD_GROUP}",
}
# Shell that prints which of the files exist, and the directory of CAs; nothing on a host without either.
OUTBOUND_TRACES = f"ls -d {' '.join(RIGHTS)} {TRUSTED_CA} 2>/dev/null"


@dataclass(frozen=True)
class Difference:
    """What has to change on a host.

    Attributes:
        write: files whose content or rights differ.
        remove: files that should not exist.
        directories: one is missing, or has other rights.
    """

    write: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    directories: bool = False

    def __bool__(self) -> bool:
        return bool(self.write or self.remove or self.directories)

    @property
    def changed(self) -> tuple[str, ...]:
        return (*self.write, *self.remove)


@dataclass(frozen=True)
class OutboundState:
    """The files on a host.

    Attributes:
        files: path → mode and owner, and SHA-256 (hex).
        directories: path → mode and owner.
        has_engine: Docker is installed.
    """

    files: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    directories: Mapping[str, str] = field(default_factory=dict)
    has_engine: bool = False


def proxy_files(settings: Settings, proxy: HttpProxy | None) -> dict[str, SecretStr]:
    """Path → content of all files that the settings require.

    Args:
        proxy: that of `host_http_proxy`.
    """
    if proxy is None:
        return {}
    direct = settings.host_no_proxy
    apt = [f'Acquire::{scheme}::Proxy "{proxy.address}";' for scheme in ("http", "https")]
    apt += [f'Acquire::{scheme}::Proxy::{host} "DIRECT";' for host in direct for scheme in ("http", "https")]
    url = proxy.url.get_secret_value()
    https = [f"HTTPS_PROXY={url}", *([f"NO_PROXY={','.join(direct)}"] if direct else [])]
    files = {
        OUTBOUND_APT: _lines("// Written by Hearth: host_http_proxy.", *apt),
        OUTBOUND_UNIT: _lines(
            "# Written by Hearth: host_http_proxy.", "[Service]", f"EnvironmentFile=-{OUTBOUND_DOCKER}"
        ),
        OUTBOUND_DOCKER: _lines(f"HTTP_PROXY={url}", *https),
    }
    if proxy.user:
        login = f"machine {proxy.address} login {proxy.user} password {proxy.password.get_secret_value()}"
        files[OUTBOUND_APT_LOGIN] = _lines(login)
    if settings.runs_ollama:
        # Never HTTP_PROXY: Ollama's own processes talk to each other over http.
        files[OUTBOUND_OLLAMA] = _lines(*https)
    if settings.uses_acme_proxy:
        files[OUTBOUND_HTTPD] = _lines(f'MDHttpProxy "{url}"')
    return files


def find_difference(state: OutboundState, wanted: Mapping[str, SecretStr]) -> Difference:
    """What differs on a host from the wanted files (path → content)."""
    return Difference(
        tuple(
            path
            for path, content in wanted.items()
            if state.files.get(path) != (RIGHTS[path], hashlib.sha256(content.get_secret_value().encode()).hexdigest())
        ),
        tuple(path for path in state.files if path not in wanted),
        directories=bool(wanted) and dict(state.directories) != DIRECTORIES,
    )


def _lines(*lines: str) -> SecretStr:
    return SecretStr("".join(f"{line}\n" for line in lines))
