"""Allowed origins: the page itself, API clients, listed pages, and nobody else. The proxy itself answers OPTIONS."""

from __future__ import annotations

from tests.support.proxy_rules.case import OK, Case, Expected, R, sends

EVIL = "http://evil.example"
UNLISTED = Expected((403,), error=True, permits="")
AS_JSON = (("vary", "Origin"), ("content-type", "application/json; charset=utf-8"), ("cache-control", "no-store"))
OWN_TEXT = [
    *(
        "http://",
        "evil",
        "http://<netloc>.evil.example",
        "http://<netloc>@evil.example",
        f"{EVIL}?<own>",
        f"{EVIL}#<own>",
    ),
    *("http://<host>", "http://<host>:1<port>", "http://x.<host>", "<own>/", "<own>, <own>", "ftp://<netloc>"),
]
LISTED_TEXT = [
    *("<listed>.evil.example", "<listed>/", "<listed>0", "<LISTED>", "<dotless>", "<listed>@evil.example"),
    *(f"{EVIL}?<listed>", f"<listed> {EVIL}", f"{EVIL} <listed>", f"<listed>,{EVIL}"),
]
ASKED = ("Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type")
PERMISSION = (("access-control-allow-methods", "POST"), ("access-control-max-age", "600"), ("vary", "Origin"))


ORIGINS = [
    Case(1, "own origin", sends("POST", R, "Origin: <own>"), Expected((200,), 1, permits="", has=AS_JSON)),
    Case(1, "own origin over TLS", sends("POST", R, "Origin: https://<netloc>"), OK),
    Case(2, "no origin", sends(), OK),
    Case(
        3, "listed origin", sends("POST", R, "Origin: <listed>"), Expected((200,), 1, permits="<listed>", has=AS_JSON)
    ),
    Case(4, "unlisted origin", sends("POST", R, f"Origin: {EVIL}"), UNLISTED),
    Case(4, "unlisted origin, GET", sends("GET", "/api/tags", f"Origin: {EVIL}"), UNLISTED),
    Case(4, "unlisted origin, no-cors", sends("POST", R, f"Origin: {EVIL}", "Sec-Fetch-Mode: no-cors"), UNLISTED),
    Case(5, "null", sends("POST", R, "Origin: null"), UNLISTED),
    *(Case(6, f"similar to ours: {text}", sends("POST", R, f"Origin: {text}"), UNLISTED) for text in OWN_TEXT),
    *(
        Case(6, f"similar to a listed one: {text}", sends("POST", R, f"Origin: {text}"), UNLISTED)
        for text in LISTED_TEXT
    ),
    Case(7, "a listed and an unlisted header", sends("POST", R, "Origin: <listed>", f"Origin: {EVIL}"), UNLISTED),
    Case(7, "an unlisted and a listed header", sends("POST", R, f"Origin: {EVIL}", "Origin: <listed>"), UNLISTED),
    Case(7, "twice the same header", sends("POST", R, "Origin: <listed>", "Origin: <listed>"), UNLISTED),
    # Headers named in Connection are removed before forwarding, but must not be removed before the check.
    Case(36, "Origin as a hop-by-hop header", sends("POST", R, f"Origin: {EVIL}", "Connection: Origin"), UNLISTED),
    Case(37, "unlisted origin, another method", sends("PUT", R, f"Origin: {EVIL}"), Expected((403, 405), permits="")),
]

PREFLIGHTS = [
    Case(
        8,
        "listed origin",
        sends("OPTIONS", R, "Origin: <listed>", *ASKED),
        Expected((204,), permits="<listed>", has=PERMISSION),
    ),
    Case(
        8,
        "listed origin, a GET route",
        sends("OPTIONS", "/api/tags", "Origin: <listed>", "Access-Control-Request-Method: GET"),
        Expected((204,), permits="<listed>", has=(("access-control-allow-methods", "GET, HEAD"),)),
    ),
    Case(9, "unlisted origin", sends("OPTIONS", R, f"Origin: {EVIL}", *ASKED), Expected((204, 403), permits="")),
    Case(9, "null", sends("OPTIONS", R, "Origin: null", *ASKED), Expected((204, 403), permits="")),
    Case(10, "no origin", sends("OPTIONS", R), Expected((405,), error=True)),
    # A listed page may read the 404 that its request gets.
    Case(
        38,
        "no route",
        sends("OPTIONS", "/api/pull", "Origin: <listed>", *ASKED),
        Expected((204,), permits="<listed>", has=(("access-control-max-age", "600"), ("vary", "Origin"))),
    ),
    Case(
        38, "no route, unlisted", sends("OPTIONS", "/api/pull", f"Origin: {EVIL}", *ASKED), Expected((404,), permits="")
    ),
    Case(38, "the page", sends("OPTIONS", "/", "Origin: <listed>", *ASKED), Expected((405,), permits="")),
    Case(38, "*", sends("OPTIONS", "*", "Origin: <listed>", *ASKED), Expected((200, 400, 403, 405), permits="")),
    Case(
        39,
        "an unknown host name",
        sends("OPTIONS", R, f"Origin: {EVIL}", *ASKED, host="evil.example"),
        Expected((421,), permits=""),
    ),
]
