"""The tables of docs/measurements.md, from the results: `python -m bench.tables [--write]`."""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"
PAGE = RESULTS.parent.parent / "docs/measurements.md"
FLOOR = "shell script"
NAMES = {"hearth": "Hearth's httpd", "direct": "no proxy", "caddy": "Caddy"}


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
    """First tokens and small calls; then streams at the same time. Medians over the rounds, but all cut streams."""
    return f"{_latency(document)}\n\n{_streams(document)}"


def _latency(document: Mapping[str, Any]) -> str:
    rows = []
    for name, one in document["median"].items():
        is_direct, added = name.startswith("direct"), document["added"][name]
        cells = [
            "" if q not in added else f"{one['first'][q]:.2f} ms" if is_direct else f"{added[q]:+.2f} ms"
            for q in ("p50", "p99")
        ]
        if small := one.get("small"):
            cost = "" if is_direct else f"{small['cpu_seconds'] / small['n'] * 1e6:.0f} µs"
            cells += [f"{small['per_second']:,.0f}/s", cost]
        if cut := sum(each["first"].get("cut", 0) for each in document["all"].get(name, ())):
            cells[0] += f" ({cut:.0f} cut)"
        rows.append([_shown(name), *cells, *[""] * (4 - len(cells))])
    head = [
        "",
        "First token (with a proxy: added): median",
        "p99",
        "Small calls",
        "processor time of the proxy for each",
    ]
    return table(head, rows)


def _streams(document: Mapping[str, Any]) -> str:
    rows = []
    for name, one in document["median"].items():
        for count, found in one.get("streams", {}).items():
            lag, share = found["lag"], found["cpu_seconds"] / found["seconds"]
            costs = [f"{found['memory_mib']:.0f} MiB", f"{share:.0%}"]
            cut = sum(each["streams"][count]["cut"] for each in document["all"][name])
            rows.append(
                [
                    _shown(name),
                    count,
                    f"{lag['p50']:.1f} ms",
                    f"{lag['p99']:.1f} ms",
                    *(["", ""] if name.startswith("direct") else costs),
                    f"{cut} of {int(count) * document['rounds']}",
                ]
            )
    return table(["", "Streams", "Lag of a line: median", "p99", "Memory", "Of a processor", "Cut, all rounds"], rows)


def _shown(name: str) -> str:
    proxy, _, kind = name.partition(", ")
    return f"{NAMES.get(proxy, proxy)}, {kind}"


MAKERS = {"deploy": deploy_table, "proxy": proxy_table}
# Result → plot → what it shows.
PLOTS = {
    "deploy": {
        "deploy-one": "A deploy to one host, as in the table",
        "deploy-many": "Deploys to several hosts at the same time",
    },
    "proxy": {
        "proxy-latency": "First token and small calls, as in the table",
        "proxy-streams": "Lag and memory by number of streams",
    },
}
BLANK = "\n\n"


def show(path: Path) -> str:
    """The table of a result, below its date and machine."""
    document = json.loads(path.read_text())
    made = MAKERS[path.stem](document) if path.stem in MAKERS else document["table"]
    facts = [f"{document['date']}, {document['machine']}"]
    if programs := document.get("programs"):
        facts.append(programs)
    if load := document.get("load"):
        facts.append(load)
    if rounds := document.get("rounds"):
        facts.append(f"medians of {_number(rounds)}")
    if rounds := document.get("many_rounds"):
        facts.append(f"with several hosts of {_number(rounds)}")
    return f"{'; '.join(facts)}.\n\n{made}"


def _number(rounds: int) -> str:
    return f"{rounds} round{'s' if rounds != 1 else ''}"


def write(paths: Sequence[Path], page: Path) -> None:
    """Replace what is between `<!-- bench: NAME -->` and `<!-- end -->` in a page: table and plots."""
    text = page.read_text()
    for path in paths:
        begin = f"<!-- bench: {path.stem} -->\n"
        before, found, rest = text.partition(begin)
        if not found:
            continue
        parts = [show(path)]
        for name, caption in PLOTS.get(path.stem, {}).items():
            if (plot := path.with_name(f"{name}.svg")).exists():
                shutil.copy(plot, page.parent / "images")
                parts.append(f"![{caption}](images/{plot.name})")
        text = f"{before}{begin}{BLANK.join(parts)}\n{rest[rest.index('<!-- end -->') :]}"
    page.write_text(text)


def main() -> None:
    """Print the tables, or write them to the documentation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--write", action="store_true", help="into docs/measurements.md, and the plots into docs/images"
    )
    options = parser.parse_args()
    paths = sorted(RESULTS.glob("*.json"))
    for path in paths:
        print(f"\n{path.stem}: {show(path)}")
    if options.write:
        write(paths, PAGE)


if __name__ == "__main__":
    main()
