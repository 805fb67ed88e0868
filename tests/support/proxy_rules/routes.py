"""Paths and methods: what is no route never reaches Ollama, however it is spelt."""

from __future__ import annotations

from tests.support.proxy_rules.case import OK, Case, R, Want, asks, raw
from tests.support.proxy_rules.origins import EVIL

NOT_ALLOWED = Want((405,), error=True)
NOWHERE = Want((404, 405))
NAME = b'{"model":"x"}'

METHODS = [
    *(
        Case(12, f"{method} to a route of POST", asks(method), NOT_ALLOWED)
        for method in ("GET", "PUT", "DELETE", "PATCH")
    ),
    Case(12, "HEAD to a route of POST", asks("HEAD"), Want((405,)), heads=True),
    *(
        Case(12, f"{name} to a route of GET", asks(name, "/api/tags"), NOT_ALLOWED)
        for name in ("POST", "PUT", "DELETE")
    ),
    *(Case(12, f"{name} to the page", asks(name, "/"), Want((405,))) for name in ("POST", "PUT", "DELETE", "PATCH")),
    *(
        Case(13, f"TRACE {path}", asks("TRACE", path, "X-Echo: secret"), Want((405,), lacks=b"secret"))
        for path in (R, "/")
    ),
    *(
        Case(
            14,
            f"CONNECT {to}",
            raw(f"CONNECT {to} HTTP/1.1", f"Host: {to}", "Connection: close", follow=False),
            Want((400, 405)),
        )
        for to in ("127.0.0.1:11434", "ollama:11434", "ollama:22")
    ),
    *(Case(40, f"{name} to a route", asks(name), Want((405, 501))) for name in ("PROPFIND", "PURGE", "post", "FOO")),
    Case(41, "a method in a header", asks("POST", R, "X-HTTP-Method-Override: DELETE"), OK),
]

MANAGEMENT = [
    *(("DELETE", "/api/delete"), ("POST", "/api/pull"), ("POST", "/api/push"), ("POST", "/api/create")),
    *(("POST", "/api/copy"), ("POST", "/api/blobs/sha256:0"), ("POST", "/api/me"), ("POST", "/api/signout")),
    *(("POST", "/api/generate"), ("GET", "/api/ps"), ("GET", "/debug/pprof/")),
]
AROUND = [
    *(
        "/../delete",
        "/%2e%2e/delete",
        "/..%2fdelete",
        "/..;/delete",
        "/%252e%252e/delete",
        "/.%2e/delete",
        "/..%5cdelete",
    ),
    *("/..\\delete", "/x", "/", "x", ";x", "%00", "%0d%0aX-A: b", "%3f", "%23", "%20", ".json"),
]
GATED = ["//api//ollama", "/api/./ollama", "/%61pi/ollama", "/x/../api/ollama", "/api/%6fllama", "/./api/ollama?x"]
FILES = [
    *("/../../etc/passwd", "/..%2f..%2fetc/passwd", "/.%2e/%2e%2e/etc/passwd", "/cgi-bin/.%2e/.%2e/etc/passwd"),
    *("//etc/passwd", "/%2fetc/passwd", "/conf/hearth/httpd.conf", "/server-status", "/icons/", "/.git/config"),
]
REFUSED = Want((400, 403, 404, 405))

ROUTES = [
    Case(14, "Ollama's address as the path", asks("GET", "http://ollama:11434/api/ps"), NOWHERE),
    Case(14, "Ollama's management as the path", asks("POST", "http://ollama:11434/api/pull"), NOWHERE),
    *(Case(15, f"{method} {path}", asks(method, path, body=NAME), NOWHERE) for method, path in MANAGEMENT),
    *(Case(16, f"DELETE {R}{end}", asks("DELETE", f"{R}{end}", body=NAME), REFUSED) for end in AROUND),
    *(Case(16, f"POST {R}{end}", asks("POST", f"{R}{end}"), REFUSED) for end in AROUND),
    Case(16, "POST in capitals", asks("POST", R.upper()), REFUSED),
    *(
        Case(17, f"{path}, foreign origin", asks("POST", path, f"Origin: {EVIL}"), Want((403,), permits=""))
        for path in GATED
    ),
    *(Case(17, f"{path}, no origin", asks("POST", path), OK) for path in GATED),
    *(Case(18, path, asks("GET", path), Want((400, 403, 404), lacks=b"root:")) for path in FILES),
    Case(42, "a query goes along", asks("GET", "/api/version?x=/../delete"), Want((200,), 1, contains=b"version")),
]
