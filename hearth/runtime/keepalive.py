"""Keepalive for the ssh connection to a host during a run.

pyinfra waits for a command's output without a timeout. If the host loses power or the network fails, the connection is
never closed, and the run would hang forever. So the host must respond to a keepalive request now and then.
"""

from __future__ import annotations

from typing import Any

import gevent
from pyinfra import logger
from pyinfra.api.host import Host
from pyinfra.context import ctx_host

from hearth.runtime.journal import record_failure

# Seconds. Long enough for a Pi that swaps, or a wireless network that recovers.
INTERVAL, TIMEOUT = 15, 105


def start_keepalive(interval: float = INTERVAL, timeout: float = TIMEOUT) -> gevent.Greenlet | None:
    """Fail the run on the current host once it has not responded for `timeout` seconds.

    A connection that replaces the first one, as after a reboot, is covered as well. Connections other than ssh
    (`@local`) are not.

    Returns:
        the background task, for tests. It runs as long as the host responds.
    """
    # The host object itself: `pyinfra.host` is not defined in the background task.
    host: Host = ctx_host.get()  # type: ignore[no-untyped-call]
    return gevent.spawn(_watch, host, interval, timeout) if _transport(host) is not None else None


def _watch(host: Host, interval: float, timeout: float) -> None:
    while True:
        transport = _transport(host)
        if transport is not None and transport.is_active() and not _is_alive(transport, timeout):
            message = (
                f"no response from the host for {timeout:.0f} s (power or network lost?). Completed steps are kept; "
                "deploy again to finish."
            )
            logger.error(f"{host.print_prefix}{message}")
            record_failure(host, [message])
            transport.close()  # ends the wait for the host's output
            return
        gevent.sleep(interval)


def _transport(host: Host) -> Any:
    """The current ssh connection; None if there is none."""
    client = getattr(host.connector, "client", None)
    return client.get_transport() if client is not None else None


def _is_alive(transport: Any, timeout: float) -> bool:
    """Whether the host responds at all; sshd refuses this request, which is a response."""
    with gevent.Timeout(timeout, False):
        transport.global_request("keepalive@openssh.com", wait=True)
        return True
    return False
