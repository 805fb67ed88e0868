"""The address that is printed for a host: one that browsers know."""

from __future__ import annotations

from pathlib import Path

import pytest

from hearth.runtime.ssh_address import network_address

CONFIG = """
Host kitchen
  HostName 192.168.1.189
  User pi
Host attic
  HostName %h.fritz.box
Host cellar
  User pi
Host *
  Port 22
"""


@pytest.mark.parametrize(
    ("name", "data", "address"),
    [
        ("kitchen", {}, "192.168.1.189"),
        ("pi", {"ssh_hostname": "kitchen"}, "192.168.1.189"),
        ("attic", {}, "attic.fritz.box"),
        ("cellar", {}, "cellar"),
        ("pi.local", {}, "pi.local"),
        ("kitchen", {"ssh_hostname": "10.0.0.9"}, "10.0.0.9"),
        ("@local", {}, "localhost"),
    ],
)
def test_alias_is_resolved(name: str, data: dict[str, str], address: str, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(CONFIG)
    assert network_address(name, {"ssh_config_file": str(config)} | data) == address


def test_without_a_configuration(tmp_path: Path) -> None:
    assert network_address("kitchen", {"ssh_config_file": str(tmp_path / "none")}) == "kitchen"
