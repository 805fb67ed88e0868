"""The Debian archive's current state: its signed indexes, and whether it serves the files that they list.

apt fetches the indexes and verifies their signatures, with the machine's mirrors and settings, in a
separate directory: the machine's own apt state is not changed, and root is not needed.
"""

from __future__ import annotations

import os
import re
import subprocess
import urllib.request
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import urllib3

from lab import mirrors, shell
from lab.errors import LabError

_HELPER = "/usr/lib/apt/apt-helper"
_INDEX_FORMAT = "$(CREATED_BY)\t$(RELEASE)\t$(REPO_URI)\t$(FILENAME)"
HEADERS = {"User-Agent": "hearth-lab"}
TIMEOUT = 20  # seconds for one request


@dataclass(frozen=True)
class File:
    """A file that an index lists. `size` is in bytes; `sha256` is "" if the index only has another kind of checksum."""

    name: str
    uri: str
    size: int
    sha256: str = ""


@dataclass(frozen=True)
class SourcePackage:
    """One version of a source package in one suite, with its upstream tarball."""

    suite: str
    version: str  # Debian's: "2.4.68-1~deb12u1"
    tarball: File

    @property
    def upstream(self) -> str:
        """The version that upstream gave it: "2.4.68"."""
        return re.sub(r"^\d+:", "", self.version).rsplit("-", 1)[0]


