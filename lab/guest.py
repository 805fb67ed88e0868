"""The guest's disk, kernel and initrd: a Debian with systemd, sshd, the user pi, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

from lab import builder, guests, mirrors
from lab.guests import Guest

FILES = Path(__file__).parent / "guest"
OWN_FILES = Path(__file__).parent / "guest_files"  # of one kind of guest: these replace the common ones
DISK_SIZE = "12G"  # virtual; the filesystem fills it, the file holds only what is used


def inputs(guest: Guest = guests.TRIXIE) -> list[str]:
    """Everything the guest is built from, for its key, including the mirrors, which are written into it."""
    return [
        recipe(guest),
        DISK_SIZE,
        mirrors.of_this_machine().sources(guest.suite),
        mirrors.apt_options(),
        *(f"{name}\n{path.read_text()}" for name, path in sorted(files(guest).items())),
    ]


def recipe(guest: Guest) -> str:
    """The recipe's text. It is written for trixie; other guests substitute a word or two."""
    return builder.adapted("guest.sh", guest.substitutions)


def files(guest: Guest) -> dict[Path, Path]:
    """Files that are copied over the guest's root: path in the guest → path here."""
    found: dict[Path, Path] = {}
    for directory in (FILES, OWN_FILES / guest.name):
        found |= {path.relative_to(directory): path for path in directory.rglob("*") if path.is_file()}
    return found


def build(guest: Guest, out: Path, log: Path) -> None:
    """Fill `out`: disk.qcow2, vmlinuz, initrd."""
    script, root_files = out / "guest.sh", out / "files"
    script.write_text(recipe(guest))
    for name, path in files(guest).items():
        (root_files / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, root_files / name)
    # mmdebstrap keeps the sources under their name in the guest's /etc/apt/sources.list.d (with a number as prefix).
    builder.debian(guest.suite, out, script, [root_files, DISK_SIZE], log, guest.build_timeout)
