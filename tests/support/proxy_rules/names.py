"""Unknown host names: DNS rebinding gets nothing, not even the page."""

from __future__ import annotations

from tests.support.proxy_rules.case import Case, Expected, R, sends
from tests.support.proxy_rules.origins import EVIL

UNKNOWN = [
    *("evil.example", "evil.example:<port>", "<host>.evil.example", "<host>.nip.io", "pi.local.evil.example"),
    *("localhost.evil.example", "evil.example.", "pi.local@evil.example", "evil.example#.local"),
    *("[::1].evil.example", "xn--evil-.example", "1.2.3.4.5", "pi.local:85:85", "pi..local", "pi,evil.example"),
    *(
        "pi.",
        "internal.evil.example",
        "host.docker.internal.evil.example",
        "xinternal.example",
        "pi.local..",
        ".internal",
    ),
]
OURS = [
    *("pi", "my_pi", "PI.Local", "pi.local.", "localhost", "pi.local:<port>", "[::1]", "[fe80::1]:85", "192.168.1.189"),
    # Names of the host in containers and virtual machines.
    *("host.docker.internal", "gateway.docker.internal:<port>", "host.containers.internal", "HOST.lima.internal."),
]
REFUSED = Expected((400, 421), lacks=b"<script")
ON_A_ROUTE = Expected((421,), error=True, permits="")

NAMES = [
    Case(19, "unknown host, unlisted origin", sends("POST", R, f"Origin: {EVIL}", host="evil.example"), ON_A_ROUTE),
    *(Case(19, f"the page as {name}", sends("GET", "/", host=name), REFUSED) for name in UNKNOWN),
    *(Case(19, f"a file as {name}", sends("GET", "/chat.js", host=name), Expected((400, 421))) for name in UNKNOWN[:1]),
    *(Case(19, f"a route as {name}", sends("GET", "/api/tags", host=name), REFUSED) for name in UNKNOWN),
    *(
        Case(43, f"the page as {name}", sends("GET", "/", host=name), Expected((200,), contains=b"<script"))
        for name in OURS
    ),
    Case(
        20, "absolute path of a unknown host", sends("POST", f"<scheme>://evil.example{R}", host="pi"), Expected((421,))
    ),
    Case(44, "HTTP/1.0 without a host", sends("GET", "/api/tags", host=None, version="HTTP/1.0"), REFUSED),
    Case(44, "an empty host", sends("GET", "/api/tags", host=""), REFUSED),
    Case(
        45,
        "X-Forwarded-Host",
        sends("GET", "/", "X-Forwarded-Host: evil.example"),
        Expected((200,), lacks=b"evil.example"),
    ),
]
