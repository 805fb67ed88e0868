"""The ssh connection to a host, watched while a run goes on.

pyinfra waits for a command's output without an end. A host whose plug was pulled, or a network that went away, sends
none and no word of farewell either: the run would hang for ever. So the host is asked for a sign of life now and then.
"""

from __future__ import annotations

from typing import Any

import gevent
from pyinfra import logger
from pyinfra.api.host import Host
from pyinfra.context import ctx_host

from hearth.runtime.journal import record_failure

# Seconds. Generous: a Pi that swaps, or a wireless network that comes back, is not given up.
PAUSE, PATIENCE = 15, 105


def start_keepalive(pause: float = PAUSE, patience: float = PATIENCE) -> gevent.Greenlet | None:
    """End the run on the host of this code, with a sentence, once it gave no sign of life for `patience` seconds.

    A connection that replaces the first one, as after a restart of the host, is watched as well. Connections that are
    not ssh (`@local`) are not.

    Returns:
        what watches, for tests. It never ends by itself as long as the host lives.
    """
    # The host itself: `pyinfra.host` means something only here, and not in what watches beside this code.
    host: Host = ctx_host.get()  # type: ignore[no-untyped-call]
    return gevent.spawn(_watch, host, pause, patience) if _transport(host) is not None else None


def _watch(host: Host, pause: float, patience: float) -> None:
    while True:
        transport = _transport(host)
        if transport is not None and transport.is_active() and not _is_alive(transport, patience):
            message = (
                f"the host has given no sign of life for {patience:.0f} s: its power or its network went away. What "
                "was done so far stays. Deploy again when it is back: that finishes what was begun."
            )
            logger.error(f"{host.print_prefix}{message}")
            record_failure(host, [message])
            transport.close()  # what waits for the host's output gets its end
            return
        gevent.sleep(pause)


def _transport(host: Host) -> Any:
    """The ssh connection that is in use now; None where there is none."""
    client = getattr(host.connector, "client", None)
    return client.get_transport() if client is not None else None


def _is_alive(transport: Any, patience: float) -> bool:
    """Whether the host answers at all; sshd refuses this request, and a refusal is an answer."""
    with gevent.Timeout(patience, False):
        transport.global_request("keepalive@openssh.com", wait=True)
        return True
    return False
