"""What a pool costs: the first token through a single host's httpd, and through a gateway's with one backend.

`python -m bench.pool` prints the median of alternating rounds, in milliseconds. It writes no file.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
from pathlib import Path

from bench.machine import busy_share
from bench.proxy import PLAIN, Bench, Figures, build_load
from hearth.settings.pools import OWN_OLLAMA
from lab import artefacts
from lab.progress import Stages

ROUNDS = 7
# Backend and gateway are the same machine, so that only httpd's work differs.
POOL: Figures = {"ollama_pools": {"default": [{"host": "backend", "url": OWN_OLLAMA}]}}


def main() -> None:
    """Measure, and print."""
    with Stages() as stages:
        parts = artefacts.build(("roots", "models"), stages)
    print(f"other programs' share of the processors: {busy_share():.0%}")
    with tempfile.TemporaryDirectory() as name:
        load = build_load(Path(name))
        with (
            Bench(load, parts, {}) as single,
            Bench(load, parts, POOL) as gateway,
            single[f"direct, {PLAIN}"]() as direct,
            single[f"hearth, {PLAIN}"]() as alone,
            gateway[f"hearth, {PLAIN}"]() as pooled,
        ):
            targets = {"no proxy": direct, "single host": alone, "pool with one backend": pooled}
            found: dict[str, list[float]] = {one: [] for one in targets}
            for _ in range(ROUNDS):
                for one, target in targets.items():
                    command = [str(load), "first", "-n", "2000", "-interval", "5ms", target.prompt]
                    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
                    found[one].append(json.loads(done.stdout)["p50"])
    for one, figures in found.items():
        print(f"{one}: {statistics.median(figures):.3f} ms (rounds: {', '.join(f'{value:.3f}' for value in figures)})")


if __name__ == "__main__":
    main()
