"""docs/preflight.md: every sentence that the preflight can say stands there, and the tests that it names exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

from tests.support.named import missing, unproven
from tests.support.shipped import PROJECT

PAGE = (PROJECT / "docs/preflight.md").read_text()
LINES = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| Condition ")]
NAME = re.compile(r"`((?:lab|pyinfra|unit|support)/[^`]+)`")
ROWS = {line: [f"tests/{name}" for name in NAME.findall(line)] for line in LINES}
# They look at a host themselves; all other rules are in modules that the two of the preflight import.
LOOKING = ("hearth.runtime.lock", "hearth.preflight.checks", "hearth.preflight.deploy")
# Shell, names of operations, sentences of other moments: settings (no host is asked) and pulls of models.
NOT_OF_IT = (
    "hearth.preflight.facts",
    "hearth.boot.deploy",
    "hearth.host.login",
    "hearth.settings.load",
    "hearth.settings.model",
    "hearth.models.plan",
)


def module(name: str) -> ast.Module:
    return ast.parse((PROJECT / f"{name.replace('.', '/')}.py").read_text())


def modules() -> list[str]:
    nodes = [node for name in LOOKING[1:] for node in module(name).body]
    imports = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return sorted({name for name in imports if name.startswith("hearth.")} - {*NOT_OF_IT} | {*LOOKING})


def sentences(name: str) -> Iterator[str]:
    """The words of a module's functions that are for people: three or more, as they stand between two values."""
    tree = module(name)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        for node in ast.walk(function):
            value = node.value if isinstance(node, ast.Constant) and id(node) not in docstrings else None
            if isinstance(value, str) and len(value.split()) >= 3:
                yield value.strip().removeprefix(". ")


def test_every_sentence_stands_in_the_page_and_every_row_has_one() -> None:
    said = {words for name in modules() for words in sentences(name)}
    assert len(said) > 80
    assert sorted(words for words in said if words not in PAGE.replace("\\|", "|")) == []
    said |= {*sentences("hearth.firewall.deploy")}  # of which one is a note
    for row in ROWS:
        read = row.replace("\\|", "¦").split(" | ")[1].replace("¦", "|")
        assert any(words in read for words in said), row


def test_every_row_names_tests_that_exist_or_says_that_there_is_none() -> None:
    assert [row for row, names in ROWS.items() if not names and "no test" not in row] == []
    named = {name for names in ROWS.values() for name in names}
    assert missing(PROJECT, [name for name in named if "::" in name]) == []
    assert [name for name in named if not (PROJECT / name.partition("::")[0]).is_file()] == []


def test_what_was_not_yet_seen_passing_is_said_and_what_no_real_host_showed() -> None:
    waiting = cache(unproven)
    for row, names in ROWS.items():
        tests = [name.partition("::") for name in names if "::" in name]
        assert any(test in waiting(PROJECT / path) for path, _, test in tests) is ("not yet seen passing" in row), row
        if not any(name.startswith(("tests/lab/", "tests/pyinfra/")) for name in names):
            assert re.search("unit test only|recorded|no test", row), row
