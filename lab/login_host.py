"""A root directory to log in to: an ssh server, sudo, several shells, and their messages in German."""

from __future__ import annotations

from pathlib import Path

from lab import builder

PACKAGES = ("openssh-server", "sudo", "locales", "fish", "zsh", "tcsh", "iproute2")
LOCALE = "de_DE.UTF-8"
_WITHOUT_TRANSLATIONS = "  --dpkgopt='path-exclude=/usr/share/locale/*' \\\n"


def recipe() -> str:
    """The builder's recipe, but with translations and a German locale."""
    text = builder.adapted("builder.sh", [(_WITHOUT_TRANSLATIONS, "")])
    return f'{text}chroot "$out/root" localedef -i de_DE -f UTF-8 {LOCALE}\n'


def inputs() -> list[str]:
    return [recipe(), *PACKAGES]


def build(out: Path, log: Path) -> None:
    """Fill `out`: `root/` is the root directory."""
    builder.build(out, log, recipe(), PACKAGES)
