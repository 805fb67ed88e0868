"""The table of cases, by groups: one question and its answer each; `ELSEWHERE` has the rows that need more than that.

Rows 1 to 35 are those of the first table, from 36 the holes that were looked for afterwards.
"""

from __future__ import annotations

from tests.acceptance.api import call
from tests.support.gates.case import Case, R, Want, asks
from tests.support.gates.names import NAMES
from tests.support.gates.origins import ORIGINS, PREFLIGHTS
from tests.support.gates.place import Place
from tests.support.gates.routes import METHODS, ROUTES
from tests.support.gates.sizes import BIG, SIZES
from tests.support.gates.smuggling import SMUGGLING

UNKNOWN = b'{"model":"no-such-model","prompt":"hi","stream":false}'
NOT_THERE = b"no-such-model"

ERRORS = [
    Case(35, "a model that is not there", asks(body=UNKNOWN), Want((404,), 1, contains=NOT_THERE)),
    Case(
        35,
        "a model that is not there, for a listed page",
        asks("POST", R, "Origin: <listed>", body=UNKNOWN),
        Want((404,), 1, permits="<listed>", contains=NOT_THERE),
    ),
    Case(35, "no JSON", asks(body=b"hello"), Want((400,), 1, contains=b"error")),
    Case(51, "a path of HTML", asks("GET", "/<script>alert(1)</script>"), Want((404,), lacks=b"<script>")),
    Case(51, "no version in an error", asks("GET", "/nowhere"), Want((404,), lacks=b"2.4.")),
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

# Row → the tests that show it: on loopback, and on a deployed host.
ELSEWHERE: dict[int, list[str]] = {
    11: [
        "tests/proxy/test_behaviour.py::test_words_arrive_when_they_are_made",
        "tests/acceptance/test_streaming.py::test_each_word_arrives_when_it_is_made",
    ],
    27: ["tests/proxy/test_behaviour.py::test_slow_clients", "tests/lab/test_gates.py::test_slow_clients"],
    28: ["tests/proxy/test_behaviour.py::test_places", "tests/lab/test_gates.py::test_places"],
    29: ["tests/proxy/test_behaviour.py::test_places_come_back", "tests/lab/test_gates.py::test_places_come_back"],
    30: [
        "tests/proxy/test_behaviour.py::test_an_ollama_that_is_gone",
        "tests/proxy/test_behaviour.py::test_no_first_byte_in_time",
        "tests/lab/test_gates.py::test_an_ollama_that_is_gone",
    ],
    31: [
        "tests/proxy/test_behaviour.py::test_an_ollama_that_moved_is_found_although_another_answers_at_its_old_address",
        "tests/lab/test_changes.py::test_an_ollama_with_a_new_address_is_found_at_once",
    ],
    32: [
        "tests/proxy/test_behaviour.py::test_an_answer_runs_on_through_a_reload",
        "tests/lab/test_changes.py::test_a_graceful_reload_breaks_no_running_answer",
    ],
    33: [
        "tests/proxy/test_stack.py::test_a_broken_file_is_refused_and_the_old_one_serves",
        "tests/lab/test_changes.py::test_a_configuration_that_httpd_refuses_never_goes_live",
    ],
    34: [
        "tests/proxy/test_stack.py::test_a_reload_takes_over_what_was_written",
        "tests/lab/test_changes.py::test_a_graceful_reload_breaks_no_running_answer",
    ],
}


def failures(place: Place, group: str) -> list[str]:
    """Run the rows of a group that fit the place, and say of each that failed what was wrong.

    Raises:
        AssertionError: Ollama was sent more or fewer requests than the rows let through.
    """
    rows = [case for case in GROUPS[group] if case.fits(place)]
    before = place.ollama.requests()
    wrong = []
    for case in rows:
        try:
            case.run(place)
        except (AssertionError, OSError) as error:
            wrong.append(f"{case.number} {case.name}: {error!r}")
    # One more that is let through: Ollama's log has it after all that came before.
    assert call(f"http://{place.netloc}", "GET", "/api/version").status == 200
    expected = before + sum(case.want.upstream for case in rows) + 1
    reached = place.settled(expected)
    assert wrong or reached == expected, f"{reached - before} requests reached Ollama, not {expected - before}"
    return wrong
