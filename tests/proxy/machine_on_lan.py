"""A machine of its own on a network of its own: a network namespace behind a virtual cable, which a test can cut."""

from __future__ import annotations

import random
import subprocess
from types import TracebackType
from typing import Self

from lab import shell


class MachineOnLan:
    """Until the end of the block; programs run in it with `ip netns exec NAME`.

    Attributes:
        name: of the namespace.
        address: at which this machine reaches it.
    """

    def __init__(self) -> None:
        number = random.randint(1, 16000)
        self.name = f"lan{number}"
        # A network of four addresses in one that nobody uses (RFC 2544).
        first = 4 * number
        self._here, self.address = (f"198.18.{first >> 8}.{first % 256 + one}" for one in (1, 2))

    def __enter__(self) -> Self:
        self._run("ip", "netns", "add", self.name)
        try:
            self._run("ip", "link", "add", self.name, "type", "veth", "peer", "name", "eth0", "netns", self.name)
            self._run("ip", "address", "add", f"{self._here}/30", "dev", self.name)
            self._run("ip", "link", "set", self.name, "up")
            self.run("ip", "address", "add", f"{self.address}/30", "dev", "eth0")
            self.run("ip", "link", "set", "eth0", "up")
            self.run("ip", "link", "set", "lo", "up")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run("ip", "netns", "delete", self.name)  # and the cable with it

    def run(self, *words: str) -> None:
        """Run a command in the namespace."""
        self._run("ip", "netns", "exec", self.name, *words)

    def vanish(self) -> None:
        """Packets get no answer, as from a machine that is off."""
        self._answer("drop")

    def refuse(self) -> None:
        """Connections are refused, as if no program listened."""
        self._answer("tcp dport 11434 reject with tcp reset")

    def _answer(self, rule: str) -> None:
        self.come_back()
        self.run("nft", "add", "table", "inet", "cut")
        self.run("nft", "add", "chain", "inet", "cut", "in", "{ type filter hook input priority 0; }")
        self.run("nft", "add", "rule", "inet", "cut", "in", *rule.split())

    def come_back(self) -> None:
        self.run("nft", "flush", "ruleset")

    @staticmethod
    def _run(*words: str) -> None:
        subprocess.run([*shell.sudo(), *words], check=True, timeout=20)
