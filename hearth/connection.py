"""The ssh connection to a host, watched while a run goes on.

pyinfra waits for a command's output without an end. A host whose plug was pulled, or a network that went away, sends
none and no word of farewell either: the run would hang for ever. So the host is asked for a sign of life now and then.
"""

from __future__ import annotations

from typing import Any

import gevent
from pyinfra import logger
from pyinfra.api.host import Host

from hearth.ending import blame

# Seconds. Generous: a Pi that swaps, or a wireless network that comes back, is not given up.
PAUSE, PATIENCE = 15, 105


def watch_connection(host: Host, pause: float = PAUSE, patience: float = PATIENCE) -> gevent.Greenlet | None:
    """End the run on this host, with a sentence, once it gave no sign of life for `patience` seconds.

    Connections that are not ssh (`@local`) are not watched.

    Args:
        host: one of the inventory's. `pyinfra.host` will not do: it means something only where pyinfra runs a deploy's
            code, and not in what watches beside it.

    Returns:
        what watches, for tests.
    """
    client = getattr(host.connector, "client", None)
    transport = client.get_transport() if client is not None else None
    return gevent.spawn(_watch, host, transport, pause, patience) if transport is not None else None


def _watch(host: Host, transport: Any, pause: float, patience: float) -> None:
    while transport.is_active():
        if not _is_alive(transport, patience):
            message = (
                f"the host has given no sign of life for {patience:.0f} s: its power or its network went away. What "
                "was done so far stays. Deploy again when it is back: that finishes what was begun."
            )
            logger.error(f"{host.print_prefix}{message}")
            blame(host, [message])
            transport.close()  # what waits for the host's output gets its end
            return
        gevent.sleep(pause)


def _is_alive(transport: Any, patience: float) -> bool:
    """Whether the host answers at all; sshd refuses this request, and a refusal is an answer."""
    with gevent.Timeout(patience, False):
        transport.global_request("keepalive@openssh.com", wait=True)
        return True
    return False
