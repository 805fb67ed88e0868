"""A local port that is forwarded through TLS, for clients without TLS."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from types import TracebackType


class Tunnel:
    """Listens at `address` until the end of the block; all bytes are forwarded unchanged over TLS.

    Args:
        to: where to connect.
        context: for TLS.
        name: that the certificate must have; "" if the context does not check it.
    """

    def __init__(self, to: tuple[str, int], context: ssl.SSLContext, name: str) -> None:
        self._to, self._context, self._name = to, context, name
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address: tuple[str, int] = ("127.0.0.1", self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Tunnel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Accept no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._forward, args=(plain,), daemon=True).start()

    def _forward(self, plain: socket.socket) -> None:
        try:
            far = socket.create_connection(self._to, timeout=30)
            secure = self._context.wrap_socket(far, server_hostname=self._name or None)
        except OSError:
            plain.close()
            return
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        secure.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with plain, secure, contextlib.suppress(OSError):
            _copy(plain, secure)


def _copy(plain: socket.socket, secure: ssl.SSLSocket) -> None:
    """Copy in both directions, until both ends or the remote end are closed.

    In one thread: two must not use the same TLS connection at once.
    """
    ends: list[socket.socket] = [plain, secure]
    while secure in ends:
        ready, _, _ = ([secure], [], []) if secure.pending() else select.select(ends, [], [], 120)
        if not ready:
            return
        for end in ready:
            # TLS records may contain no data for us.
            end.settimeout(0)
            try:
                piece = end.recv(65536)
            except (ssl.SSLWantReadError, BlockingIOError):
                continue
            other = secure if end is plain else plain
            other.settimeout(30)
            if piece:
                other.sendall(piece)
            elif end is plain:
                ends.remove(plain)
                # A client that half-closes still listens; TLS would close both, so this is not forwarded.
            else:
                return
