"""Tar archives for hosts."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO

_PIECE = 1 << 17


def pack_files(files: Mapping[str, bytes]) -> bytes:
    """A tar archive of the files, owned by root, mode 0644, always the same bytes for the same files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(files):
            member = tarfile.TarInfo(path)
            member.size, member.mode, member.uname, member.gname = len(files[path]), 0o644, "root", "root"
            archive.addfile(member, io.BytesIO(files[path]))
    return buffer.getvalue()


@dataclass(frozen=True)
class Entry:
    """A file of a tar stream: its name, its size in bytes, and what opens its content."""

    name: str
    size: int
    open: Callable[[], AbstractContextManager[IO[bytes]]]


class TarStream:
    """A tar archive of any size, made while it is read. Its files belong to root, with mode 0644.

    Args:
        report: called with the number of bytes read so far.
    """

    def __init__(self, entries: Iterable[Entry], report: Callable[[int], object] = lambda _: None) -> None:
        self._pieces = _pieces(entries)
        self._report = report
        self._rest = b""
        self._read = 0

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        if not self._rest:
            self._rest = next(self._pieces, b"")
        piece, self._rest = self._rest[:size], self._rest[size:]
        self._read += len(piece)
        self._report(self._read)
        return piece


def _pieces(entries: Iterable[Entry]) -> Iterator[bytes]:
    for entry in entries:
        info = tarfile.TarInfo(entry.name)
        info.size, info.mode, info.uname, info.gname = entry.size, 0o644, "root", "root"
        yield info.tobuf(tarfile.GNU_FORMAT)
        with entry.open() as file:
            while piece := file.read(_PIECE):
                yield piece
        if padding := -entry.size % tarfile.BLOCKSIZE:
            yield bytes(padding)
    yield bytes(2 * tarfile.BLOCKSIZE)
