"""Inventories and settings for groups that pyinfra would pass over in silence, or end on with words of its own.

Nothing here talks to a host. Files are looked at where pyinfra looks for them: in the directory that it is started in,
and beside the inventory.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path

from hearth.runtime.command_line import CommandLine
from hearth.runtime.text import join_words

# Names of groups, to the names of their hosts.
Groups = Mapping[str, Sequence[str]]


def find_invocation_error(asked: CommandLine, directory: Path, load: Callable[[], Groups | None]) -> str:
    """What can't be meant in a command line, in a sentence that says what would be right; "" if nothing.

    Args:
        directory: the one that pyinfra was started in.
        load: reads the inventory: its groups, `all` among them; None if it can't be read, which pyinfra then says.
            Called where files alone don't tell, since reading an inventory may ask a person or a cloud.
    """
    path = directory / asked.inventory
    if path.is_dir():
        return f"{asked.inventory} is a directory, and an inventory is a file: {_choice(directory)} would be right"
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
    """Where the inventory is no file: one that was meant to be, or a host that there is not."""
    name = asked.inventory
    if any(char in name for char in ",@") or any(word.startswith("ssh_hostname=") for word in asked.data):
        return ""
    files = _inventories(directory)
    if "/" in name or name.endswith(".py"):
        close = difflib.get_close_matches(name, files, n=1)
        right = f"did you mean {close[0]}?" if close else f"{_choice(directory)} would be right"
        return f"there is no inventory file {name} in {directory}; {right}"
    groups = load()
    if groups is None or groups.get("all"):
        return ""
    same = [one for one in files if Path(one).stem == name]
    right = f"did you mean {same[0]}?" if same else f"an inventory file, such as {_choice(directory)}, would be right"
    return f"{name} is no inventory file, and no host of that name is known here; {right}"


def _no_match(asked: CommandLine, groups: Groups) -> str:
    hosts = groups.get("all", ())
    chosen: set[str] = set() if asked.limit else set(hosts)
    for option, patterns in (("--limit", asked.limit), ("--exclude", asked.exclude)):
        for one in patterns:
            found = set(groups[one]) if one in groups else {name for name in hosts if fnmatch(name, one)}
            if not found:
                there = f"the hosts {_some(hosts)} and the groups {_some(sorted(groups))}" if hosts else "no hosts"
                return f"{option} {one} matches no host; {asked.inventory} has {there}"
            chosen = chosen | found if option == "--limit" else chosen - found
    return "" if chosen else f"--exclude {' --exclude '.join(asked.exclude)} leaves no host over"


def _stray_group_data(asked: CommandLine, directory: Path, inventory: Path) -> str:
    """A file of settings for a group that no inventory has: pyinfra reads it, and gives what it says to nobody."""
    if "@" in inventory.read_text(encoding="utf-8", errors="replace"):
        return ""  # what "@…" stands for may bring groups of its own
    files = {inventory, *(directory / one for one in _inventories(directory)), *inventory.parent.glob("*.py")}
    known = {"all"}
    for one in files:
        names = group_names(one)
        if names is None:
            return ""
        known |= names
    places = dict.fromkeys([directory, inventory.parent.resolve()])
    for place in [*(place / "group_data" for place in places), *(directory / one for one in asked.group_data)]:
        for file in sorted(place.glob("*.py")) if place.is_dir() else [place]:
            if file.suffix != ".py" or file.stem in known or file.stem.startswith(("_", "@")):
                continue
            close = difflib.get_close_matches(file.stem, known, n=1)
            right = f"did you mean {close[0]}.py?" if close else f"groups are {_some(sorted(known))}"
            return (
                f"{_short(file, directory)} has settings for a group {file.stem}, which no inventory has, so they "
                f"would count for no host; {right}"
            )
    return ""


def group_names(inventory: Path) -> set[str] | None:
    """Names that may be groups in an inventory file; None where reading the file can't tell."""
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
    """Inventory files, as they are written on a command line."""
    found = (directory / "inventory").glob("*.py")
    return sorted(f"inventory/{path.name}" for path in found if not path.name.startswith("_"))


def _choice(directory: Path) -> str:
    return " or ".join(_inventories(directory)) or "a Python file with a list of hosts"


def _some(names: Iterable[str]) -> str:
    first, more = list(names)[:8], list(names)[8:]
    return f"{', '.join(first)} …" if more else join_words(first)


def _short(path: Path, directory: Path) -> str:
    return str(path.relative_to(directory)) if path.is_relative_to(directory) else str(path)
