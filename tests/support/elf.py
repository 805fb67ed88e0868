"""Programs and libraries for Linux: how their segments are aligned."""

from __future__ import annotations

import struct
import tarfile
from collections.abc import Iterator
from pathlib import Path

_LOAD = 1
# Of a 64-bit little-endian file's header: e_phoff, e_phentsize and e_phnum; of a program header: p_type and p_align.
_HEADER, _TABLE = 64, struct.Struct("<32xQ14xHH")
_SEGMENT = struct.Struct("<I44xQ")


def load_alignment(content: bytes) -> int:
    """The smallest alignment, in bytes, of the segments that are loaded; 0 if it is not a 64-bit ELF file with any.

    A kernel with larger memory pages can't load the file.
    """
    if len(content) < _HEADER or not content.startswith(b"\x7fELF\x02\x01"):
        return 0
    offset, size, count = _TABLE.unpack_from(content)
    segments = [_SEGMENT.unpack_from(content, offset + at * size) for at in range(count)]
    return min((alignment for kind, alignment in segments if kind == _LOAD), default=0)


def alignments(layer: Path) -> Iterator[tuple[str, int]]:
    """Path and alignment of each program and library in a layer of an image."""
    with tarfile.open(layer) as archive:
        for member in archive:
            if member.isfile() and (file := archive.extractfile(member)) and (found := load_alignment(file.read())):
                yield member.name, found
