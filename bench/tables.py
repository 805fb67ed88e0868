"""The tables of docs/measurements.md, from the results: `python -m bench.tables [RESULTS …]`."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"
FLOOR = "shell script"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(one)} |" for one in lines)


def _median(runs: Sequence[Mapping[str, float]], key: str = "seconds") -> float:
    return statistics.median(run[key] for run in runs)


def _deploy_rows(
    figures: Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]], prefix: str = ""
) -> list[list[str]]:
    rows = []
    for scenario, tools in figures.items():
        floor = _median(tools[FLOOR])
        cells = []
        for name, runs in tools.items():
            seconds = _median(runs)
            factor = "" if name == FLOOR else f" ({seconds / floor:.1f}×)"
            cells.append(f"{seconds:.1f} s{factor}; {_median(runs, 'cpu'):.1f} s")
        rows.append([prefix + scenario, *cells])
    return rows


def deploy_table(document: Mapping[str, Any]) -> str:
    """Median seconds (factor to the shell script); processor time on the deploying computer."""
    rows = _deploy_rows(document.get("one", {}))
    for count, figures in document.get("many", {}).items():
        rows += _deploy_rows(figures, f"{count} host{'s' if count != '1' else ''}: ")
    names = next(iter(document["one"].values())) if "one" in document else ()
    return table(["", *names], rows)


def proxy_table(document: Mapping[str, Any]) -> str:
    """What each proxy adds to the first token, small calls, and streams at the same time; medians over the rounds."""
    median = document["median"]
    counts = sorted({int(count) for one in median.values() for count in one.get("streams", {})})
    head = ["", "First token added, ms: p50", "p99", "Small calls/s", "processor time each"]
    head += [f"{count} streams: lag ms (p50, p99), memory MiB, processor, cut" for count in counts]
    rows = []
    for name, one in median.items():
        kind = name.partition(", ")[2]
        base = median["direct, real Ollama" if kind == "real Ollama" else "direct, HTTP/1.1"]["first"]
        cells = [f"{one['first'][q] - base[q]:+.2f}" for q in ("p50", "p99")]
        if name.startswith("direct"):
            cells = [f"({base[q]:.2f})" for q in ("p50", "p99")]
        small = one.get("small")
        cells += (
            [f"{small['per_second']:,.0f}", f"{small['cpu_seconds'] / small['n'] * 1e6:.0f} µs"] if small else ["", ""]
        )
        for count in counts:
            found = one.get("streams", {}).get(str(count))
            cells.append(
                f"{found['lag']['p50']:.1f}, {found['lag']['p99']:.1f}; {found['memory_mib']:.0f}; "
                f"{found['cpu_seconds'] / found['seconds']:.0%}; {found['cut']:.0f}"
                if found
                else ""
            )
        rows.append([name, *cells])
    return table(head, rows)


MAKERS = {"deploy": deploy_table, "proxy": proxy_table}


def main(paths: Sequence[Path]) -> None:
    """Print the table of each result, with its date and machine."""
    for path in paths:
        document = json.loads(path.read_text())
        print(f"\n### {path.stem}: {document['date']}, {document['machine']}; {document.get('load', '')}\n")
        print(MAKERS[path.stem](document) if path.stem in MAKERS else document.get("table", "no table"))


if __name__ == "__main__":
    main([Path(one) for one in sys.argv[1:]] or sorted(RESULTS.glob("*.json")))
