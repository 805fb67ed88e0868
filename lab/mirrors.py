"""The origin of Debian packages: the machine's own mirrors, with the lab's suite.

The lab has no mirror addresses. The guest, the builder and the images use the mirrors of this machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from lab import shell
from lab.errors import LabError

SUITE = "trixie"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"  # at this path on the machine and in every root we build
_NEW_KEYRING = "/usr/share/keyrings/debian-archive-keyring.pgp"
_CODENAMES = {"bullseye", "bookworm", "trixie", "forky", "sid", "oldstable", "stable", "testing", "unstable"}
_CARRIED = (
    "Acquire::Check-Valid-Until",
    "Acquire::Check-Date",
    "Acquire::http::Proxy",
    "Acquire::https::Proxy",
)


@dataclass(frozen=True)
class Entry:
    """One (URI, suite) of an apt source, with its keyring."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""


@dataclass(frozen=True)
class Mirrors:
    """The archive and, where the machine has one, the security archive."""

    main: Entry
    security: Entry | None = None

    def sources(self, suite: str = SUITE, updates: bool = True) -> str:
        """A deb822 .sources text for `suite`, with its updates and security suites unless `updates` is false."""
        if not updates:
            return _stanzas("deb", [(self.main, suite)])
        pairs = [(self.main, f"{suite} {suite}-updates")]
        if self.security:
            pairs.append((self.security, f"{suite}-security"))
        return _stanzas("deb", pairs)

    def source_indexes(self, suites: Iterable[str]) -> str:
        """The same for the source packages of several suites, security suites among them."""
        security = [suite for suite in suites if suite.endswith("-security")]
        pairs = [(self.main, " ".join(suite for suite in suites if suite not in security))]
        if self.security and security:
            pairs.append((self.security, " ".join(security)))
        return _stanzas("deb-src", pairs)


def _stanzas(types: str, pairs: Iterable[tuple[Entry, str]]) -> str:
    # Debian 13's path of the keyring does not exist in Debian 12, and these sources go into roots of both.
    return "\n".join(
        f"Types: {types}\nURIs: {entry.uri}\nSuites: {suites}\nComponents: main\n"
        f"Signed-By: {KEYRING if entry.signed_by in ('', _NEW_KEYRING) else entry.signed_by}\n"
        for entry, suites in pairs
    )


def parse_deb822(text: str) -> list[Entry]:
    """The enabled `deb` entries of a .sources file."""
    entries = []
    for stanza in re.split(r"\n\s*\n", re.sub(r"(?m)^#.*\n?", "", text)):
        fields = {
            name.lower(): value.strip()
            for name, value in re.findall(r"(?m)^([\w-]+):((?:.*\n?)(?:[ \t]+.*\n?)*)", stanza)
        }
        if fields.get("enabled", "yes").lower() in {"no", "false", "0"} or "deb" not in fields.get("types", "").split():
            continue
        signed_by = fields.get("signed-by", "")
        if "\n" in signed_by:  # a key written out in the file keeps the deb822 continuation form
            signed_by = "\n" + "\n".join(f" {line.strip()}" for line in signed_by.splitlines())
        entries += [
            Entry(uri, suite, tuple(fields.get("components", "").split()), signed_by)
            for uri in fields.get("uris", "").split()
            for suite in fields.get("suites", "").split()
        ]
    return entries


def parse_one_line(text: str) -> list[Entry]:
    """The `deb` entries of a sources.list."""
    entries = []
    for line in text.splitlines():
        found = re.match(r"\s*deb\s+(?:\[([^]]*)]\s+)?(\S+)\s+(\S+)\s*([^#]*)", line)
        if found:
            options = dict(word.split("=", 1) for word in (found[1] or "").split() if "=" in word)
            entries.append(Entry(found[2], found[3], tuple(found[4].split()), options.get("signed-by", "")))
    return entries


def choose(entries: Iterable[Entry]) -> Mirrors:
    """Debian's own archive and security archive among all the entries; LabError if there is none."""
    ours = [e for e in entries if "main" in e.components and _base(e.suite) in _CODENAMES and _is_debian(e)]
    main = [e for e in ours if e.suite in _CODENAMES]
    security = [e for e in ours if e.suite.endswith(("-security", "/updates"))]
    if not main:
        raise LabError(
            "No Debian archive found in /etc/apt: the lab builds from the mirrors of the machine it runs on."
        )
    return Mirrors(main[0], security[0] if security else None)


def of_this_machine(etc: Path = Path("/etc/apt")) -> Mirrors:
    """The mirrors in the machine's apt configuration."""
    entries: list[Entry] = []
    for path in sorted((etc / "sources.list.d").glob("*.sources")):
        entries += parse_deb822(path.read_text())
    for path in [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*.list"))]:
        if path.exists():
            entries += parse_one_line(path.read_text())
    return choose(entries)


def apt_options() -> str:
    """This machine's apt settings that decide whether its mirrors work (proxy, date checks), as apt.conf text."""
    lines = []
    for name in _CARRIED:
        value = shell.read(["apt-config", "shell", "value", name]).strip()
        if value.startswith("value='"):
            lines.append(f'{name} "{value[7:-1]}";')
    return "".join(f"{line}\n" for line in lines)


def _base(suite: str) -> str:
    return re.split(r"[-/]", suite)[0]


def _is_debian(entry: Entry) -> bool:
    folder = urlsplit(entry.uri).path.rstrip("/").rsplit("/", 1)[-1]
    return "debian-archive" in entry.signed_by or folder in {"debian", "debian-security"}
