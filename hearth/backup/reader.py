"""Reading a backup. Nothing is unpacked by name: members are read one by one, and only those that a backup has."""

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
    """A backup that was found whole: every member is there, has the digest that the manifest says, and nothing else."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest

    @classmethod
    def load(cls, path: Path, breathe: Callable[[], object] = lambda: None) -> Archive:
        """Read all of a backup once, gigabytes of models included.

        Args:
            breathe: called every megabyte or so, for what else the program has to do.

        Raises:
            BackupError: it is not whole, or was written by a newer Hearth.
        """
        try:
            with tarfile.open(path, mode="r:") as tar:
                members = tar.getmembers()
                manifest = _read_manifest(tar, members)
                _check_members(tar, members, manifest, breathe)
        except (tarfile.TarError, EOFError) as error:
            raise BackupError(f"{path} is no backup, or damaged: {error}") from None
        except OSError as error:
            raise BackupError(f"{path} can't be read: {error.strerror or error}") from None
        except BackupError as error:
            raise BackupError(f"{path} {error}") from None
        return cls(path, manifest)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the host, as names to primitives."""
        return with_current_names(json.loads(self.read(SETTINGS)))

    def names(self, directory: str) -> list[str]:
        """Members below a directory (`files/`), with it, sorted."""
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
        """A member, to be read piece by piece."""
        with tarfile.open(self.path, mode="r:") as tar:
            file = tar.extractfile(tar.getmember(check_member(name)))
            if file is None:
                raise BackupError(f"{name} is no file")
            yield file


def _read_manifest(tar: tarfile.TarFile, members: list[tarfile.TarInfo]) -> Manifest:
    found = [member for member in members if member.name == MANIFEST and member.isreg()]
    if len(found) != 1 or found[0].size > 64 << 20 or (file := tar.extractfile(found[0])) is None:
        raise BackupError(f"is no backup, or not whole: it has no {MANIFEST}, which comes last")
    try:
        document = json.loads(file.read())
        written = document["format"]
    except (ValueError, TypeError, KeyError):
        raise BackupError(f"is damaged: its {MANIFEST} can't be read") from None
    if written != FORMAT:
        raise BackupError(
            f"has format {written!r}, and this version of Hearth knows format {FORMAT}; "
            "a newer version of Hearth would be right (git pull)"
        )
    try:
        return Manifest.model_validate(document)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise BackupError(f"is damaged: {where} in its {MANIFEST} is not what it should be") from None


def _check_members(
    tar: tarfile.TarFile, members: list[tarfile.TarInfo], manifest: Manifest, breathe: Callable[[], object]
) -> None:
    names = [member.name for member in members if member.name != MANIFEST]
    for member in members:
        if not member.isreg():
            raise BackupError(f"is damaged or was tampered with: {member.name!r} is no file")
    for name in (*names, *manifest.members):
        try:
            check_member(name)
        except BackupError as error:
            raise BackupError(f"is damaged or was tampered with: {error}") from None
    if sorted(names) != sorted(manifest.members):
        differing = sorted(set(names) ^ set(manifest.members)) or ["something twice"]
        raise BackupError(f"is damaged: it and its {MANIFEST} do not agree about {', '.join(differing[:5])}")
    if SETTINGS not in manifest.members:
        raise BackupError(f"is damaged: it has no {SETTINGS}")
    for member in members:
        if member.name == MANIFEST:
            continue
        expected = manifest.members[member.name]
        digest = _digest(tar, member, breathe)
        if digest != expected.sha256 or member.size != expected.size:
            raise BackupError(f"is damaged: {member.name} is not what was written")
        if member.name.startswith("models/blobs/") and member.name.rpartition("-")[2] != digest:
            raise BackupError(f"is damaged: {member.name} is not the data its name says")


def _digest(tar: tarfile.TarFile, member: tarfile.TarInfo, breathe: Callable[[], object]) -> str:
    file = tar.extractfile(member)
    if file is None:
        raise BackupError(f"is damaged: {member.name} can't be read")
    digest = hashlib.sha256()
    while piece := file.read(1 << 20):
        digest.update(piece)
        breathe()
    return digest.hexdigest()
