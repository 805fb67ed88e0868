"""Usage by day and caller, from lines as httpd writes them, with the real awk."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from hearth.usage.__main__ import format_bytes, format_usage, make_parser
from hearth.usage.facts import PROGRAM, Usage

AWKS = [name for name in ("mawk", "gawk", "busybox") if shutil.which(name)]
OPEN = r"""192.168.1.5 [27/Nov/2026:23:59:59 +0000] "POST /api/chat HTTP/1.1" 200 500 1000 2500000 + "-" "curl/8"
192.168.1.5 [27/Nov/2026:23:59:59 +0000] "GET / HTTP/1.1" 200 100 2000 500000 - "http://pi" "a \"browser\" 200 1 1 1 + "
192.168.1.6 [28/Nov/2026:00:00:01 +0000] "GET /?\" 200 9 9 9000000 + \" HTTP/1.1" 404 10 20 1000 X "-" "-" 12
[Sat Nov 28 00:00:01.000001 2026] [core:error] an error "GET / HTTP/1.1" 200 500
192.168.1.6 [28/Nov/2026:00:00:01 +0000] "-" 408 0 0 5000000 - "-" "-"
"""
SIGNED_IN = r"""
192.168.1.5 anna - [28/Nov/2026:12:00:00 +0000] "POST /api/chat HTTP/2.0" 200 500 1000 1000000 + "-" "x" 5
192.168.1.9 anna - [28/Nov/2026:12:00:01 +0000] "POST /api/chat HTTP/2.0" 200 500 1000 1000000 + "-" "x" 5
192.168.1.5 - notebook [28/Nov/2026:12:00:02 +0000] "GET /api/tags HTTP/1.1" 200 50 100 1000 + "-" "x" 5
- - - [28/Nov/2026:12:00:03 +0000] "GET / HTTP/1.1" 401 50 100 1000 + "-" "-" -
"""


def summed(text: str, awk: str = "mawk") -> list[tuple[object, ...]]:
    words = [*(["busybox", "awk"] if awk == "busybox" else [awk]), "-f", str(PROGRAM)]
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=True)
    facts = Usage().process(["@@access", "@@usage", *done.stdout.splitlines()])
    return [tuple(one.values()) for one in facts["usage"]]


@pytest.mark.parametrize("awk", AWKS)
def test_requests_are_summed_by_day_and_caller(awk: str) -> None:
    assert summed(OPEN, awk) == [
        ("2026-11-27", "address", "192.168.1.5", 2, 3.0, 600, 3000),
        ("2026-11-28", "address", "192.168.1.6", 2, 5.001, 10, 20),
    ]


@pytest.mark.parametrize("awk", AWKS)
def test_whoever_signs_in_is_known_by_name(awk: str) -> None:
    assert summed(SIGNED_IN, awk) == [
        ("2026-11-28", "user", "anna", 2, 2.0, 1000, 2000),
        ("2026-11-28", "api_key", "notebook", 1, 0.001, 50, 100),
        ("2026-11-28", "address", "-", 1, 0.001, 50, 100),
    ]


def test_the_table() -> None:
    usage = Usage().process(["@@access", "@@usage", "28/Nov/2026\tuser\tanna\t12\t345.678\t1500\t2500000"])
    assert format_usage("pi", usage).splitlines() == [
        "pi:",
        "  day (UTC)   caller        requests  seconds  received    sent",
        "  2026-11-28  anna    user        12    345.7    1.5 kB  2.5 MB",
    ]
    assert format_usage("pi", {"error": "", "usage": []}) == "pi: no requests in the access log"
    assert format_usage("pi", {"error": "no such container", "usage": []}) == "pi: unknown: no such container"


def test_sizes() -> None:
    assert [format_bytes(size) for size in (0, 999, 1000, 10**9, 5 * 10**15)] == [
        "0 B", "999 B", "1.0 kB", "1.0 GB", "5000.0 TB",
    ]  # fmt: skip


def test_a_host_without_permission_and_without_containers() -> None:
    assert Usage().process([]) == {"access": False}
    assert Usage().process(["@@access", "@@error", "", "no such object"])["error"] == "no such object"


def test_days_must_be_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        make_parser().parse_args(["inventory/pi.py", "--days", "a week"])
    assert "'a week' is not a number of days; write, for example, 7" in capsys.readouterr().err


def test_days_reach_the_host_as_a_date() -> None:
    assert "-d -6'\"'\"' days" in Usage().command(days="7") or "-6 days" in Usage().command(days="7")
    assert "--since" not in Usage().command()
