"""Plot the results of bench.deploy as SVG and PNG, next to them: plot_deploy.py RESULTS. Needs matplotlib."""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")
from matplotlib import pyplot as plt


def main() -> None:
    """One group of bars per scenario: medians, with a line from the fastest to the slowest run."""
    path = Path(sys.argv[1])
    seconds = json.loads(path.read_text())["seconds"]
    scenarios = list(seconds)
    tools = list(seconds[scenarios[0]])
    mpl.rcParams["svg.hashsalt"] = "hearth"
    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    width = 0.8 / len(tools)
    for number, tool in enumerate(tools):
        runs = [seconds[scenario][tool] for scenario in scenarios]
        middle = [statistics.median(one) for one in runs]
        spread = [
            [median - min(one) for median, one in zip(middle, runs, strict=True)],
            [max(one) - median for median, one in zip(middle, runs, strict=True)],
        ]
        places = [position + (number - (len(tools) - 1) / 2) * width for position in range(len(scenarios))]
        bars = axes.bar(places, middle, width * 0.9, yerr=spread, label=tool, capsize=2)
        axes.bar_label(bars, [f"{one:.1f}" for one in middle], fontsize=8, padding=2)
    axes.set_xticks(range(len(scenarios)), scenarios)
    axes.set_ylabel("seconds (median; lines: fastest and slowest run)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    figure.savefig(path.with_suffix(".png"), dpi=150)


if __name__ == "__main__":
    main()
