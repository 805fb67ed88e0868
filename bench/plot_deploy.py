"""Plot the results of bench.deploy as SVG and PNG, next to them: plot_deploy.py RESULTS. Needs matplotlib."""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")
from matplotlib import pyplot as plt

COLOURS = {"Hearth": "#c2410c", "Ansible": "#64748b", "shell script": "#94a3b8"}
STYLES = {"nothing to do": "-", "one setting": "--"}


def _median(runs: list[dict[str, float]]) -> float:
    return statistics.median(run["seconds"] for run in runs)


def one_host(figures: dict[str, dict[str, list[dict[str, float]]]]) -> Any:
    """A group of bars per scenario: medians, with a line from the fastest to the slowest run."""
    figure, axes = plt.subplots(figsize=(9, 3.4))
    scenarios = list(figures)
    width = 0.8 / len(COLOURS)
    for number, (tool, colour) in enumerate(COLOURS.items()):
        runs = [[run["seconds"] for run in figures[scenario][tool]] for scenario in scenarios]
        middle = [statistics.median(one) for one in runs]
        spread = [
            [median - min(one) for median, one in zip(middle, runs, strict=True)],
            [max(one) - median for median, one in zip(middle, runs, strict=True)],
        ]
        places = [position + (number - (len(COLOURS) - 1) / 2) * width for position in range(len(scenarios))]
        bars = axes.bar(places, middle, width * 0.92, yerr=spread, color=colour, label=tool, capsize=2)
        axes.bar_label(bars, [f"{one:.1f}" for one in middle], fontsize=8, padding=2)
    axes.set_xticks(range(len(scenarios)), scenarios)
    axes.set_title("A deploy to one host, seconds", loc="left", fontsize=10)
    axes.margins(y=0.15)
    return figure, axes


def many_hosts(many: dict[str, dict[str, dict[str, list[dict[str, float]]]]]) -> Any:
    """A line per tool and scenario, over the number of hosts."""
    figure, axes = plt.subplots(figsize=(9, 3.4))
    counts = [int(count) for count in many]
    for scenario, style in STYLES.items():
        for tool, colour in COLOURS.items():
            heights = [_median(many[str(count)][scenario][tool]) for count in counts]
            axes.plot(counts, heights, style, marker="o", color=colour, label=f"{tool}, {scenario}")
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("hosts")
    axes.set_title("A deploy to several hosts at the same time, seconds", loc="left", fontsize=10)
    axes.grid(axis="y", alpha=0.3)
    return figure, axes


def main(path: Path) -> None:
    """`deploy-one` and `deploy-many`."""
    document = json.loads(path.read_text())
    # Text as text, and the same file for the same figures.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "hearth", "font.size": 10})
    for key, draw, rounds in (("one", one_host, "rounds"), ("many", many_hosts, "many_rounds")):
        if key not in document:
            continue
        figure, axes = draw(document[key])
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
        where = f"{document['date']}, {document['machine']}, rounds: {document[rounds]}"
        figure.text(0.01, 0.01, where, fontsize=7, color="#64748b")
        figure.tight_layout(rect=(0, 0.04, 1, 1))
        target = path.with_name(f"deploy-{key}")
        figure.savefig(target.with_suffix(".svg"), metadata={"Date": None})
        figure.savefig(target.with_suffix(".png"), dpi=144)
        plt.close(figure)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
