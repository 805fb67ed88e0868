"""Who answers on a port, judged by how it answers."""

from __future__ import annotations

import http.client
import ssl
from typing import Literal

from hearth.doctor.http_client import Endpoint, call
from hearth.doctor.http_response import Answer

# Of the page's Content-Security-Policy.
_POLICY = ("default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'")

Owner = Literal["hearth", "ollama", "flask", "tls", "other"]


def identify_server(front: Answer) -> Owner:
    """Whose an answer to `GET /` is."""
    text = front.body[:65536].decode(errors="replace")
    if front.status == 200 and "Ollama is running" in text[:100]:
        return "ollama"
    if speaks_of_tls(front):
        return "tls"
    policy = front.header("content-security-policy")
    if front.status == 200 and "chat.js" in text:
        return "hearth"
    # Its refusals have the policy, too.
    if front.status in (200, 401, 403) and all(rule in policy for rule in _POLICY):
        return "hearth"
    if front.header("server").startswith("Werkzeug/"):
        return "flask"
    return "other"


def speaks_of_tls(answer: Answer) -> bool:
    """Whether it is what servers say to plain HTTP on a port of HTTPS (Apache, nginx, Go)."""
    text = answer.body[:2000].decode(errors="replace").lower()
    return answer.status in (400, 426, 497) and any(
        words in text for words in ("plain http", "http request to an https server", "ssl-enabled server port")
    )


def server_name(front: Answer) -> str:
    """What a person would call the program that gave an answer."""
    names = {
        "hearth": "Hearth's chat page",
        "ollama": 'Ollama itself ("Ollama is running")',
        "flask": f"a Flask program ({front.header('server')})",
        "tls": "a server that wants https",
    }
    owner = identify_server(front)
    server = f" of {front.header('server')}" if front.header("server") else ""
    return names.get(owner, f"another web server (status {front.status}{server})")


def probe_server(way: Endpoint) -> Answer | None:
    """What `GET /` gives, or None where nothing speaks HTTP."""
    try:
        return call(way, "GET", "/")
    except (OSError, http.client.HTTPException):
        return None


def speaks_tls(way: Endpoint) -> bool:
    """Whether the port takes a TLS handshake."""
    try:
        Endpoint(way.target.at(way.target.port, "https"), way.address, way.timeout).open().close()
    except (OSError, ssl.SSLError, http.client.HTTPException):
        return False
    return True
