"""The guest's disk, kernel and initrd: Debian trixie with systemd, sshd, the user pi, and nothing else."""

from __future__ import annotations

from pathlib import Path

from lab import builder, mirrors, shell

FILES = Path(__file__).parent / "guest"
DISK_SIZE = "12G"  # virtual; the filesystem fills it, the file holds only what is used


def inputs() -> list[str]:
    """Everything the guest is made from, for its key. The mirrors count: they are written into it."""
    files = [f"{path.relative_to(FILES)}\n{path.read_text()}" for path in sorted(FILES.rglob("*")) if path.is_file()]
    return [
        builder.recipe("guest.sh"),
        DISK_SIZE,
        mirrors.of_this_machine().sources(),
        mirrors.apt_options(),
        *files,
    ]


def build(out: Path, log: Path) -> None:
    """Fill `out`: disk.qcow2, vmlinuz, initrd."""
    # mmdebstrap keeps the file's name in the guest's /etc/apt/sources.list.d (with a number before it)
    sources, aptconf = out / "debian.sources", out / "apt.conf"
    sources.write_text(mirrors.of_this_machine().sources())
    aptconf.write_text(mirrors.apt_options())
    shell.run(["sh", builder.RECIPES / "guest.sh", out, sources, aptconf, FILES, DISK_SIZE], log, 900, root=True)
