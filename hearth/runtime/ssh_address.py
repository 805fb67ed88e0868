"""The address of a host for programs other than ssh."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyinfra.connectors.sshuserclient.client import get_ssh_config


def network_address(name: str, data: Mapping[str, Any]) -> str:
    """A host's name or IP address on the network.

    The inventory may name an alias of ssh's configuration, which browsers don't know; its `HostName` is used then, as
    pyinfra does to connect.

    Args:
        name: of the host in the inventory.
        data: its pyinfra data, of which `ssh_hostname` and `ssh_config_file` matter.
    """
    if name == "@local":
        return "localhost"
    called = str(data.get("ssh_hostname") or name)
    config = get_ssh_config(data.get("ssh_config_file"))
    return str(config.lookup(called).get("hostname", called)) if config else called
