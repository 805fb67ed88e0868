"""Where the doctor itself runs: what differs between systems, and so must be known to name a cause."""

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
        is_root: the user may do everything.
        terminal: the terminal program, where it says its name (`Apple_Terminal`, `iTerm.app`, `vscode`).
        over_ssh: the session came over ssh.
    """

    system: str = "Linux"
    in_container: bool = False
    is_wsl: bool = False
    is_root: bool = False
    terminal: str = ""
    over_ssh: bool = False

    @property
    def terminal_named(self) -> str:
        """The terminal program, for a sentence."""
        return self.terminal or "your terminal program"

    @property
    def exempt_from_local_network_privacy(self) -> bool:
        """macOS asks no permission of root, of Apple's own Terminal, and of what came over ssh (Apple's TN3179)."""
        return self.is_root or self.over_ssh or self.terminal == "Apple_Terminal"


def inspect_client() -> ClientEnvironment:
    """The place this process runs in."""
    return ClientEnvironment(
        system=platform.system(),
        in_container=any(Path(mark).exists() for mark in ("/.dockerenv", "/run/.containerenv"))
        or "KUBERNETES_SERVICE_HOST" in os.environ,
        is_wsl="microsoft" in platform.release().lower(),
        is_root=hasattr(os, "geteuid") and os.geteuid() == 0,
        terminal=os.environ.get("TERM_PROGRAM", ""),
        over_ssh="SSH_CONNECTION" in os.environ,
    )
