"""The disk that holds the models. A missing or different disk must never go unnoticed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from hearth.paths import MODELS_DISK
from hearth.runtime.sections import parse_assignments
from hearth.runtime.shell import quote

_PAIR = re.compile(r'([A-Z]+)="([^"]*)"')
# Bytes of names, as findmnt writes them (`\x20`), and as the kernel and fstab do (`\040`).
_ESCAPED = re.compile(rb"\\(?:x([0-9a-f]{2})|([0-3][0-7]{2}))")
# GB: 4 GiB.
_LARGEST_FAT_FILE = 4.29
# In this order, after a line with the directory.
FINDMNT = "findmnt -P -o UUID,SOURCE,TARGET -T"


@dataclass(frozen=True)
class ModelDisk:
    """The file system under the models' directory.

    Attributes:
        directory: the directory, as the settings name it.
        uuid: of the file system; "" if it has none (a network share, a container's root).
        source: device or share, as named by the kernel. Device names may change at a reboot.
        mount: its mount point.
    """

    directory: str
    uuid: str
    source: str
    mount: str

    def __str__(self) -> str:
        return f"{self.source}{f' (UUID {self.uuid})' if self.uuid else ''} mounted at {self.mount}"

    def is_same(self, other: ModelDisk) -> bool:
        """Whether it is the same file system, regardless of the device name."""
        if self.uuid and other.uuid:
            return self.uuid == other.uuid
        return self.source == other.source

    def dump(self) -> str:
        """The content of `/opt/hearth/models-disk`."""
        return f"directory={self.directory}\nuuid={self.uuid}\nsource={self.source}\nmount={self.mount}\n"


def unescape(text: str) -> str:
    """A name from `/proc/mounts`, fstab or `findmnt -P`, without their escapes. A line end stays escaped."""

    def byte(match: re.Match[bytes]) -> bytes:
        code = int(match[1], 16) if match[1] else int(match[2], 8)
        return bytes([code]) if code == 9 or 32 <= code != 127 else match[0]

    return _ESCAPED.sub(byte, text.encode(errors="surrogateescape")).decode(errors="surrogateescape")


def parse_findmnt(lines: Iterable[str]) -> ModelDisk | None:
    """The disk from a line with the directory and those of `findmnt -P -o UUID,SOURCE,TARGET` (the last one counts).

    None if findmnt printed nothing.
    """
    directory, *shown = [*lines, ""]
    found = [{key: unescape(text) for key, text in _PAIR.findall(line)} for line in shown if "TARGET=" in line]
    if not found:
        return None
    return ModelDisk(directory, found[-1].get("UUID", ""), found[-1].get("SOURCE", ""), found[-1]["TARGET"])


def parse_record(lines: Iterable[str]) -> ModelDisk | None:
    """The disk from the record's lines, or None if there is no complete record."""
    values = parse_assignments(lines)
    if not {"directory", "uuid", "source", "mount"} <= values.keys():
        return None
    return ModelDisk(values["directory"], values["uuid"], values["source"], values["mount"])


def parse_mount_points(lines: Iterable[str]) -> frozenset[str]:
    """Mount points of `/etc/fstab` or `/proc/mounts`: the second field, if it is a path."""
    fields = (line.split() for line in lines if not line.lstrip().startswith("#"))
    return frozenset(
        str(PurePosixPath(unescape(field[1]))) for field in fields if len(field) > 1 and field[1].startswith("/")
    )


def kind_of_mount(lines: Iterable[str], mount: str) -> str:
    """The file system at a mount point (`ext4`, `vfat`), from the lines of `/proc/mounts`; "" if none."""
    kinds = [fields[2] for fields in map(str.split, lines) if len(fields) > 2 and unescape(fields[1]) == mount]
    return kinds[-1] if kinds else ""


def kind_obstacles(directory: str, kind: str, sizes: Mapping[str, float]) -> list[str]:
    """Why models don't fit on a file system of this kind, which new USB disks often have.

    Args:
        sizes: GB of the models to be pulled.
    """
    large = sorted(name for name, size in sizes.items() if size > _LARGEST_FAT_FILE)
    if not directory or kind not in ("vfat", "msdos") or not large:
        return []
    return [
        f"ollama_models_dir = {directory!r}: the disk has a FAT file system ({kind}), which can't hold files above 4.3 "
        f"GB, so {', '.join(large)} won't fit; use ext4 (`sudo mkfs.ext4`, which erases the disk)"
    ]


def not_mounted(directories: Iterable[str], fstab: Iterable[str], mounted: Iterable[str]) -> list[str]:
    """Mount points of fstab at or above one of the directories that are not mounted, sorted."""
    above = {
        str(path) for directory in directories for path in (PurePosixPath(directory), *PurePosixPath(directory).parents)
    }
    return sorted((set(fstab) & above) - set(mounted))


def disk_obstacles(directory: str, absent: Iterable[str], now: ModelDisk | None, record: ModelDisk | None) -> list[str]:
    """Why models must not be written to the directory now: one message each.

    Args:
        absent: mount points at or above the directory that are in fstab and not mounted.
        now: the directory's current file system.
        record: the file system of an earlier deploy.
    """
    obstacles = [
        f"ollama_models_dir = {directory!r}: {mount} is a separate disk in /etc/fstab and is not mounted, so models "
        f"would end up on the disk below it. Find out why (`sudo mount {quote(mount)}` shows the error), and deploy "
        "again"
        for mount in absent
    ]
    if obstacles or now is None or record is None or record.directory != directory or now.is_same(record):
        return obstacles
    return [
        f"ollama_models_dir = {directory!r}: the models are on {record}, but the directory is now on {now}. Mount the "
        f"disk with the models and deploy again; or, if the move was intended, first run `sudo rm {MODELS_DISK}`"
    ]
