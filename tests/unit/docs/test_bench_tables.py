"""The tables of measurements, and how they get into the documentation."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from bench.proxy import added
from bench.tables import MAKERS, PAGE, RESULTS, deploy_table, proxy_table, write

RUNS = {
    "shell script": [{"seconds": 2.0, "cpu": 0.1}],
    "Hearth": [{"seconds": 3.0, "cpu": 1.0}, {"seconds": 5.0, "cpu": 1.2}, {"seconds": 9.0, "cpu": 1.1}],
}
DOCUMENT = {
    "date": "2026-11-28",
    "machine": "2 cores",
    "load": "idle",
    "rounds": 3,
    "many_rounds": 1,
    "one": {"nothing to do": RUNS},
    "many": {"1": {"nothing to do": RUNS}, "4": {"nothing to do": RUNS}},
}


def test_table_has_medians_and_factors_to_the_floor() -> None:
    lines = deploy_table(DOCUMENT).splitlines()
    assert lines[0] == "|  | shell script | Hearth |"
    assert lines[2] == "| nothing to do | 2.0 s; 0.1 s | 5.0 s (2.5×); 1.1 s |"
    assert [line.split(" | ")[0] for line in lines[3:]] == ["| 1 host: nothing to do", "| 4 hosts: nothing to do"]


def first(p50: float, p99: float, n: int = 1999) -> dict[str, dict[str, float]]:
    return {"first": {"p50": p50, "p99": p99, "n": n}}


def test_what_a_proxy_adds_is_the_median_of_the_rounds_differences() -> None:
    # The differences are 1, 3 and 2; the difference of the medians would be 1.
    rounds = {
        "direct, HTTP/1.1": [first(1.0, 2.0), first(5.0, 9.0), first(6.0, 7.0)],
        "hearth, HTTP/1.1": [first(2.0, 3.0), first(8.0, 9.0), first(8.0, 9.0)],
    }
    assert added(rounds)["hearth, HTTP/1.1"] == {"p50": 2.0, "p99": 1.0}


def test_few_first_tokens_have_no_99th_percentile() -> None:
    rounds = {"direct, real Ollama": [first(1.0, 2.0, 199)], "hearth, real Ollama": [first(2.0, 9.0, 199)]}
    assert added(rounds)["hearth, real Ollama"] == {"p50": 1.0}


def test_cut_streams_are_counted_over_all_rounds() -> None:
    def measured(cut: int) -> dict[str, object]:
        stream = {"lag": {"p50": 0.1, "p99": 0.2}, "cpu_seconds": 1.0, "seconds": 4.0, "memory_mib": 8.0, "cut": cut}
        return {**first(1.0, 2.0), "streams": {"64": stream}}

    rounds = [measured(0), measured(1), measured(0)]
    document = {"rounds": 3, "median": {"hearth, HTTP/1.1": rounds[0]}, "all": {"hearth, HTTP/1.1": rounds}}
    shown = proxy_table({**document, "added": {"hearth, HTTP/1.1": {"p50": 1.0}}})
    assert shown.splitlines()[-1] == "| Hearth's httpd, HTTP/1.1 | 64 | 0.1 ms | 0.2 ms | 8 MiB | 25% | 1 of 192 |"


def test_tables_are_replaced_and_other_text_is_kept(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    page, results = tmp_path / "page.md", tmp_path / "deploy.json"
    page.write_text("before\n<!-- bench: deploy -->\nan old table\n<!-- end -->\nafter\n")
    results.write_text(json.dumps(DOCUMENT))
    for _ in range(2):
        write([results], page)
        text = page.read_text()
        heading = "2026-11-28, 2 cores; idle; medians of 3 rounds; with several hosts of 1 round."
        assert text.startswith(f"before\n<!-- bench: deploy -->\n{heading}\n\n|  | shell script |")
        assert text.endswith("\n<!-- end -->\nafter\n")
        assert text.count("| nothing to do |") == 1


def test_every_table_has_a_place() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [name for name in MAKERS if f"<!-- bench: {name} -->\n" not in page] == []


def test_the_page_has_the_tables_of_the_results(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    (tmp_path / "images").mkdir()
    page = tmp_path / PAGE.name
    page.write_text(text, encoding="utf-8")
    for path in (
        *RESULTS.glob("*.json"),
        *(PAGE.parent / "images").glob("*.svg"),
    ):  # the repository has plots only there
        shutil.copy(path, tmp_path)
    write(sorted(tmp_path.glob("*.json")), page)
    assert page.read_text(encoding="utf-8") == text, "run: python -m bench.tables --write"
