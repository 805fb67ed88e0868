"""The environment that the doctor runs in, as far as causes depend on it."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ClientEnvironment:
    """The machine that the doctor runs on.

    Attributes:
        system: `Linux`, `Darwin` (macOS) or `Windows`, as Python names it.
        in_container: of Docker, Podman or Kubernetes.
        is_wsl: a Linux inside Windows.
        is_root: the process runs as root.
        terminal: the terminal program, if it identifies itself (`Apple_Terminal`, `iTerm.app`, `vscode`).
        over_ssh: it is an ssh session.
    """

    system: str = "Linux"
    in_container: bool = False
    is_wsl: bool = False
    is_root: bool = False
    terminal: str = ""
    over_ssh: bool = False

    @property
    def terminal_named(self) -> str:
        """The terminal program, for use in a sentence."""
        return self.terminal or "your terminal program"

    @property
    def exempt_from_local_network_privacy(self) -> bool:
        """macOS requires no permission of root, Apple's own Terminal and ssh sessions (Apple's TN3179)."""
        return self.is_root or self.over_ssh or self.terminal == "Apple_Terminal"


def inspect_client() -> ClientEnvironment:
    """The environment of this process."""
    return ClientEnvironment(
        system=platform.system(),
        in_container=any(Path(mark).exists() for mark in ("/.dockerenv", "/run/.containerenv"))
        or "KUBERNETES_SERVICE_HOST" in os.environ,
        is_wsl="microsoft" in platform.release().lower(),
        is_root=hasattr(os, "geteuid") and os.geteuid() == 0,
        terminal=os.environ.get("TERM_PROGRAM", ""),
        over_ssh="SSH_CONNECTION" in os.environ,
    )
