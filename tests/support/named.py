"""Tests that are named in texts and tables: whether they exist, and have passed."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path


def missing(project: Path, names: Iterable[str]) -> list[str]:
    """The names (`tests/some/test_file.py::test_name`) without a test in the project."""
    return [name for name in names if not _exists(project, name)]


def unproven(path: Path) -> set[str]:
    """Names of the tests in a file with the marker `unproven`, on the test, a case, or the whole file."""
    tree = ast.parse(path.read_text())
    tests = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    marks = [
        node for node in tree.body if isinstance(node, ast.Assign) and "pytestmark" in ast.unparse(node.targets[0])
    ]
    if any("unproven" in ast.unparse(mark.value) for mark in marks):
        return {test.name for test in tests}
    return {test.name for test in tests if any("unproven" in ast.unparse(one) for one in test.decorator_list)}


def _exists(project: Path, name: str) -> bool:
    path, _, function = name.partition("::")
    if not (project / path).is_file():
        return False
    tree = ast.parse((project / path).read_text())
    return any(isinstance(node, ast.FunctionDef) and node.name == function for node in ast.walk(tree))
