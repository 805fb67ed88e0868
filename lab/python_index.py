"""Check that the Python package index still serves pinned files. Its address comes from pip's settings."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urljoin

import urllib3

from lab import archive, shell
from lab.errors import LabError


@dataclass(frozen=True)
class Pin:
    """A pinned package: any file with one of these SHA-256 sums is accepted."""

    name: str
    version: str
    sums: frozenset[str]


def pins(requirements: str) -> list[Pin]:
    """The pinned packages of a requirements file with hashes."""
    found = []
    joined = requirements.replace("\\\n", " ")
    for line in joined.splitlines():
        row = re.match(r"([\w.-]+)==([^\s;]+)", line)
        if row:
            found.append(Pin(row[1], row[2], frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", line))))
    return found


def of_files(files: Iterable[Path]) -> list[Pin]:
    """All pins of several requirements files, each once."""
    return list({(pin.name, pin.version): pin for file in files for pin in pins(file.read_text())}.values())


def problem(pin: Pin) -> str:
    """Why no file of a pinned package is available; "" if one is served."""
    try:
        return archive.problem_at(_locate(pin))
    except LabError as error:
        return str(error)


def fetch(pin: Pin, target: Path) -> None:
    """Write a pinned file to `target`. pip would run the setup of a source package to download it, which may compile.

    Raises:
        LabError: it is not available, or its checksum differs.
    """
    try:
        address = _locate(pin)
        response = archive.http(address).request("GET", address, headers=archive.HEADERS)
    except (LabError, urllib3.exceptions.HTTPError) as error:
        raise LabError(f"{pin.name} {pin.version} could not be fetched: {error}") from None
    if response.status != 200:
        raise LabError(f"{pin.name} {pin.version}: the index responds with {response.status}")
    if hashlib.sha256(response.data).hexdigest() not in pin.sums:
        raise LabError(f"{pin.name} {pin.version}: the checksum of the file in the index is not the pinned one")
    target.write_bytes(response.data)


def _locate(pin: Pin) -> str:
    """The address of one of its files. LabError if the index has none."""
    address = urljoin(_index(), f"{re.sub(r'[-_.]+', '-', pin.name).lower()}/")
    kinds = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"
    try:
        response = archive.http(address).request(
            "GET", address, headers={"Accept": kinds, "Accept-Encoding": "gzip", **archive.HEADERS}
        )
    except urllib3.exceptions.HTTPError as error:
        raise LabError(f"no response from the index ({error})") from None
    if response.status != 200:
        raise LabError(f"the index responds with {response.status}")
    kind = response.headers.get("Content-Type", "").partition(";")[0]
    files = _files(response.data.decode(), kind)
    matching = [url for url, sha256 in files if sha256 in pin.sums]
    if not matching:
        raise LabError(f"the index has {len(files)} files, none with a pinned checksum")
    return urljoin(address, matching[0])


def _files(text: str, kind: str) -> list[tuple[str, str]]:
    """(address, SHA-256) of each file in a response of the index, in either of its two formats."""
    if kind.endswith("json"):
        return [(file["url"], file["hashes"].get("sha256", "")) for file in json.loads(text)["files"]]
    return re.findall(r'href="([^"#]+)#sha256=([0-9a-f]{64})"', text)


@cache
def _index() -> str:
    """pip's configured index; always ends in a slash."""
    address = os.environ.get("PIP_INDEX_URL", "")
    if not address:
        try:
            address = shell.read([sys.executable, "-m", "pip", "config", "get", "global.index-url"]).strip()
        except LabError:  # pip fails if none is configured
            code = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
            address = shell.read([sys.executable, "-c", code]).strip()
    return f"{address.rstrip('/')}/"
