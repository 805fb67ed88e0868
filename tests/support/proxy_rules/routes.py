"""Paths and methods: only routes reach Ollama, whatever the spelling of other paths."""

from __future__ import annotations

from tests.support.proxy_rules.case import OK, Case, Expected, R, raw, sends
from tests.support.proxy_rules.origins import EVIL
from tests.support.proxy_rules.sizes import BODY, CHUNKS

NOT_ALLOWED = Expected((405,), error=True)
NOWHERE = Expected((404, 405))
NAME = b'{"model":"x"}'

METHODS = [
    *(
        Case(12, f"{method} to a POST route", sends(method), NOT_ALLOWED)
        for method in ("GET", "PUT", "DELETE", "PATCH")
    ),
    Case(12, "HEAD to a POST route", sends("HEAD"), Expected((405,)), heads=True),
    *(Case(12, f"{name} to a GET route", sends(name, "/api/tags"), NOT_ALLOWED) for name in ("POST", "PUT", "DELETE")),
    *(
        Case(12, f"{name} to the page", sends(name, "/"), Expected((405,)))
        for name in ("POST", "PUT", "DELETE", "PATCH")
    ),
    # The method comes before the length.
    Case(
        52, "GET with chunks to a POST route", raw(f"GET {R} HTTP/1.1", *CHUNKS, body=BODY, follow=False), NOT_ALLOWED
    ),
    Case(52, "DELETE without a length", sends("DELETE", "/api/chat", body=b"", length=""), NOT_ALLOWED),
    Case(
        52,
        "another method, for a listed page",
        sends("POST", "/v1/models", "Origin: <listed>"),
        Expected((405,), error=True, permits="<listed>", contains=b'"message":"method not allowed; use GET"'),
    ),
    *(
        Case(13, f"TRACE {path}", sends("TRACE", path, "X-Echo: secret"), Expected((405,), lacks=b"secret"))
        for path in (R, "/")
    ),
    *(
        Case(
            14,
            f"CONNECT {to}",
            raw(f"CONNECT {to} HTTP/1.1", f"Host: {to}", "Connection: close", follow=False),
            Expected((400, 405)),
        )
        for to in ("127.0.0.1:11434", "ollama:11434", "ollama:22")
    ),
    *(
        Case(40, f"{name} to a route", sends(name), Expected((405, 501)))
        for name in ("PROPFIND", "PURGE", "post", "FOO")
    ),
    Case(41, "a method in a header", sends("POST", R, "X-HTTP-Method-Override: DELETE"), OK),
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
CHECKED = ["//api//ollama", "/api/./ollama", "/%61pi/ollama", "/x/../api/ollama", "/api/%6fllama", "/./api/ollama?x"]
FILES = [
    *("/../../etc/passwd", "/..%2f..%2fetc/passwd", "/.%2e/%2e%2e/etc/passwd", "/cgi-bin/.%2e/.%2e/etc/passwd"),
    *("//etc/passwd", "/%2fetc/passwd", "/conf/hearth/httpd.conf", "/server-status", "/icons/", "/.git/config"),
]
REFUSED = Expected((400, 403, 404, 405))

# Below /api/ and /v1/, every method gets JSON in the form that the callers of such paths read, with the fix.
MISSING = Expected((404,), error=True, contains=b"proxy_extra_routes")
MISSING_OPENAI = Expected((404,), error=True, contains=b'{"error":{"message":"no route here')

ROUTES = [
    *(
        Case(53, f"{method} {path}", sends(method, path), MISSING_OPENAI if path.startswith("/v1") else MISSING)
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
        for path in ("/api/embed", "/v1/embeddings", "/api", "/v1/", "/api/tags/x", "/v1/models/a/b")
    ),
    Case(53, "HEAD /api/ps", sends("HEAD", "/api/ps"), Expected((404,)), heads=True),
    Case(53, "POST /api/embed with 60 kB", sends("POST", "/api/embed", body=b" " * 60_000), MISSING),
    Case(
        53,
        "for a listed page",
        sends("POST", "/v1/embeddings", "Origin: <listed>"),
        Expected((404,), error=True, permits="<listed>", has=(("access-control-expose-headers", "Retry-After"),)),
    ),
    Case(53, "for an unlisted page", sends("POST", "/v1/embeddings", f"Origin: {EVIL}"), Expected((404,), permits="")),
    Case(
        54, "a model by its name", sends("GET", "/v1/models/<model>"), Expected((200,), 1, contains=b'"object":"model"')
    ),
    Case(54, "a missing model", sends("GET", "/v1/models/no-such"), Expected((404,), 1, contains=b"not found")),
    *(
        Case(54, f"/v1/models/{name}", sends("GET", f"/v1/models/{name}"), Expected((400, 403, 404), lacks=b'"object"'))
        for name in (".", "..", "../delete", "%2e%2e/x", "a%2Fb", "a%00", "a;b", "-a")
    ),
    Case(
        55,
        "Ollama's own text for programs",
        sends("GET", "/", "Accept: */*"),
        Expected((200,), 1, contains=b"Ollama is running", permits=""),
    ),
    Case(14, "Ollama's address as the path", sends("GET", "http://ollama:11434/api/ps"), NOWHERE),
    Case(14, "Ollama's management as the path", sends("POST", "http://ollama:11434/api/pull"), NOWHERE),
    *(Case(15, f"{method} {path}", sends(method, path, body=NAME), NOWHERE) for method, path in MANAGEMENT),
    *(Case(16, f"DELETE {R}{end}", sends("DELETE", f"{R}{end}", body=NAME), REFUSED) for end in AROUND),
    *(Case(16, f"POST {R}{end}", sends("POST", f"{R}{end}"), REFUSED) for end in AROUND),
    Case(16, "POST in capitals", sends("POST", R.upper()), REFUSED),
    *(
        Case(17, f"{path}, unlisted origin", sends("POST", path, f"Origin: {EVIL}"), Expected((403,), permits=""))
        for path in CHECKED
    ),
    *(Case(17, f"{path}, no origin", sends("POST", path), OK) for path in CHECKED),
    *(Case(18, path, sends("GET", path), Expected((400, 403, 404), lacks=b"root:")) for path in FILES),
    Case(
        42, "a query is forwarded", sends("GET", "/api/version?x=/../delete"), Expected((200,), 1, contains=b"version")
    ),
]
