"""Mistakes in an inventory or in group settings that pyinfra ignores silently, or reports unclearly.

Nothing here talks to a host. Files are searched where pyinfra searches: in the current directory and next to the
inventory.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path

from hearth.runtime.command_line import CommandLine
from hearth.runtime.text import join_words

# Group name → names of its hosts.
Groups = Mapping[str, Sequence[str]]


def find_invocation_error(asked: CommandLine, directory: Path, load: Callable[[], Groups | None]) -> str:
    """The mistake in a command line, with what to write instead; "" if there is none.

    Args:
        directory: where pyinfra was started.
        load: reads the inventory and returns its groups, including `all`; None if that fails, which pyinfra reports.
            Only called where the files alone don't suffice, since an inventory may prompt or query a cloud.
    """
    path = directory / asked.inventory
    if path.is_dir():
        return f"{asked.inventory} is a directory, not an inventory file; use {_choice(directory)}"
    if not path.is_file():
        if mistake := _no_file(asked, directory, load):
            return mistake
    elif mistake := _stray_group_data(asked, directory, path):
        return mistake
    if not asked.limit and not asked.exclude:
        return ""
    groups = load()
    return "" if groups is None else _no_match(asked, groups)


def _no_file(asked: CommandLine, directory: Path, load: Callable[[], Groups | None]) -> str:
    """The inventory is not an existing file: a misspelt file name or an unknown host."""
    name = asked.inventory
    if any(char in name for char in ",@") or any(word.startswith("ssh_hostname=") for word in asked.data):
        return ""
    files = _inventories(directory)
    if "/" in name or name.endswith(".py"):
        close = difflib.get_close_matches(name, files, n=1)
        fix = f"did you mean {close[0]}?" if close else f"use {_choice(directory)}"
        return f"there is no inventory file {name} in {directory}; {fix}"
    groups = load()
    if groups is None or groups.get("all"):
        return ""
    same = [one for one in files if Path(one).stem == name]
    fix = f"did you mean {same[0]}?" if same else f"use an inventory file such as {_choice(directory)}"
    return f"{name} is neither an inventory file nor a known host; {fix}"


def _no_match(asked: CommandLine, groups: Groups) -> str:
    hosts = groups.get("all", ())
    chosen: set[str] = set() if asked.limit else set(hosts)
    for option, patterns in (("--limit", asked.limit), ("--exclude", asked.exclude)):
        for one in patterns:
            found = set(groups[one]) if one in groups else {name for name in hosts if fnmatch(name, one)}
            if not found:
                available = f"the hosts {_some(hosts)} and the groups {_some(sorted(groups))}" if hosts else "no hosts"
                return f"{option} {one} matches no host; {asked.inventory} has {available}"
            chosen = chosen | found if option == "--limit" else chosen - found
    return "" if chosen else f"--exclude {' --exclude '.join(asked.exclude)} leaves no host"


def _stray_group_data(asked: CommandLine, directory: Path, inventory: Path) -> str:
    """A settings file for a group that no inventory has: pyinfra reads it and applies it to no host."""
    if "@" in inventory.read_text(encoding="utf-8", errors="replace"):
        return ""  # a connector ("@…") may define groups
    files = {inventory, *(directory / one for one in _inventories(directory)), *inventory.parent.glob("*.py")}
    known = {"all"}
    for one in files:
        names = group_names(one)
        if names is None:
            return ""
        known |= names
    directories = dict.fromkeys([directory, inventory.parent.resolve()])
    for path in [*(one / "group_data" for one in directories), *(directory / one for one in asked.group_data)]:
        for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            if file.suffix != ".py" or file.stem in known or file.stem.startswith(("_", "@")):
                continue
            close = difflib.get_close_matches(file.stem, known, n=1)
            fix = f"did you mean {close[0]}.py?" if close else f"groups are {_some(sorted(known))}"
            return (
                f"{_short(file, directory)} has settings for the group {file.stem}, but no inventory has that group; "
                f"{fix}"
            )
    return ""


def group_names(inventory: Path) -> set[str] | None:
    """Names that may be groups in an inventory file; None if the source alone does not determine them."""
    try:
        tree = ast.parse(inventory.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        return None
    names = {inventory.stem}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            if node.id in ("globals", "exec", "vars", "locals"):
                return None
            if isinstance(node.ctx, ast.Store):
                names.add(node.id)
        elif isinstance(node, ast.ImportFrom):
            if any(alias.name == "*" for alias in node.names):
                return None
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def _inventories(directory: Path) -> list[str]:
    """Inventory files, as written on a command line."""
    found = (directory / "inventory").glob("*.py")
    return sorted(f"inventory/{path.name}" for path in found if not path.name.startswith("_"))


def _choice(directory: Path) -> str:
    return " or ".join(_inventories(directory)) or "a Python file with a list of hosts"


def _some(names: Iterable[str]) -> str:
    first, more = list(names)[:8], list(names)[8:]
    return f"{', '.join(first)} …" if more else join_words(first)


def _short(path: Path, directory: Path) -> str:
    return str(path.relative_to(directory)) if path.is_relative_to(directory) else str(path)
