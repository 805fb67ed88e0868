"""pyinfra's own program, run in a checkout."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


def run_python(
    checkout: Path, *words: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Python with these words ("-m", "pyinfra", …) in the checkout. It asks nobody and leaves no bytecode there."""
    return subprocess.run(
        [sys.executable, "-B", *words],
        cwd=checkout,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
