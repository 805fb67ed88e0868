"""All measurements, one after the other, and their tables: `python -m bench [--quick]`, `make bench`."""

from __future__ import annotations

import subprocess
import sys
import time
from importlib.util import find_spec

from bench.environment import programs
from bench.tables import main

PARTS = ("proxy", "deploy", "page")


def run(arguments: list[str]) -> None:
    """Run each part with the given arguments; the first failure ends the run."""
    programs()  # installs what is missing before the first minutes are spent
    for part in PARTS:
        if not find_spec(f"bench.{part}"):
            continue
        print(f"\n=== {part} ===", flush=True)
        begun = time.monotonic()
        code = subprocess.run([sys.executable, "-m", f"bench.{part}", *arguments], check=False).returncode
        if code:
            raise SystemExit(code)
        print(f"{part}: {time.monotonic() - begun:.0f} s", flush=True)
    sys.argv[1:] = []
    main()


if __name__ == "__main__":
    run(sys.argv[1:])
