"""Which package of `hearth/` imports which, so that the layout in CONTRIBUTING.md stays true."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.checks import repository_files
from tests.support.shipped import PROJECT

# From the bottom up: a package imports only packages above it in this table, so there are no cycles.
MAY_IMPORT = {
    "paths": "",
    "settings": "paths",
    "host": "paths",
    "runtime": "paths settings",
    "render": "paths settings",
    "access": "paths runtime settings",
    "boot": "host paths runtime settings",
    "docker": "host paths runtime settings",
    "drift": "runtime",
    "firewall": "docker host paths render runtime settings",
    "metrics": "docker paths render runtime settings",
    "mdns": "docker paths runtime settings",
    "virtual_address": "docker paths render runtime settings",
    "models": "docker paths runtime settings",
    "rollout": "docker paths runtime settings",
    "gpu": "docker host paths rollout runtime settings",
    "releases": "docker gpu paths render rollout runtime settings",
    "tls": "paths runtime settings",
    "outbound": "docker paths runtime settings tls",
    "footprint": "docker firewall metrics outbound paths runtime",
    "preflight": "boot docker firewall gpu host metrics models outbound paths runtime settings virtual_address",
    "stack": "boot docker gpu host paths preflight releases render rollout runtime settings tls",
    "doctor": "paths runtime settings stack",
    "watch": "drift paths runtime settings",
    "usage": "paths runtime",
    "uninstall": "boot docker firewall footprint gpu mdns metrics outbound paths render runtime settings "
    "virtual_address",
    "backup": "docker footprint models paths render runtime settings stack tls",
    "bundle": "backup docker host mdns metrics paths runtime settings stack virtual_address",
    "cli": "bundle doctor drift host models paths rollout runtime settings tls usage watch",
}


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of what a file imports, also within functions: `from a import b` is "a.b"."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: write the import with its whole name, hearth.…"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def modules(below: str = "hearth") -> list[Path]:
    # Not what other tests create and remove meanwhile.
    found = [PROJECT / name for name in repository_files(PROJECT, f"{below}/*.py")]
    assert found
    return found


def package_of(path: Path) -> str:
    """ "docker" for hearth/docker/facts.py, "paths" for hearth/paths.py."""
    return path.relative_to(PROJECT / "hearth").parts[0].removesuffix(".py")


def package_imports() -> Iterator[tuple[str, str, str]]:
    """(package, another that it imports, "file:line")."""
    for path in modules():
        for line, name in imported(path):
            top, *rest = name.split(".")
            if top == "hearth" and rest[0] in MAY_IMPORT and rest[0] != package_of(path):
                yield package_of(path), rest[0], f"{path.relative_to(PROJECT)}:{line}"


def test_every_package_is_in_the_table() -> None:
    assert {package_of(path) for path in modules()} - {"__init__"} == set(MAY_IMPORT), (
        "MAY_IMPORT has a row for each module and package directly below hearth/: add the new one, remove what is gone"
    )


def test_a_package_imports_only_what_its_row_allows() -> None:
    wrong = [
        f"{place}: hearth/{package} may not import hearth/{other}. Move what both need into a package that both may "
        f"import, or pass it as an argument; if the dependency is intended, add {other} to the row of {package}"
        for package, other, place in package_imports()
        if other not in MAY_IMPORT[package].split()
    ]
    assert not wrong, "\n".join(wrong)


def test_no_row_allows_more_than_is_imported() -> None:
    used = {(package, other) for package, other, _ in package_imports()}
    allowed = {(package, other) for package, row in MAY_IMPORT.items() for other in row.split()}
    assert not allowed - used, "nothing imports these any more: remove them from the rows"


def test_there_are_no_cycles() -> None:
    order = list(MAY_IMPORT)
    for package, row in MAY_IMPORT.items():
        below = order[: order.index(package)]
        assert set(row.split()) <= set(below), f"the row of {package} names a package that comes later in the table"


@pytest.mark.parametrize(
    ("file", "banned"),
    [
        # Rules across settings look at a complete Settings.
        ("model", "hearth.settings.rules"),
        ("model", "hearth.settings.tls_rules"),
        ("model", "hearth.settings.load"),
        ("rules", "hearth.settings.load"),
    ],
)
def test_the_model_of_the_settings_knows_nothing_of_the_rules_across_them(file: str, banned: str) -> None:
    names = [name for _, name in imported(PROJECT / f"hearth/settings/{file}.py")]
    assert names
    assert not [name for name in names if name.startswith(banned)]


def test_settings_are_validated_in_one_place() -> None:
    """`load_settings` applies the rules across settings after it; anything else would skip them."""
    places = [
        str(path.relative_to(PROJECT))
        for below in ("hearth", "deploys", "lab", "tests")
        for path in modules(below)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("model_validate")
        and isinstance(node.value, ast.Name)
        and node.value.id == "Settings"
    ]
    assert places == ["hearth/settings/load.py"], "call load_settings instead of Settings.model_validate"
