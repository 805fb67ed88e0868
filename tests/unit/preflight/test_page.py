"""docs/preflight.md quotes every preflight message, and the tests that it names exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

from tests.support.named import missing, unproven
from tests.support.shipped import PROJECT

PAGE = (PROJECT / "docs/preflight.md").read_text()
LINES = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| Condition ")]
NAME = re.compile(r"`((?:lab|proxy|pyinfra|unit|support)/[^`]+)`")
ROWS = {line: [f"tests/{name}" for name in NAME.findall(line)] for line in LINES}
# Modules that inspect a host; the others have rules, and preflight's modules import them.
INSPECTING = ("hearth.runtime.lock", "hearth.runtime.sudo", "hearth.preflight.checks", "hearth.preflight.deploy")
# Shell, names of operations, and messages at other times: of settings (before any host is contacted) and model pulls.
EXCLUDED = (
    "hearth.preflight.facts",
    "hearth.boot.deploy",
    "hearth.host.login",
    "hearth.settings.house",
    "hearth.settings.load",
    "hearth.settings.model",
    "hearth.settings.http_proxy",
    "hearth.settings.virtual_address",
    "hearth.virtual_address.facts",
    "hearth.models.plan",
)


def module(name: str) -> ast.Module:
    return ast.parse((PROJECT / f"{name.replace('.', '/')}.py").read_text())


def modules() -> list[str]:
    nodes = [node for name in INSPECTING[2:] for node in module(name).body]
    imports = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return sorted({name for name in imports if name.startswith("hearth.")} - {*EXCLUDED} | {*INSPECTING})


def literal_parts(name: str) -> Iterator[str]:
    """The literal parts of a module's messages: strings in functions with three words or more, split at values."""
    tree = module(name)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        for node in ast.walk(function):
            value = node.value if isinstance(node, ast.Constant) and id(node) not in docstrings else None
            if isinstance(value, str) and len(value.split()) >= 3:
                yield value.strip().removeprefix(". ")


def test_the_page_has_every_message_and_every_row_has_one() -> None:
    messages = {words for name in modules() for words in literal_parts(name)}
    assert len(messages) > 80
    assert sorted(words for words in messages if words not in PAGE.replace("\\|", "|")) == []
    # Some of theirs are notes, or about other things.
    messages |= {*literal_parts("hearth.firewall.deploy"), *literal_parts("hearth.cli.session")}
    for row in ROWS:
        quoted = row.replace("\\|", "¦").split(" | ")[1].replace("¦", "|")
        assert any(words in quoted for words in messages), row


def test_every_row_names_existing_tests_or_has_no_test() -> None:
    assert [row for row, names in ROWS.items() if not names and "no test" not in row] == []
    named = {name for names in ROWS.values() for name in names}
    assert missing(PROJECT, [name for name in named if "::" in name]) == []
    assert [name for name in named if not (PROJECT / name.partition("::")[0]).is_file()] == []


def test_unproven_and_simulated_rows_are_marked() -> None:
    waiting = cache(unproven)
    for row, names in ROWS.items():
        tests = [name.partition("::") for name in names if "::" in name]
        assert any(test in waiting(PROJECT / path) for path, _, test in tests) is ("has not passed yet" in row), row
        if not any(name.startswith(("tests/lab/", "tests/proxy/", "tests/pyinfra/")) for name in names):
            assert re.search("unit test only|recorded|no test", row), row
