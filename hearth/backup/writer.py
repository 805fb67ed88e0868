"""Writing a backup or a bundle."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TypeVar

from hearth.backup.manifest import FORMAT, MANIFEST, BackupError, Contents, Manifest, Member, check_member

AnyContents = TypeVar("AnyContents", bound=Contents)


class Source(Protocol):
    """A readable stream of bytes."""

    def read(self, size: int, /) -> bytes: ...


class Hashed:
    """A source that counts and hashes the bytes read from it."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._digest = hashlib.sha256()
        self.size = 0

    def read(self, size: int) -> bytes:
        data = self._source.read(size)
        self._digest.update(data)
        self.size += len(data)
        return data

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


class Writer:
    """Writes a file under a temporary name, mode 0600, until `finish` renames it. Otherwise it is removed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_name(f".{path.name}.partial")
        self._members: dict[str, Member] = {}

    def __enter__(self) -> Writer:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.fdopen(os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        self._tar = tarfile.open(fileobj=self._file, mode="w")
        return self

    def add(self, name: str, size: int, source: Source) -> Member:
        """Stream one member of `size` bytes into the archive.

        Raises:
            BackupError: the name is invalid or a duplicate, or the source ended early.
        """
        if check_member(name) in self._members:
            raise BackupError(f"duplicate {name}")
        member = self._write(name, size, source)
        self._members[name] = member
        return member

    def add_bytes(self, name: str, content: bytes) -> Member:
        return self.add(name, len(content), io.BytesIO(content))

    def finish(self, **facts: Any) -> Manifest:
        """`finish_as` for a backup."""
        return self.finish_as(Manifest, **facts)

    def finish_as(self, kind: type[AnyContents], **facts: Any) -> AnyContents:
        """Write the manifest, and rename the file to its final name.

        Args:
            facts: fields of the manifest, all but `kind`, `format` and `members`.
        """
        manifest = kind(kind=kind.KIND, format=FORMAT, members=self._members, **facts)
        text = (json.dumps(manifest.model_dump(mode="json"), indent=2) + "\n").encode()
        self._write(MANIFEST, len(text), io.BytesIO(text))
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._partial.rename(self._path)
        return manifest

    def _write(self, name: str, size: int, source: Source) -> Member:
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = size, 0o600, int(time.time())
        hashed = Hashed(source)
        try:
            self._tar.addfile(info, hashed)  # type: ignore[arg-type]  # it only calls read
        except tarfile.TarError as error:
            raise BackupError(f"{name} is incomplete ({error})") from None
        if hashed.size != size:
            raise BackupError(f"{name} is incomplete: {hashed.size} of {size} bytes")
        return Member(size=size, sha256=hashed.sha256)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._partial.unlink(missing_ok=True)
