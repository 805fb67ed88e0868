"""Which server responds on a port, identified by its response."""

from __future__ import annotations

import http.client
import ssl
from typing import Literal

from hearth.doctor.http_client import Endpoint, call
from hearth.doctor.http_response import Response

# Parts of the page's Content-Security-Policy.
_POLICY = ("default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'")

Owner = Literal["hearth", "ollama", "flask", "tls", "other"]


def identify_server(front: Response) -> Owner:
    """The server that sent a response to `GET /`."""
    text = front.body[:65536].decode(errors="replace")
    if front.status == 200 and "Ollama is running" in text[:100]:
        return "ollama"
    if is_tls_hint(front):
        return "tls"
    policy = front.header("content-security-policy")
    if front.status == 200 and "chat.js" in text:
        return "hearth"
    # Its refusals include the policy, too.
    if front.status in (200, 401, 403) and all(rule in policy for rule in _POLICY):
        return "hearth"
    if front.header("server").startswith("Werkzeug/"):
        return "flask"
    return "other"


def is_tls_hint(response: Response) -> bool:
    """Whether it is the error that servers send for plain HTTP on an HTTPS port (Apache, nginx, Go)."""
    text = response.body[:2000].decode(errors="replace").lower()
    return response.status in (400, 426, 497) and any(
        phrase in text for phrase in ("plain http", "http request to an https server", "ssl-enabled server port")
    )


def server_name(front: Response) -> str:
    """A short description of the server that sent a response."""
    names = {
        "hearth": "Hearth's chat page",
        "ollama": 'Ollama itself ("Ollama is running")',
        "flask": f"a Flask program ({front.header('server')})",
        "tls": "a server that requires https",
    }
    owner = identify_server(front)
    server = f", {front.header('server')}" if front.header("server") else ""
    return names.get(owner, f"another web server (status {front.status}{server})")


def probe_server(endpoint: Endpoint) -> Response | None:
    """The response to `GET /`, or None if nothing speaks HTTP."""
    try:
        return call(endpoint, "GET", "/")
    except (OSError, http.client.HTTPException):
        return None


def speaks_tls(endpoint: Endpoint) -> bool:
    """Whether the port accepts a TLS handshake."""
    try:
        Endpoint(endpoint.target.at(endpoint.target.port, "https"), endpoint.address, endpoint.timeout).open().close()
    except (OSError, ssl.SSLError, http.client.HTTPException):
        return False
    return True
