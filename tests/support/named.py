"""Tests that are named in texts and tables: whether they exist, and were seen passing."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path


def missing(project: Path, names: Iterable[str]) -> list[str]:
    """Those of the names (`tests/some/test_file.py::test_name`) that are no tests of the project."""
    return [name for name in names if not _exists(project, name)]


def unproven(path: Path) -> set[str]:
    """Names of the tests in a file that have the marker `unproven`, on themselves, on a case, or on the whole file."""
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
