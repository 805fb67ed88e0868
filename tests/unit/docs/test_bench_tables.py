"""The tables of measurements, and how they get into the documentation."""

from __future__ import annotations

import json
from pathlib import Path

from bench.tables import MAKERS, PAGE, deploy_table, write

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
