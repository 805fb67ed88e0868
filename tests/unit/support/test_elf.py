"""The alignment of programs."""

from __future__ import annotations

import mmap
import struct
import sys
from pathlib import Path

from tests.support.elf import load_alignment


def test_this_python_fits_the_kernels_pages() -> None:
    alignment = load_alignment(Path(sys.executable).read_bytes())
    assert alignment >= mmap.PAGESIZE
    assert alignment % mmap.PAGESIZE == 0


def test_the_smallest_alignment_of_what_is_loaded_counts() -> None:
    header = b"\x7fELF\x02\x01".ljust(32, b"\0") + struct.pack("<Q14xHH", 64, 56, 3) + bytes(6)
    segments = [struct.pack("<I44xQ", kind, alignment) for kind, alignment in ((1, 65536), (1, 4096), (2, 8))]
    assert load_alignment(header + b"".join(segments)) == 4096


def test_other_files_have_none() -> None:
    assert load_alignment(b"#!/bin/sh\n" * 20) == 0
