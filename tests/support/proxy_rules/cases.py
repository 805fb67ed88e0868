"""The table of cases in groups: one request and its response each; `ELSEWHERE` has the rows that need more.

Rows 1 to 35 are the original table; rows from 36 were added later.
"""

from __future__ import annotations

from tests.acceptance.api import call
from tests.support.proxy_rules.case import Case, Expected, R, sends
from tests.support.proxy_rules.names import NAMES
from tests.support.proxy_rules.origins import ORIGINS, PREFLIGHTS
from tests.support.proxy_rules.routes import METHODS, ROUTES
from tests.support.proxy_rules.sizes import BIG, SIZES
from tests.support.proxy_rules.smuggling import SMUGGLING
from tests.support.proxy_rules.target import ProxyTarget

UNKNOWN = b'{"model":"no-such-model","prompt":"hi","stream":false}'
MISSING = b"no-such-model"

ERRORS = [
    Case(35, "a missing model", sends(body=UNKNOWN), Expected((404,), 1, contains=MISSING)),
    Case(
        35,
        "a missing model, for a listed page",
        sends("POST", R, "Origin: <listed>", body=UNKNOWN),
        Expected((404,), 1, permits="<listed>", contains=MISSING),
    ),
    Case(35, "invalid JSON", sends(body=b"hello"), Expected((400,), 1, contains=b"error")),
    Case(51, "HTML in the path", sends("GET", "/<script>alert(1)</script>"), Expected((404,), lacks=b"<script>")),
    Case(51, "no version in error pages", sends("GET", "/nowhere"), Expected((404,), lacks=b"2.4.")),
]

# Group → its rows. "big" takes seconds on a slow machine.
GROUPS: dict[str, list[Case]] = {
    "origins": ORIGINS,
    "preflights": PREFLIGHTS,
    "methods": METHODS,
    "routes": ROUTES,
    "names": NAMES,
    "sizes": SIZES,
    "errors": ERRORS,
    "smuggling": SMUGGLING,
    "big": BIG,
}

# Row → its tests: on loopback, and on a deployed host.
ELSEWHERE: dict[int, list[str]] = {
    11: [
        "tests/proxy/test_behaviour.py::test_tokens_are_forwarded_when_they_are_generated",
        "tests/acceptance/test_streaming.py::test_tokens_arrive_when_they_are_generated",
    ],
    27: ["tests/proxy/test_behaviour.py::test_slow_clients", "tests/lab/test_proxy_rules.py::test_slow_clients"],
    28: [
        "tests/proxy/test_behaviour.py::test_concurrency_limit",
        "tests/lab/test_proxy_rules.py::test_concurrency_limit",
    ],
    29: ["tests/proxy/test_behaviour.py::test_slots_are_freed", "tests/lab/test_proxy_rules.py::test_slots_are_freed"],
    30: [
        "tests/proxy/test_behaviour.py::test_ollama_unavailable",
        "tests/proxy/test_behaviour.py::test_first_byte_timeout",
        "tests/lab/test_proxy_rules.py::test_ollama_unavailable",
    ],
    31: [
        "tests/proxy/test_behaviour.py::test_moved_ollama_is_found_despite_another_server_at_its_old_address",
        "tests/lab/test_changes.py::test_new_address_of_ollama_is_used_immediately",
    ],
    32: [
        "tests/proxy/test_behaviour.py::test_in_flight_response_survives_a_reload",
        "tests/lab/test_changes.py::test_graceful_reload_keeps_in_flight_responses",
    ],
    33: [
        "tests/proxy/test_stack.py::test_invalid_configuration_is_refused_and_the_old_one_stays_active",
        "tests/lab/test_changes.py::test_configuration_refused_by_httpd_never_goes_live",
    ],
    34: [
        "tests/proxy/test_stack.py::test_reload_applies_the_new_configuration",
        "tests/lab/test_changes.py::test_graceful_reload_keeps_in_flight_responses",
    ],
}


def failures(proxy: ProxyTarget, group: str) -> list[str]:
    """Run the rows of a group that the proxy supports; a line for each failure.

    Raises:
        AssertionError: more or fewer requests than expected reached Ollama.
    """
    rows = [case for case in GROUPS[group] if case.fits(proxy)]
    before = proxy.ollama.requests()
    failed = []
    for case in rows:
        try:
            case.run(proxy)
        except (AssertionError, OSError) as error:
            failed.append(f"{case.number} {case.name}: {error!r}")
    # One more allowed request: Ollama logs it after all earlier ones.
    assert call(f"http://{proxy.netloc}", "GET", "/api/version").status == 200
    expected = before + sum(case.expected.upstream for case in rows) + 1
    reached = proxy.settled(expected)
    assert failed or reached == expected, f"{reached - before} requests reached Ollama, not {expected - before}"
    return failed
