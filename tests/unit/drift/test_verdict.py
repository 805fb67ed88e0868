"""Verdicts from real output of pyinfra 3.10."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.drift.verdict import ReportedReason, Verdict, exit_code, format_verdict, judge, parse_report
from hearth.runtime.pyinfra_process import failure_reason, limit_pattern, select_hosts

UNREACHABLE = """--> Loading config...
--> Loading inventory...
--> Connecting to hosts...
    Failed to load host keys from /root/.ssh/known_hosts: [Errno 2] No such file or directory
    [pi] Could not connect ([Errno None] Unable to connect to port 22 on 10.0.0.9)

--> Disconnecting from hosts...
--> pyinfra error: No hosts remaining!
"""
NOT_READY = """--> Preparing operation files...
    Loading: deploy.py

--> Disconnecting from hosts...
--> pyinfra error in /srv/hearth/hearth/preflight/deploy.py line 77: pi is not ready, and nothing was changed:
  proxy_port = 85: the port is held by nginx (process 7); stop it, or set another port
"""
CRASHED = """--> An exception occurred in: deploy.py:

Traceback (most recent call last):
  File "deploy.py", line 8, in <module>
    import hearth.nothing
ModuleNotFoundError: No module named 'hearth.nothing'
"""
UNKNOWN_HOST = """--> Loading inventory...
    No host matches found for --limit pattern: nosuch

--> Connecting to hosts...
"""


def plan(*changed: str, conditional: tuple[str, ...] = ()) -> str:
    names = ("Docker | Configure the engine", "Stack | Write the files")
    operations = [
        {
            "name": name,
            "hosts_with_change": ["pi"] if name in changed else [],
            "hosts_with_conditional_change": ["pi"] if name in conditional else [],
        }
        for name in names
    ]
    return json.dumps({"plan": operations, "results": None})


FILES = "Stack | Write the files"
DIFFERENCE = ReportedReason("differs", "compose.yaml is missing; restoring it")
SILENCE = ReportedReason(
    "unknown", "the Docker engine does not respond, so the state of its images and containers is unknown"
)


@pytest.mark.parametrize(
    ("code", "output", "errors", "explained", "verdict"),
    [
        (0, plan(), "", [], Verdict("same")),
        (0, plan(conditional=(FILES,)), "", [], Verdict("same")),
        (0, plan(FILES), "", [DIFFERENCE], Verdict("differs", (DIFFERENCE.text,))),
        (0, plan(FILES), "", [DIFFERENCE, DIFFERENCE, SILENCE], Verdict("differs", (DIFFERENCE.text, SILENCE.text))),
        (0, plan(FILES), "", [], Verdict("differs", (FILES,))),
        (0, plan(FILES), "", [SILENCE], Verdict("unknown", (SILENCE.text,))),
        (0, plan(), "", [SILENCE], Verdict("unknown", (SILENCE.text,))),
    ],
)
def test_a_plan_is_judged_by_its_changes(
    code: int, output: str, errors: str, explained: list[ReportedReason], verdict: Verdict
) -> None:
    assert judge(code, output, errors, explained) == verdict


@pytest.mark.parametrize(
    ("code", "output", "errors", "reason"),
    [
        (1, "", UNREACHABLE, "Could not connect ([Errno None] Unable to connect to port 22 on 10.0.0.9)"),
        (0, '{"plan": [], "results": null}', UNKNOWN_HOST, "No host matches found for --limit pattern: nosuch"),
        (0, "Exiting upon user request!\n", "", "pyinfra ended early and gave no reason"),
        (1, "", CRASHED, "ModuleNotFoundError: No module named 'hearth.nothing'"),
        (-1, "", "timed out after 300 s (--timeout)", "timed out after 300 s (--timeout)"),
        (1, plan(), "", "pyinfra ended early and gave no reason"),
        (0, plan()[:-9], "", "pyinfra ended early and gave no reason"),
    ],
)
def test_incomplete_runs_are_unknown_regardless_of_the_exit_code(
    code: int, output: str, errors: str, reason: str
) -> None:
    assert judge(code, output, errors, []) == Verdict("unknown", (reason,))


def test_preflight_failure_keeps_its_lines_without_the_code_location() -> None:
    assert failure_reason(NOT_READY) == (
        "pi is not ready, and nothing was changed:\n"
        "  proxy_port = 85: the port is held by nginx (process 7); stop it, or set another port"
    )


@pytest.mark.parametrize(
    ("states", "code"),
    [
        (["same", "same"], 0),
        (["same", "differs"], 1),
        (["same", "unknown"], 2),
        (["differs", "unknown"], 2),
    ],
)
def test_the_exit_code(states: list[str], code: int) -> None:
    assert exit_code(Verdict(state) for state in states) == code  # type: ignore[arg-type]


HOSTS = json.dumps(
    [
        {"name": "pi", "groups": ["all", "kitchen"]},
        {"name": "10.0.0.2", "groups": ["all"]},
        {"name": "pi2", "groups": []},
    ]
)


@pytest.mark.parametrize(
    ("limits", "names"),
    [
        ([], ["pi", "10.0.0.2", "pi2"]),
        (["kitchen"], ["pi"]),
        (["pi*"], ["pi", "pi2"]),
        (["10.0.0.2", "pi"], ["pi", "10.0.0.2"]),
        (["nosuch"], []),
    ],
)
def test_limits_work_as_in_pyinfra(limits: list[str], names: list[str]) -> None:
    assert select_hosts(HOSTS, limits) == names


@given(st.text(st.characters(codec="ascii", exclude_categories=["C", "Z"], exclude_characters="!"), min_size=1))
def test_limit_pattern_matches_one_host_and_no_group(name: str) -> None:
    assert fnmatchcase(name, limit_pattern(name))
    assert not fnmatchcase(f"{name}x", limit_pattern(name))
    assert limit_pattern(name) != name


def test_verdict_as_text() -> None:
    assert format_verdict("pi", Verdict("same")) == "pi: in sync"
    assert format_verdict("pi", Verdict("differs", ("a", "b\n  c"))) == "pi: drifted:\n  a\n  b\n    c"


def test_report_is_parsed_line_by_line() -> None:
    text = '{"host": "pi", "kind": "differs", "text": "a → b"}\n{"host": "pi", "kind": "unknown", "text": "c"}\n'
    assert parse_report(text) == [ReportedReason("differs", "a → b"), ReportedReason("unknown", "c")]
