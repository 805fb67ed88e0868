"""Tar archives for hosts."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping


def pack_files(files: Mapping[str, bytes]) -> bytes:
    """A tar archive of the files, owned by root, mode 0644, always the same bytes for the same files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(files):
            member = tarfile.TarInfo(path)
            member.size, member.mode, member.uname, member.gname = len(files[path]), 0o644, "root", "root"
            archive.addfile(member, io.BytesIO(files[path]))
    return buffer.getvalue()
