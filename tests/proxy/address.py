"""Addresses of this machine's own (127.0.0.0/8) for servers that must have their usual ports."""

from __future__ import annotations

import random
import socket


def free_address(*ports: int) -> str:
    """A loopback address at which none of the ports is taken.

    Raises:
        RuntimeError: something on this machine holds one of the ports on all addresses.
    """
    taken = 0
    for _ in range(10):
        address = f"127.{random.randint(16, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}"
        taken = next((port for port in ports if not _is_free(address, port)), 0)
        if not taken:
            return address
    raise RuntimeError(f"port {taken} is taken on all addresses of this machine; what holds it must go for these tests")


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except PermissionError:  # a port below 1024, which root alone may take
            return True
        except OSError:
            return False
        return True


def answers(address: str, port: int) -> bool:
    """Whether a web server answers there. (httpd listens before it has read its configuration for the second time.)"""
    try:
        with socket.create_connection((address, port), timeout=1) as connection:
            connection.sendall(b"HEAD / HTTP/1.0\r\nHost: localhost\r\nUser-Agent: hearth-health\r\n\r\n")
            return connection.recv(5) == b"HTTP/"
    except OSError:
        return False