class Archive:
    """The indexes of some suites.

    Args:
        directory: where apt stores them; if it is reused, only changes are fetched.
        sources: a .sources text, see `mirrors.Mirrors.sources`.
        architecture: of the packages.
    """

    def __init__(self, directory: Path, sources: str, architecture: str = "amd64") -> None:
        self.directory = directory
        for name in ("lists/partial", "cache/archives/partial"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        (directory / "hearth.sources").write_text(sources)
        (directory / "status").write_text("")
        (directory / "apt.conf").write_text(mirrors.apt_options())
        self._env = {"APT_CONFIG": str(directory / "apt.conf"), "LC_ALL": "C.UTF-8"}
        self._options = [
            *("-q", "-o", f"Dir::State::Lists={directory / 'lists'}", "-o", f"Dir::Cache={directory / 'cache'}"),
            *("-o", f"Dir::State::status={directory / 'status'}", "-o", "Dir::Etc::sourceparts=/dev/null"),
            *("-o", f"Dir::Etc::sourcelist={directory / 'hearth.sources'}", "-o", "Acquire::Languages=none"),
            *("-o", f"APT::Architecture={architecture}", "-o", f"APT::Architectures={architecture}"),
            *("-o", "APT::Sandbox::User=root", "-o", f"Acquire::http::Timeout={TIMEOUT}"),
        ]

    def refresh(self) -> None:
        """Fetch the indexes. A suite that can't be fetched is left out; LabError if that is true of all."""
        done = self._run(["apt-get", *self._options, "update"], timeout=300)
        if not self._indexes():
            raise LabError(
                f"Could not fetch the indexes of the Debian archive:\n{done.stdout[-1500:]}{done.stderr[-1500:]}"
            )

    def source_packages(self, name: str) -> list[SourcePackage]:
        """All versions of a source package that the indexes list, suite by suite."""
        found: list[SourcePackage] = []
        for suite, base, file in self._indexes("Sources"):
            found += parse_sources(self._run([_HELPER, "cat-file", file], timeout=60).stdout, name, suite, base)
        return found

    def packages(self, names: Iterable[str], release: str = "") -> list[File]:
        """The files of these packages and of all their dependencies, as on an empty system.

        Args:
            names: packages, or apt's patterns ("?essential").
            release: the preferred suite (apt's -t).

        Raises:
            LabError: apt finds no solution; contains its message.
        """
        prefer = ["-t", release] if release else []
        words = ["--print-uris", "-y", "--no-install-recommends", *prefer, "install", *names]
        done = self._run(["apt-get", *self._options, *words], timeout=120)
        if done.returncode:
            raise LabError(done.stderr.strip()[-600:])
        return parse_uris(done.stdout)

    def _indexes(self, kind: str = "") -> list[tuple[str, str, str]]:
        """(suite, base address, file) of each index that was fetched, or of those of one kind."""
        done = self._run(["apt-get", *self._options, "indextargets", "--format", _INDEX_FORMAT], timeout=30)
        rows = [line.split("\t") for line in done.stdout.splitlines()]
        return [(suite, base, file) for made, suite, base, file in rows if not kind or made == kind]

    def _run(self, argv: Sequence[str], timeout: float) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, **self._env}
        try:
            return subprocess.run(
                argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, text=True, env=env
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LabError(f"The Debian archive did not respond: {error}") from error


def parse_sources(text: str, name: str, suite: str, base: str) -> list[SourcePackage]:
    """The versions of one source package in the text of a Sources index. `base`: the archive's address."""
    found = []
    for stanza in re.findall(rf"(?ms)^Package: {re.escape(name)}\n.*?(?=\n\n|\Z)", text):
        version = re.search(r"(?m)^Version: (\S+)", stanza)
        directory = re.search(r"(?m)^Directory: (\S+)", stanza)
        checksums = re.search(r"(?m)^Checksums-Sha256:[^\n]*\n((?: [^\n]*(?:\n|\Z))+)", stanza)
        if not (version and directory and checksums):
            continue
        for sha256, size, file in (line.split() for line in checksums[1].splitlines()):
            if re.search(r"\.orig\.tar\.\w+$", file):
                uri = f"{base.rstrip('/')}/{directory[1]}/{file}"
                found.append(SourcePackage(suite, version[1], File(file, uri, int(size), sha256)))
    return found


def parse_uris(text: str) -> list[File]:
    """Parse the output of `apt-get --print-uris`, one line per file: 'URI' name size checksum."""
    found = []
    for line in text.splitlines():
        row = re.match(r"'([^']+)' (\S+) (\d+)(?: SHA256:([0-9a-f]{64}))?", line)
        if row:
            found.append(File(row[2], row[1], int(row[3]), row[4] or ""))
    return found


def problem(file: File) -> str:
    """Why a file is not available, in a few words; "" if it is served with the size in the index."""
    return problem_at(file.uri, file.size)


def problem_at(uri: str, size: int | None = None) -> str:
    """Why an address is not available; "" if it is served, with that size if one is given. One HEAD request."""
    if urlsplit(uri).scheme not in ("http", "https"):
        return ""  # a mirror on a disk, which apt checks itself
    try:
        response = http(uri).request("HEAD", uri)
    except urllib3.exceptions.HTTPError as error:
        return f"no response ({error})"
    if response.status >= 400:
        return f"not served ({response.status})"
    length = response.headers.get("Content-Length")
    if size is not None and length is not None and int(length) != size:
        return f"served with {length} bytes instead of {size} as in the index"
    return ""


@cache
def _client(proxy: str) -> urllib3.PoolManager:
    """A client that reuses connections, since there are a thousand requests to each server."""
    retries = urllib3.Retry(total=3, backoff_factor=0.3, status_forcelist=(500, 502, 503, 504), raise_on_status=False)
    timeout = urllib3.Timeout(total=TIMEOUT)
    if proxy:
        return urllib3.ProxyManager(proxy, maxsize=32, retries=retries, timeout=timeout, headers=HEADERS)
    return urllib3.PoolManager(maxsize=32, retries=retries, timeout=timeout, headers=HEADERS)


def http(uri: str) -> urllib3.PoolManager:
    """The client for that address, which uses apt's proxy or that of the environment."""
    scheme, host = urlsplit(uri).scheme, urlsplit(uri).hostname or ""
    if urllib.request.proxy_bypass(host):
        return _client("")
    return _client(_proxies().get(scheme, ""))


@cache
def _proxies() -> dict[str, str]:
    found = dict(urllib.request.getproxies())
    for line in mirrors.apt_options().splitlines():
        row = re.match(r'Acquire::(https?)::Proxy "(.*)";', line)
        if row and row[2] not in ("", "DIRECT"):
            found[row[1]] = row[2]
    return found


def download(file: File, target: Path, log: Path) -> None:
    """Fetch a file and check it against the index's checksum. Raises LabError if it is not served or differs."""
    checksum = [f"SHA256:{file.sha256}"] if file.sha256 else []
    options = ["-o", "APT::Sandbox::User=root", "-o", f"Acquire::http::Timeout={TIMEOUT}", "-o", "Acquire::Retries=2"]
    shell.run([_HELPER, *options, "download-file", file.uri, target, *checksum], log, timeout=300)
