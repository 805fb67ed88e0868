"""The project's own layout: what pyinfra would pass over in silence."""

from __future__ import annotations

import inspect
import pkgutil
import runpy
from importlib import import_module
from typing import Any

import pytest
from pyinfra.api import FactBase
from pyinfra.api.arguments import all_argument_meta

import hearth
from hearth.settings.load import load_settings
from tests.support.shipped import PROJECT

# lab.py asks the running lab for its address, so it can't be read here.
STANDALONE = ("pi", "proxmox")


def groups(inventory: str) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """Groups of an inventory, as pyinfra takes them: each public list."""
    names = runpy.run_path(str(PROJECT / "inventory" / f"{inventory}.py"))
    return {name: value for name, value in names.items() if isinstance(value, list) and not name.startswith("_")}


@pytest.mark.parametrize("inventory", STANDALONE)
def test_every_host_of_an_inventory_has_valid_settings(defaults: dict[str, Any], inventory: str) -> None:
    hosts = [entry for group in groups(inventory).values() for entry in group]
    assert hosts
    for name, data in hosts:
        load_settings(defaults | data, name)


def test_every_file_in_group_data_is_a_group_of_some_inventory() -> None:
    """pyinfra silently ignores a misspelt file."""
    files = {path.stem for path in (PROJECT / "group_data").glob("*.py")}
    inventories = {path.stem for path in (PROJECT / "inventory").glob("*.py")}
    named = {name for inventory in STANDALONE for name in groups(inventory)}
    assert "all" in files
    assert files - {"all"} <= inventories | named


@pytest.mark.parametrize("inventory", STANDALONE)
def test_an_inventory_has_one_group_named_like_its_file(inventory: str) -> None:
    """pyinfra makes a group of any public list, and one of the file's name."""
    assert list(groups(inventory)) == [inventory]


def members(kind: str) -> list[Any]:
    """What modules of that kind define: "facts", "operations", "deploy"."""
    names = [module.name for module in pkgutil.walk_packages(hearth.__path__, "hearth.")]
    modules = [import_module(name) for name in names if name.endswith(kind)]
    return [
        member
        for module in modules
        for name, member in vars(module).items()
        if getattr(member, "__module__", "") == module.__name__ and not name.startswith("_")
    ]


def parameters(function: Any) -> set[str]:
    return set(inspect.signature(inspect.unwrap(function)).parameters)


def test_no_parameter_of_an_operation_shadows_one_of_pyinfras() -> None:
    operations = [member for member in members("operations") if hasattr(member, "_inner")]
    assert len(operations) >= 6
    for operation in operations:
        assert not parameters(operation._inner) & set(all_argument_meta), operation.__name__


def test_no_parameter_of_a_role_shadows_one_of_pyinfras() -> None:
    roles = [member for member in members("deploy") if inspect.isfunction(inspect.unwrap(member))]
    assert {"docker", "stack", "models"} <= {role.__name__ for role in roles}
    for role in roles:
        assert not parameters(role) & set(all_argument_meta), role.__name__


def test_no_argument_of_a_fact_shadows_one_of_pyinfras() -> None:
    facts = [member for member in members("facts") if inspect.isclass(member) and issubclass(member, FactBase)]
    assert len(facts) >= 7
    for fact in facts:
        assert not parameters(fact.command) & set(all_argument_meta), fact.__name__


def test_deploy_names_every_role_once_and_in_order() -> None:
    text = (PROJECT / "deploy.py").read_text()
    calls = [text.index(f"\n{role}(") for role in ("docker", "stack", "models")]
    assert calls == sorted(calls)
    assert text.index("preflight(settings") < calls[0]
