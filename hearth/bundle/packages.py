"""Debian packages for another host: resolved, downloaded and verified by apt, in a directory of its own.

apt checks the archive's signature with Debian's key, and each file with the checksums in the signed index. The
computer's own apt state is only read, and root is not needed.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from hearth.host.platform import Platform

_KEYRINGS = ("/usr/share/keyrings/debian-archive-keyring.pgp", "/usr/share/keyrings/debian-archive-keyring.gpg")


class PackageError(Exception):
    """apt is missing or failed; the message gives the reason."""


def find_mirrors() -> tuple[str, str]:
    """Debian's archive and its security archive, as this computer's apt uses them; "" for one that it does not use."""
    _require_apt()
    format_ = "$(LABEL)|$(REPO_URI)"
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", format_, "Created-By: Packages", "Origin: Debian"],
        capture_output=True,
        text=True,
        check=False,
    )
    found: dict[str, str] = {}
    for label, _, uri in (line.partition("|") for line in done.stdout.splitlines()):
        found.setdefault(label, uri)
    return found.get("Debian", ""), found.get("Debian-Security", "")


class Apt:
    """apt for a platform, in a private directory.

    Args:
        directory: keeps indexes and downloads between runs.
        platform: of the hosts.
        archive: URL of Debian's archive.
        security: URL of its security archive, or "".
        docker: URL of Docker's repository for that platform, or "" if Debian's packages are used.
    """

    def __init__(self, directory: Path, platform: Platform, archive: str, security: str, docker: str) -> None:
        _require_apt()
        keyring = next((path for path in _KEYRINGS if Path(path).exists()), "")
        if not keyring:
            raise PackageError(
                "Debian's key is missing, which its packages are verified with; `sudo apt-get install "
                "debian-archive-keyring` installs it"
            )
        self._directory = directory
        self._docker = docker
        for name in ("lists/partial", "archives/partial"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        release = platform.codename
        lines = [f"deb [signed-by={keyring}] {archive} {suite} main" for suite in (release, f"{release}-updates")]
        if security:
            lines.append(f"deb [signed-by={keyring}] {security} {release}-security main")
        if docker:
            lines.append(f"deb [signed-by={directory / 'docker.asc'}] {docker} {release} stable")
        (directory / "sources.list").write_text("\n".join(lines) + "\n")
        (directory / "status").write_text("")
        options = {
            "Dir::State::lists": directory / "lists",
            "Dir::State::status": directory / "status",
            "Dir::Cache": directory,
            "Dir::Cache::archives": directory / "archives",
            "Dir::Etc::sourcelist": directory / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "Acquire::Languages": "none",
            "Acquire::Retries": 3,
            "Acquire::http::Timeout": 60,
            "APT::Architecture": platform.architecture,
            "APT::Architectures": platform.architecture,
            # The directory need not be readable for apt's own user.
            "APT::Sandbox::User": "root",
        }
        self._options = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]

    def update(self) -> None:
        """Read the package lists.

        Raises:
            PackageError: could not read an index, or its signature is not valid.
        """
        if self._docker:
            key = self._directory / "docker.asc"
            self._run("/usr/lib/apt/apt-helper", "download-file", f"{self._docker}/gpg", str(key))
        self._run("apt-get", *self._options, "-qq", "-o", "APT::Update::Error-Mode=any", "update")

    def size(self, packages: Sequence[str]) -> tuple[int, int]:
        """Files and bytes of the packages and of what they depend on, as on an empty system."""
        output = self._run("apt-get", *self._options, "-qq", "--print-uris", *_install(packages))
        sizes = [int(line.split()[2]) for line in output.splitlines() if line.startswith("'")]
        return len(sizes), sum(sizes)

    def download(self, packages: Sequence[str]) -> list[Path]:
        """Download the files that are missing, with apt's own progress; the paths of all.

        Raises:
            PackageError: apt failed.
        """
        words = ["apt-get", *self._options, "-q", "--download-only", *_install(packages)]
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as apt:
            assert apt.stdout is not None
            for line in apt.stdout:
                if line.startswith(("Get:", "Err:", "Fetched ")):
                    print(f"  {line.rstrip()}", flush=True)
        if apt.returncode:
            raise PackageError("apt could not download the packages (see above); run the same command again to resume")
        archives = self._directory / "archives"
        simulated = self._run("apt-get", *self._options, "-qq", "--simulate", *_install(packages))
        selected = set()
        for line in simulated.splitlines():
            if found := re.match(r"Inst (\S+) \((\S+) .*\[(\w+)\]\)", line):
                name, version, architecture = found.groups()
                selected.add(f"{name.partition(':')[0]}_{version.replace(':', '%3a')}_{architecture}.deb")
        missing = [name for name in selected if not (archives / name).is_file()]
        if missing or not selected:
            raise PackageError(f"apt did not download {', '.join(missing) or 'anything'}")
        return [archives / name for name in sorted(selected)]

    def _run(self, *words: str) -> str:
        done = subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise PackageError(done.stderr.strip()[-1500:] or f"{words[0]} failed with exit code {done.returncode}")
        return done.stdout


def _install(packages: Sequence[str]) -> list[str]:
    return ["-y", "--no-install-recommends", "install", *packages]


def member_name(path: Path) -> str:
    """`packages/passwd_4.17.4-2_arm64.deb`, without the epoch, as in Debian's archive."""
    return f"packages/{re.sub(r'_[0-9]+%3a', '_', path.name)}"


def index(paths: Sequence[Path]) -> bytes:
    """apt's index (`Packages`) of some packages, with SHA-256."""
    stanzas = []
    for path in paths:
        control = subprocess.run(["dpkg-deb", "--field", path], capture_output=True, text=True, check=True).stdout
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        name = member_name(path).removeprefix("packages/")
        stanzas.append(f"{control.rstrip()}\nFilename: ./{name}\nSize: {path.stat().st_size}\nSHA256: {digest}\n")
    return "\n".join(stanzas).encode()


def _require_apt() -> None:
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise PackageError(
            "a bundle is made with apt, which this computer does not have. Run the command on a Debian or Ubuntu, or "
            "in a container of one, with this directory mounted"
        )
