"""Reading a backup or a bundle. Nothing is unpacked by name: only known members are read, one by one."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, ClassVar, Self

from pydantic import ValidationError

from hearth.backup.manifest import (
    FORMAT,
    MANIFEST,
    SETTINGS,
    BackupError,
    Contents,
    Manifest,
    check_member,
    digest_in_name,
)
from hearth.settings.renamed import with_current_names


class ArchiveFile:
    """A verified file: exactly the members in the manifest, with their digests."""

    manifest_type: ClassVar[type[Contents]]
    manifest: Contents

    def __init__(self, path: Path, manifest: Contents) -> None:
        self.path = path
        self.manifest = manifest

    @classmethod
    def load(cls, path: Path, breathe: Callable[[], object] = lambda: None) -> Self:
        """Read all of a file once, gigabytes of models included.

        Args:
            breathe: called about every megabyte, so that other tasks can run.

        Raises:
            BackupError: it is incomplete or damaged, or from a newer Hearth.
        """
        try:
            with tarfile.open(path, mode="r:") as tar:
                members = tar.getmembers()
                manifest = _read_manifest(tar, members, cls.manifest_type)
                _check_members(tar, members, manifest, breathe)
        except (tarfile.TarError, EOFError) as error:
            raise BackupError(f"{path} is not a {cls.manifest_type.KIND}, or is damaged: {error}") from None
        except OSError as error:
            raise BackupError(f"could not read {path}: {error.strerror or error}") from None
        except BackupError as error:
            raise BackupError(f"{path} {error}") from None
        return cls(path, manifest)

    def names(self, directory: str) -> list[str]:
        """Full names of the members in a directory (`files/`), sorted."""
        return sorted(name for name in self.manifest.members if name.startswith(directory))

    def read(self, name: str) -> bytes:
        """The content of a small member."""
        with self.open(name) as file:
            return file.read()

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """A member, as a stream."""
        with tarfile.open(self.path, mode="r:") as tar:
            file = tar.extractfile(tar.getmember(check_member(name)))
            if file is None:
                raise BackupError(f"{name} is not a file")
            yield file


class Archive(ArchiveFile):
    """A verified backup."""

    manifest_type = Manifest
    manifest: Manifest

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the host: name → primitive."""
        return with_current_names(json.loads(self.read(SETTINGS)))

    def tree(self) -> dict[str, bytes]:
        """The files of /opt/hearth: path relative to it → content."""
        return {name.removeprefix("files/"): self.read(name) for name in self.names("files/")}


def _read_manifest(tar: tarfile.TarFile, members: list[tarfile.TarInfo], kind: type[Contents]) -> Contents:
    found = [member for member in members if member.name == MANIFEST and member.isreg()]
    if len(found) != 1 or found[0].size > 64 << 20 or (file := tar.extractfile(found[0])) is None:
        raise BackupError(f"is not a {kind.KIND}, or is incomplete: it has no {MANIFEST}, which comes last")
    try:
        document = json.loads(file.read())
        written, found_kind = document["format"], document.get("kind", "backup")
    except (AttributeError, ValueError, TypeError, KeyError):
        raise BackupError(f"is damaged: its {MANIFEST} is not readable") from None
    if found_kind != kind.KIND:
        raise BackupError(f"is a {found_kind}, not a {kind.KIND}")
    if written != FORMAT:
        raise BackupError(
            f"has format {written!r}, and this version of Hearth supports format {FORMAT}; use a newer version of "
            "Hearth (git pull)"
        )
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise BackupError(f"is damaged: {where} in its {MANIFEST} is invalid") from None


def _check_members(
    tar: tarfile.TarFile, members: list[tarfile.TarInfo], manifest: Contents, breathe: Callable[[], object]
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
    for name in manifest.REQUIRED:
        if name not in manifest.members:
            raise BackupError(f"is damaged: it has no {name}")
    for member in members:
        if member.name == MANIFEST:
            continue
        expected = manifest.members[member.name]
        digest = _digest(tar, member, breathe)
        if digest != expected.sha256 or member.size != expected.size:
            raise BackupError(f"is damaged: {member.name} does not match its checksum")
        if digest_in_name(member.name) not in ("", digest):
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
