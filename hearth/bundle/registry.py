"""Registries of images and models: the parts of the distribution specification that a download needs.

https://github.com/opencontainers/distribution-spec. Everything is checked against its digest.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hearth.bundle.manifest import BundledImage

_HUB = "https://registry-1.docker.io"
_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_TIMEOUT = 60  # seconds without a byte
_RETRIES = 5
_LIMIT = 16 << 20  # bytes of a manifest
_PIECE = 1 << 20
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class RegistryError(Exception):
    """A registry does not have something, or does not respond; the message gives the reason."""


class Registry:
    """A client, without a login: registries that ask for a token give one to anybody."""

    def __init__(self) -> None:
        self._tokens: dict[str, str] = {}

    def manifest(self, url: str) -> bytes:
        """A manifest.

        Raises:
            RegistryError: it is not available.
        """
        try:
            with self._open(url, {"Accept": ", ".join([*_INDEXES, *_MANIFESTS])}) as response:
                content: bytes = response.read(_LIMIT)
        except (OSError, http.client.HTTPException) as error:
            raise RegistryError(f"{_server(url)}: {_reason(error)}") from None
        return content

    def image(self, repository: str, tag: str, architecture: str) -> tuple[BundledImage, bytes]:
        """An image for Linux on that architecture, and its manifest.

        Args:
            repository: URL: `https://registry-1.docker.io/v2/library/httpd`.

        Raises:
            RegistryError: it is not available.
        """
        text = self.manifest(f"{repository}/manifests/{tag}")
        try:
            document = json.loads(text)
            if "manifests" in document:
                digest = _choose(document["manifests"], architecture)
                text = _checked(self.manifest(f"{repository}/manifests/{digest}"), digest)
                document = json.loads(text)
            layers = document["layers"]
            return BundledImage(
                manifest=f"sha256:{hashlib.sha256(text).hexdigest()}",
                media_type=document.get("mediaType") or _MANIFESTS[0],
                config=_digest(document["config"]),
                layers=tuple(_digest(layer) for layer in layers),
                size=len(text) + sum(int(part["size"]) for part in [document["config"], *layers]),
            ), text
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RegistryError(f"{_server(repository)} sent no valid manifest ({error!r})") from None

    def fetch(self, url: str, path: Path, report: Callable[[int], object], wait: Callable[[float], object]) -> None:
        """Download a blob, whose digest its URL ends with, and resume what an earlier run left.

        Args:
            path: appears when it is complete and matches the digest.
            report: called with the number of bytes added.
            wait: sleeps that many seconds before a retry.

        Raises:
            RegistryError: it is not available.
        """
        digest, partial = url.rpartition("/")[2], path.with_name(f"{path.name}.partial")
        failure: Exception = RegistryError("no attempt")
        for attempt in range(_RETRIES + 1):
            if attempt:
                wait(2.0**attempt)
            try:
                self._resume(url, partial, report)
                if _sha256(partial) == digest.removeprefix("sha256:"):
                    partial.rename(path)
                    return
                report(-partial.stat().st_size)
                partial.unlink()
                failure = RegistryError(f"what it sent for {digest[:19]}… does not match its digest")
            except urllib.error.HTTPError as error:
                failure = error
                if error.code < 500 and error.code not in (408, 416, 429):
                    break
                if error.code == 416:  # nothing after the end: it was complete, or it is another file
                    partial.unlink(missing_ok=True)
            except (OSError, http.client.HTTPException) as error:
                failure = error
        raise RegistryError(f"{_server(url)}: {_reason(failure)}; run the same command again to resume")

    def _resume(self, url: str, partial: Path, report: Callable[[int], object]) -> None:
        begun = partial.stat().st_size if partial.exists() else 0
        with self._open(url, {"Range": f"bytes={begun}-"} if begun else {}) as response:
            appends = begun and response.status == 206
            if begun and not appends:
                report(-begun)
            length = response.headers.get("Content-Length")
            received = 0
            with partial.open("ab" if appends else "wb") as file:
                while piece := response.read(_PIECE):
                    file.write(piece)
                    received += len(piece)
                    report(len(piece))
            if length is not None and received < int(length):
                raise OSError(f"the connection was closed after {received} of {length} bytes")

    def _open(self, url: str, headers: dict[str, str]) -> Any:
        scope = url.partition("/manifests/")[0].partition("/blobs/")[0]
        request = urllib.request.Request(url, headers={"User-Agent": "hearth", **headers})
        if token := self._tokens.get(scope):
            # Not sent on to where a blob is redirected.
            request.add_unredirected_header("Authorization", f"Bearer {token}")
        try:
            return urllib.request.urlopen(request, timeout=_TIMEOUT)
        except urllib.error.HTTPError as error:
            if error.code != 401 or token or not (challenge := error.headers.get("WWW-Authenticate", "")):
                raise
            self._tokens[scope] = self._token(challenge)
        return self._open(url, headers)

    def _token(self, challenge: str) -> str:
        fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        if not challenge.lower().startswith("bearer") or "realm" not in fields:
            raise OSError("it requires a login, which a bundle can't be made with")
        query = urllib.parse.urlencode({name: fields[name] for name in ("service", "scope") if name in fields})
        with urllib.request.urlopen(f"{fields['realm']}?{query}", timeout=_TIMEOUT) as response:
            answer = json.loads(response.read(_LIMIT))
        return str(answer.get("token") or answer["access_token"])


def repositories(reference: str, mirrors: tuple[str, ...]) -> tuple[list[str], str]:
    """URLs of an image's repositories, in the order in which Docker would try them, and its tag."""
    name, _, tag = reference.rpartition(":")
    first, _, rest = name.partition("/")
    if rest and ("." in first or ":" in first or first == "localhost"):
        if first in ("docker.io", "index.docker.io"):
            name = rest
        else:
            scheme = "http" if first.partition(":")[0] in ("localhost", "127.0.0.1") else "https"
            return [f"{scheme}://{first}/v2/{rest}"], tag
    path = name if "/" in name else f"library/{name}"
    return [f"{server.rstrip('/')}/v2/{path}" for server in (*mirrors, _HUB)], tag


def _choose(manifests: list[dict[str, Any]], architecture: str) -> str:
    for one in manifests:
        platform = one.get("platform") or {}
        if (platform.get("os"), platform.get("architecture")) == ("linux", architecture):
            return _digest(one)
    raise RegistryError(f"the image does not exist for {architecture}")


def _digest(part: dict[str, Any]) -> str:
    digest = str(part["digest"])
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"{digest!r} is not a digest")
    return digest


def _checked(content: bytes, digest: str) -> bytes:
    if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
        raise ValueError(f"a manifest does not match its digest {digest}")
    return content


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _server(url: str) -> str:
    return urllib.parse.urlsplit(url).netloc


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        known = {401: "it requires a login", 403: "it denies access", 404: "it does not have it"}
        return f"{known.get(error.code, 'it refuses')} ({error.code})"
    if isinstance(error, urllib.error.URLError):
        return str(getattr(error.reason, "strerror", None) or error.reason)
    return str(error) or type(error).__name__


def sleep(seconds: float) -> None:
    """The usual wait before a retry."""
    time.sleep(seconds)
