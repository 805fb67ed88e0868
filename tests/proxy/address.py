"""Loopback addresses (127.0.0.0/8) for servers that need their usual ports."""

from __future__ import annotations

import random
import socket


def free_address(*ports: int) -> str:
    """A loopback address at which all of the ports are free.

    Raises:
        RuntimeError: one of the ports is in use on all addresses.
    """
    taken = 0
    for _ in range(10):
        address = f"127.{random.randint(16, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}"
        taken = next((port for port in ports if not _is_free(address, port)), 0)
        if not taken:
            return address
    raise RuntimeError(f"port {taken} is in use on all addresses of this machine; stop the program that uses it")


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except PermissionError:  # a port below 1024, which needs root
            return True
        except OSError:
            return False
        return True


def responds(address: str, port: int) -> bool:
    """Whether a web server responds there. (httpd listens before it has read its configuration for the second time.)"""
    try:
        with socket.create_connection((address, port), timeout=1) as connection:
            connection.sendall(b"HEAD / HTTP/1.0\r\nHost: localhost\r\nUser-Agent: hearth-health\r\n\r\n")
            return connection.recv(5) == b"HTTP/"
    except OSError:
        return False
