"""Tests that are named in texts and tables: whether they exist."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path


def missing(project: Path, names: Iterable[str]) -> list[str]:
    """Those of the names (`tests/some/test_file.py::test_name`) that are no tests of the project."""
    return [name for name in names if not _exists(project, name)]


def _exists(project: Path, name: str) -> bool:
    path, _, function = name.partition("::")
    if not (project / path).is_file():
        return False
    tree = ast.parse((project / path).read_text())
    return any(isinstance(node, ast.FunctionDef) and node.name == function for node in ast.walk(tree))
