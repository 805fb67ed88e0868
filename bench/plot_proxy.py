"""Plot the results of bench.proxy as SVG and PNG, next to them: plot_proxy.py RESULTS. Needs matplotlib."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")
from matplotlib import pyplot as plt

NAMES = {"hearth": "Hearth's httpd", "nginx": "nginx", "caddy": "Caddy"}
COLOURS = {"hearth": "#c2410c", "nginx": "#64748b", "caddy": "#94a3b8"}


def draw(document: dict[str, Any], directory: Path) -> None:
    """`proxy-latency` and `proxy-streams`, each as .svg and .png.

    Args:
        document: what bench/proxy.py writes.
        directory: where the files go.
    """
    # Text as text, and the same file for the same figures.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "hearth", "font.size": 10})
    median, added = document["median"], document["added"]
    where = f"{document['date']}, {document['machine']}, rounds: {document['rounds']}"
    kinds = ("HTTP/1.1", "TLS, HTTP/1.1", "TLS, HTTP/2")
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 3.4), width_ratios=(2, 1))
    _bars(
        left,
        {name: [added[f"{name}, {kind}"][q] for kind in kinds for q in ("p50", "p99")] for name in NAMES},
        [text for kind in kinds for text in (f"{kind}:\nmedian", "99th\npercentile")],
        "First token: added time, ms",
        "{:.2f}",
    )
    calls = {name: [median[f"{name}, {kind}"]["small"]["per_second"] / 1000 for kind in kinds] for name in NAMES}
    _bars(right, calls, list(kinds), "Small calls, 1000/s", "{:.1f}")
    _save(figure, directory / "proxy-latency", where)

    plain = {name: median[f"{name}, HTTP/1.1"]["streams"] for name in NAMES}
    counts = sorted(int(count) for count in plain["hearth"])
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2))
    panels: list[tuple[Any, str, Callable[[Any], float]]] = [
        (left, "Lag of a line (99th percentile), ms", lambda one: one["lag"]["p99"]),
        (right, "Memory, MiB", lambda one: one["memory_mib"]),
    ]
    for axes, title, value in panels:
        for name, streams in plain.items():
            axes.plot(
                counts,
                [value(streams[str(count)]) for count in counts],
                marker="o",
                color=COLOURS[name],
                label=NAMES[name],
            )
        axes.set_xscale("log", base=2)
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.set_ylim(bottom=0)
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_xlabel("streams at the same time")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.3)
    left.legend(frameon=False)
    _save(figure, directory / "proxy-streams", where)


def _bars(axes: Any, values: dict[str, list[float]], groups: list[str], title: str, form: str) -> None:
    width = 0.8 / len(values)
    for index, (name, heights) in enumerate(values.items()):
        places = [group + (index - (len(values) - 1) / 2) * width for group in range(len(groups))]
        bars = axes.bar(places, heights, width * 0.92, color=COLOURS[name], label=NAMES[name])
        axes.bar_label(bars, [form.format(height) for height in heights], fontsize=8, padding=2)
    axes.set_xticks(range(len(groups)), groups)
    axes.set_title(title, loc="left", fontsize=10)
    axes.margins(y=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)


def _save(figure: Any, path: Path, where: str) -> None:
    figure.text(0.01, 0.01, where, fontsize=7, color="#64748b")
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    figure.savefig(path.with_suffix(".png"), dpi=144)
    plt.close(figure)


if __name__ == "__main__":
    results = Path(sys.argv[1])
    draw(json.loads(results.read_text()), results.parent)
