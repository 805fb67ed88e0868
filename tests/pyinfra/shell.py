"""Generated scripts, checked by real shells and run against programs that stand in for docker and its like."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from hearth.paths import ROOT

HOSTILE = "x'; touch pwned; $(touch pwned) `touch pwned` \"\\"


def check_syntax(script: str) -> None:
    """Fail if a shell that hosts have can't read the script."""
    for shell in ("sh", "bash"):
        done = subprocess.run([shell, "-n", "-c", script], capture_output=True, text=True)
        assert done.returncode == 0, f"{shell}: {done.stderr}\n{script}"


@dataclass
class Sandbox:
    """A directory in place of /opt/hearth, and programs of ours before all others.

    Each program writes its arguments to `calls` first.
    """

    directory: Path

    @property
    def root(self) -> Path:
        return self.directory / "hearth"

    @property
    def calls(self) -> list[str]:
        """Every call of a program, as one line each."""
        log = self.directory / "calls"
        return log.read_text().splitlines() if log.exists() else []

    def program(self, name: str, script: str = "") -> None:
        """Put a program on the PATH."""
        path = self.directory / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {self.directory}/calls\n{script}\n')
        path.chmod(0o755)

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a script as pyinfra runs it: by sh."""
        (self.directory / "bin").mkdir(exist_ok=True)
        return subprocess.run(
            ["sh", "-c", script.replace(ROOT, str(self.root))],
            capture_output=True,
            text=True,
            cwd=self.directory,
            env={"PATH": f"{self.directory}/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            timeout=30,
        )

    def pwned(self) -> bool:
        """Whether a value was run."""
        return any(self.directory.rglob("pwned"))
