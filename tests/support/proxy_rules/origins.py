"""Who may call: the page itself, programs, listed pages, and nobody else. OPTIONS is answered by the proxy."""

from __future__ import annotations

from tests.support.proxy_rules.case import OK, Case, R, Want, asks

EVIL = "http://evil.example"
FOREIGN = Want((403,), error=True, permits="")
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
    Case(1, "own origin", asks("POST", R, "Origin: <own>"), Want((200,), 1, permits="", has=AS_JSON)),
    Case(1, "own origin over TLS", asks("POST", R, "Origin: https://<netloc>"), OK),
    Case(2, "no origin", asks(), OK),
    Case(3, "listed origin", asks("POST", R, "Origin: <listed>"), Want((200,), 1, permits="<listed>", has=AS_JSON)),
    Case(4, "foreign origin", asks("POST", R, f"Origin: {EVIL}"), FOREIGN),
    Case(4, "foreign origin, GET", asks("GET", "/api/tags", f"Origin: {EVIL}"), FOREIGN),
    Case(4, "foreign origin, no-cors", asks("POST", R, f"Origin: {EVIL}", "Sec-Fetch-Mode: no-cors"), FOREIGN),
    Case(5, "null", asks("POST", R, "Origin: null"), FOREIGN),
    *(Case(6, f"like ours: {text}", asks("POST", R, f"Origin: {text}"), FOREIGN) for text in OWN_TEXT),
    *(Case(6, f"like a listed one: {text}", asks("POST", R, f"Origin: {text}"), FOREIGN) for text in LISTED_TEXT),
    Case(7, "a listed and a foreign header", asks("POST", R, "Origin: <listed>", f"Origin: {EVIL}"), FOREIGN),
    Case(7, "a foreign and a listed header", asks("POST", R, f"Origin: {EVIL}", "Origin: <listed>"), FOREIGN),
    Case(7, "twice the same header", asks("POST", R, "Origin: <listed>", "Origin: <listed>"), FOREIGN),
    # What a Connection header names is taken off before a request is passed on, but not before it is looked at.
    Case(36, "Origin as a hop's own header", asks("POST", R, f"Origin: {EVIL}", "Connection: Origin"), FOREIGN),
    Case(37, "foreign origin, another method", asks("PUT", R, f"Origin: {EVIL}"), Want((403, 405), permits="")),
]

PREFLIGHTS = [
    Case(
        8,
        "listed origin",
        asks("OPTIONS", R, "Origin: <listed>", *ASKED),
        Want((204,), permits="<listed>", has=PERMISSION),
    ),
    Case(
        8,
        "listed origin, a route of GET",
        asks("OPTIONS", "/api/tags", "Origin: <listed>", "Access-Control-Request-Method: GET"),
        Want((204,), permits="<listed>", has=(("access-control-allow-methods", "GET, HEAD"),)),
    ),
    Case(9, "foreign origin", asks("OPTIONS", R, f"Origin: {EVIL}", *ASKED), Want((204, 403), permits="")),
    Case(9, "null", asks("OPTIONS", R, "Origin: null", *ASKED), Want((204, 403), permits="")),
    Case(10, "no origin", asks("OPTIONS", R), Want((405,), error=True)),
    Case(38, "no route", asks("OPTIONS", "/api/pull", "Origin: <listed>", *ASKED), Want((404, 405), permits="")),
    Case(38, "the page", asks("OPTIONS", "/", "Origin: <listed>", *ASKED), Want((405,), permits="")),
    Case(38, "*", asks("OPTIONS", "*", "Origin: <listed>", *ASKED), Want((200, 400, 403, 405), permits="")),
    Case(
        39,
        "a host that is not ours",
        asks("OPTIONS", R, f"Origin: {EVIL}", *ASKED, host="evil.example"),
        Want((421,), permits=""),
    ),
]
