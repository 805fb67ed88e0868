"""Whether the Python package index still has pinned files. pip knows where the index is; no address stands here."""

from __future__ import annotations

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
    """A pinned package: any file with one of these SHA-256 sums will do."""

    name: str
    version: str
    sums: frozenset[str]


def pins(requirements: str) -> list[Pin]:
    """Those of a requirements file with hashes."""
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
    """Why nothing of a pinned package can be had; "" when one of its files is served."""
    address = urljoin(_index(), f"{re.sub(r'[-_.]+', '-', pin.name).lower()}/")
    kinds = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"
    try:
        answer = archive.http(address).request(
            "GET", address, headers={"Accept": kinds, "Accept-Encoding": "gzip", **archive.HEADERS}
        )
    except urllib3.exceptions.HTTPError as error:
        return f"no answer from the index ({error})"
    if answer.status != 200:
        return f"the index answers {answer.status}"
    kind = answer.headers.get("Content-Type", "").partition(";")[0]
    files = _files(answer.data.decode(), kind)
    fitting = [url for url, sha256 in files if sha256 in pin.sums]
    if not fitting:
        return f"the index has {len(files)} files, and none with a pinned checksum"
    return archive.problem_at(urljoin(address, fitting[0]))


def _files(text: str, kind: str) -> list[tuple[str, str]]:
    """(address, SHA-256) of each file of an answer of the index, in either of its two forms."""
    if kind.endswith("json"):
        return [(file["url"], file["hashes"].get("sha256", "")) for file in json.loads(text)["files"]]
    return re.findall(r'href="([^"#]+)#sha256=([0-9a-f]{64})"', text)


@cache
def _index() -> str:
    """The index that pip is set up with; always ends in a slash."""
    address = os.environ.get("PIP_INDEX_URL", "")
    if not address:
        try:
            address = shell.read([sys.executable, "-m", "pip", "config", "get", "global.index-url"]).strip()
        except LabError:  # pip says so by failing where none is set
            ask = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
            address = shell.read([sys.executable, "-c", ask]).strip()
    return f"{address.rstrip('/')}/"
