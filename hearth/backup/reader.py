"""Reading a backup. Nothing is unpacked by name: only known members are read, one by one."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from hearth.backup.manifest import FORMAT, MANIFEST, SETTINGS, BackupError, Manifest, check_member
from hearth.settings.renamed import with_current_names


class Archive:
    """A verified backup: exactly the members in the manifest, with their digests."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest

    @classmethod
    def load(cls, path: Path, breathe: Callable[[], object] = lambda: None) -> Archive:
        """Read all of a backup once, gigabytes of models included.

        Args:
            breathe: called about every megabyte, so that other tasks can run.

        Raises:
            BackupError: it is incomplete or damaged, or from a newer Hearth.
        """
        try:
            with tarfile.open(path, mode="r:") as tar:
                members = tar.getmembers()
                manifest = _read_manifest(tar, members)
                _check_members(tar, members, manifest, breathe)
        except (tarfile.TarError, EOFError) as error:
            raise BackupError(f"{path} is not a backup, or is damaged: {error}") from None
        except OSError as error:
            raise BackupError(f"could not read {path}: {error.strerror or error}") from None
        except BackupError as error:
            raise BackupError(f"{path} {error}") from None
        return cls(path, manifest)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the host: name → primitive."""
        return with_current_names(json.loads(self.read(SETTINGS)))

    def names(self, directory: str) -> list[str]:
        """Full names of the members in a directory (`files/`), sorted."""
        return sorted(name for name in self.manifest.members if name.startswith(directory))

    def read(self, name: str) -> bytes:
        """The content of a small member."""
        with self.open(name) as file:
            return file.read()

    def tree(self) -> dict[str, bytes]:
        """The files of /opt/hearth: path relative to it → content."""
        return {name.removeprefix("files/"): self.read(name) for name in self.names("files/")}

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """A member, as a stream."""
        with tarfile.open(self.path, mode="r:") as tar:
            file = tar.extractfile(tar.getmember(check_member(name)))
            if file is None:
                raise BackupError(f"{name} is not a file")
            yield file


def _read_manifest(tar: tarfile.TarFile, members: list[tarfile.TarInfo]) -> Manifest:
    found = [member for member in members if member.name == MANIFEST and member.isreg()]
    if len(found) != 1 or found[0].size > 64 << 20 or (file := tar.extractfile(found[0])) is None:
        raise BackupError(f"is not a backup, or is incomplete: it has no {MANIFEST}, which comes last")
    try:
        document = json.loads(file.read())
        written = document["format"]
    except (ValueError, TypeError, KeyError):
        raise BackupError(f"is damaged: its {MANIFEST} is not readable") from None
    if written != FORMAT:
        raise BackupError(
            f"has format {written!r}, and this version of Hearth supports format {FORMAT}; use a newer version of "
            "Hearth (git pull)"
        )
    try:
        return Manifest.model_validate(document)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise BackupError(f"is damaged: {where} in its {MANIFEST} is invalid") from None


def _check_members(
    tar: tarfile.TarFile, members: list[tarfile.TarInfo], manifest: Manifest, breathe: Callable[[], object]
) -> None:
    names = [member.name for member in members if member.name != MANIFEST]
    for member in members:
        if not member.isreg():
            raise BackupError(f"is damaged or was tampered with: {member.name!r} is not a file")
    for name in (*names, *manifest.members):
        try:
            check_member(name)
        except BackupError as error:
            raise BackupError(f"is damaged or was tampered with: {error}") from None
    if sorted(names) != sorted(manifest.members):
        differing = sorted(set(names) ^ set(manifest.members)) or ["duplicates"]
        raise BackupError(f"is damaged: it does not match its {MANIFEST}: {', '.join(differing[:5])}")
    if SETTINGS not in manifest.members:
        raise BackupError(f"is damaged: it has no {SETTINGS}")
    for member in members:
        if member.name == MANIFEST:
            continue
        expected = manifest.members[member.name]
        digest = _digest(tar, member, breathe)
        if digest != expected.sha256 or member.size != expected.size:
            raise BackupError(f"is damaged: {member.name} does not match its checksum")
        if member.name.startswith("models/blobs/") and member.name.rpartition("-")[2] != digest:
            raise BackupError(f"is damaged: {member.name} does not match its name")


def _digest(tar: tarfile.TarFile, member: tarfile.TarInfo, breathe: Callable[[], object]) -> str:
    file = tar.extractfile(member)
    if file is None:
        raise BackupError(f"is damaged: {member.name} is not readable")
    digest = hashlib.sha256()
    while piece := file.read(1 << 20):
        digest.update(piece)
        breathe()
    return digest.hexdigest()
