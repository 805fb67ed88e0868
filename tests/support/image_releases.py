"""Renew `hearth/preflight/image_releases.json`: releases of httpd and Ollama, and the vulnerabilities that each fixed.

    python -m tests.support.image_releases --ollama CLONE --vulnerabilities CLONE

The clones are of github.com/ollama/ollama (its tags have the dates) and github.com/golang/vulndb, which records
Ollama's vulnerabilities. httpd's are read from Debian's package apache2, which `apt-get download` fetches from the
machine's own mirror: upstream's changelog names the vulnerabilities, and Debian's has the days. A release that Debian
skipped gets the day of the next one.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import subprocess
import tempfile
from datetime import date
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from hearth.preflight import image_releases

SINCE = "2024-01-01"
_CVE = re.compile(r"CVE-\d{4}-\d{4,}")
_MODULE = "github.com/ollama/ollama"

Releases = dict[str, dict[str, Any]]


def httpd_releases(changes: str, debian_changelog: str) -> Releases:
    """The releases of httpd, the newest first.

    Args:
        changes: upstream's changelog.
        debian_changelog: of Debian's package.
    """
    days = {}
    for entry in re.split(r"(?m)^(?=apache2 \()", debian_changelog):
        head = re.match(r"apache2 \(([\d.]+)-", entry)
        trailer = re.search(r"(?m)^ -- .*>  (.+)$", entry)
        if head and trailer:
            # Later entries of the same version are Debian's own; the oldest one, which comes last, counts.
            days[image_releases.parse_version(head[1])] = parsedate_to_datetime(trailer[1]).date().isoformat()
    found: Releases = {}
    for section in re.split(r"(?m)^Changes with Apache ", changes)[1:]:
        version = section.split()[0]
        day = min((day for one, day in days.items() if one >= image_releases.parse_version(version)), default="")
        if day >= SINCE:
            found[version] = {"day": day, "fixes": sorted(set(re.findall(rf"SECURITY: ({_CVE.pattern})", section)))}
    return found


def ollama_releases(tags: str, reports: list[dict[str, Any]]) -> Releases:
    """The releases of Ollama.

    Args:
        tags: lines of "v0.17.1 2026-02-24".
        reports: of the vulnerability database, in OSV's format.
    """
    found: Releases = {}
    for line in tags.splitlines():
        tag, day = line.split()
        if re.fullmatch(r"v[\d.]+", tag) and day >= SINCE:
            found[tag[1:]] = {"day": day, "fixes": []}
    for report in reports:
        names = [name for name in report.get("aliases", []) if _CVE.fullmatch(name)] or [report["id"]]
        for affected in report["affected"]:
            if affected["package"]["name"] != _MODULE:
                continue
            for event in (event for one in affected["ranges"] for event in one["events"]):
                if (version := event.get("fixed", "")) in found:
                    found[version]["fixes"] += names
    order = sorted(found, key=image_releases.parse_version, reverse=True)
    return {version: found[version] | {"fixes": sorted(set(found[version]["fixes"]))} for version in order}


def _output(*words: str, directory: Path | None = None) -> str:
    return subprocess.run(words, cwd=directory, capture_output=True, text=True, check=True).stdout


def _httpd_changelogs() -> tuple[str, str]:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o777)  # apt downloads as its own user
        _output("apt-get", "download", "apache2", directory=directory)
        [package] = directory.glob("*.deb")
        _output("dpkg-deb", "-x", str(package), str(directory / "tree"))
        documents = directory / "tree/usr/share/doc/apache2"
        changes, debian = ((documents / one).read_bytes() for one in ("changelog.gz", "changelog.Debian.gz"))
        return gzip.decompress(changes).decode(), gzip.decompress(debian).decode()


def main() -> None:
    """Write the list."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ollama", type=Path, required=True, metavar="CLONE")
    parser.add_argument("--vulnerabilities", type=Path, required=True, metavar="CLONE")
    options = parser.parse_args()
    form = "--format=%(refname:short) %(creatordate:short)"
    tags = _output("git", "for-each-ref", form, "refs/tags/v*", directory=options.ollama)
    paths = _output("git", "grep", "-l", f'"{_MODULE}"', "HEAD", "--", "data/osv", directory=options.vulnerabilities)
    reports = [json.loads(_output("git", "show", path, directory=options.vulnerabilities)) for path in paths.split()]
    content = {
        "checked": date.today().isoformat(),
        "httpd": httpd_releases(*_httpd_changelogs()),
        "ollama": ollama_releases(tags, reports),
    }
    target = Path(image_releases.__file__).with_name("image_releases.json")
    text = json.dumps(content, indent=1)
    # A release a line.
    text = re.sub(r"\{\s+(\"day\": \"[\d-]+\"),\s+\"fixes\": \[([^\]]*)\]\s+\}", _one_line, text)
    target.write_text(f"{text}\n", encoding="utf-8")


def _one_line(found: re.Match[str]) -> str:
    fixes = ", ".join(found[2].replace(",", " ").split())
    return f'{{{found[1]}, "fixes": [{fixes}]}}' if fixes else f"{{{found[1]}}}"


if __name__ == "__main__":
    main()
