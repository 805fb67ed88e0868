"""The hosts of an inventory, as the real pyinfra lists them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hearth.runtime.pyinfra_process import InventoryError, list_hosts


def test_hosts_are_listed_whatever_pyinfra_is_told_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inventory = tmp_path / "pis.py"
    inventory.write_text('pi = ["one", "two"]\n')
    for name, value in {"LIMIT": "two", "EXCLUDE": "one", "YES": "1", "DRY": "1"}.items():
        monkeypatch.setenv(f"PYINFRA_{name}", value)
    assert list_hosts(str(inventory), [], 60) == ["one", "two"]
    assert list_hosts(str(inventory), ["t*"], 60) == ["two"]
    with pytest.raises(InventoryError, match=r"pis\.py: no host of the inventory matches"):
        list_hosts(str(inventory), ["three"], 60)
    inventory.write_text("pi = [\n")
    with pytest.raises(InventoryError, match="was never closed"):
        list_hosts(str(inventory), [], 60)
    with pytest.raises(InventoryError, match=r"timed out after 0\.01 s"):
        list_hosts(str(inventory), [], 0.01)
