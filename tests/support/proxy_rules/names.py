"""Names that the host does not have: DNS rebinding gets nothing, not even the page."""

from __future__ import annotations

from tests.support.proxy_rules.case import Case, R, Want, asks
from tests.support.proxy_rules.origins import EVIL

FOREIGN = [
    *("evil.example", "evil.example:<port>", "<host>.evil.example", "<host>.nip.io", "pi.local.evil.example"),
    *("localhost.evil.example", "evil.example.", "pi.local.", "pi.local@evil.example", "evil.example#.local"),
    *("[::1].evil.example", "xn--evil-.example", "1.2.3.4.5", "pi.local:85:85", "pi..local", "pi,evil.example"),
]
OURS = ["pi", "PI.Local", "localhost", "pi.local:<port>", "[::1]", "[fe80::1]:85", "192.168.1.189"]
REFUSED = Want((400, 421), lacks=b"<script")
ON_A_ROUTE = Want((421,), error=True, permits="")

NAMES = [
    Case(19, "foreign host and origin", asks("POST", R, f"Origin: {EVIL}", host="evil.example"), ON_A_ROUTE),
    *(Case(19, f"the page as {name}", asks("GET", "/", host=name), REFUSED) for name in FOREIGN),
    *(Case(19, f"a file as {name}", asks("GET", "/chat.js", host=name), Want((400, 421))) for name in FOREIGN[:1]),
    *(Case(19, f"a route as {name}", asks("GET", "/api/tags", host=name), REFUSED) for name in FOREIGN),
    *(Case(43, f"the page as {name}", asks("GET", "/", host=name), Want((200,), contains=b"<script")) for name in OURS),
    Case(20, "absolute path of a foreign host", asks("POST", f"<scheme>://evil.example{R}", host="pi"), Want((421,))),
    Case(44, "HTTP/1.0 without a host", asks("GET", "/api/tags", host=None, version="HTTP/1.0"), REFUSED),
    Case(44, "an empty host", asks("GET", "/api/tags", host=""), REFUSED),
    Case(
        45, "X-Forwarded-Host", asks("GET", "/", "X-Forwarded-Host: evil.example"), Want((200,), lacks=b"evil.example")
    ),
]
