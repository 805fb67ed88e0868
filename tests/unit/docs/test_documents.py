"""The docs are consistent: links are valid, decisions are numbered and indexed, the README is short."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from tests.support.checks import repository_files
from tests.support.shipped import PROJECT

FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
# References to pages in code, settings or other texts: `docs/tls.md`, `docs/doctor.md#id`, `docs/decisions/0003`.
NAMED = re.compile(r"(?<![\w/.-])docs/(?:decisions/\d{4}|[a-z-]+\.md)")
DECISION = re.compile(r"# (\d{4}): (.+)\n\n(\d{4}-\d\d-\d\d) · ((?:Accepted|Superseded by ).*)\n")


PAGES = repository_files(PROJECT, "*.md")
DECISIONS = [name for name in PAGES if re.match(r"docs/decisions/\d", name)]


@cache
def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as on GitHub."""
    headings = HEADING.findall(FENCE.sub("", page.read_text()))
    words = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings]
    return {re.sub(r"[^\w\- ]", "", word).replace(" ", "-") for word in words}


@pytest.mark.parametrize("name", PAGES)
def test_links_are_valid(name: str) -> None:
    page = PROJECT / name
    wrong = []
    for target in LINK.findall(FENCE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        if not linked.exists() or (anchor and linked.suffix == ".md" and anchor not in anchors(linked)):
            wrong.append(target)
    assert wrong == []


def test_pages_named_in_code_and_settings_exist() -> None:
    wrong = []
    for name in repository_files(PROJECT, "*.py", "*.md", "*.j2", "*.bash", "*.sh", "*.js", "*.yml", "Makefile"):
        for page in NAMED.findall((PROJECT / name).read_text()):
            if not (PROJECT / page).is_file() and not list((PROJECT / page).parent.glob(f"{Path(page).name}-*.md")):
                wrong.append(f"{name}: {page}")
    assert wrong == []


def test_every_page_is_in_the_index() -> None:
    index = (PROJECT / "docs/README.md").read_text()
    pages = [name.removeprefix("docs/") for name in PAGES if re.match(r"docs/[a-z-]+\.md", name)]
    assert len(pages) > 15
    assert [name for name in pages if f"]({name})" not in index] == []


def test_decisions_have_consecutive_numbers_and_complete_headers() -> None:
    assert [int(name.split("/")[2][:4]) for name in DECISIONS] == [*range(1, len(DECISIONS) + 1)]
    for name in DECISIONS:
        head = DECISION.match((PROJECT / name).read_text())
        assert head, f"{name}: the first lines are `# NNNN: Title`, an empty line, `YYYY-MM-DD · Accepted`"
        assert head[1] == name.split("/")[2][:4], name


def test_index_of_decisions_is_complete() -> None:
    index = (PROJECT / "docs/decisions/README.md").read_text()
    for name in DECISIONS:
        head = DECISION.match((PROJECT / name).read_text())
        assert head
        assert f"| [{head[1]}]({Path(name).name}) | {head[2]} | {head[3]} | {head[4]} |" in index


def test_readme_is_short() -> None:
    assert len((PROJECT / "README.md").read_text().splitlines()) <= 150
