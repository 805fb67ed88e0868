"""`python -m hearth.doctor http://pi.local:85`: why a host can't be reached or does not answer, and what helps.

Exit codes: 0 nothing is wrong (there may be notes), 1 something is, 2 it could not be looked at (a wrong argument).
"""

from __future__ import annotations

import argparse
import json
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

from hearth.doctor.checks.host_over_ssh import inspect_host
from hearth.doctor.checks.result import Step
from hearth.doctor.client_environment import inspect_client
from hearth.doctor.credentials import KEY, PASSWORD, authorization
from hearth.doctor.report import UNKNOWN, exit_code, format_json, format_text, lines
from hearth.doctor.runner import Diagnosis, Options
from hearth.doctor.target import parse_target

_EPILOG = """\
examples:
  {program} http://pi.local:85
  {program} http://pi.local:85 --inventory inventory/pi.py    also from the host's side
  {program} http://pi.local:85 --origin http://192.168.1.20:8080
  {program} https://pi.local:8443 --ca ~/.config/hearth/ca/hearth-ca.crt --user anna

exit codes: 0 no problem found, 1 a problem was found, 2 nothing could be checked. See docs/doctor.md."""


def main(arguments: list[str] | None = None, program: str = "python -m hearth.doctor") -> int:
    """Walk, tell, and return the exit code."""
    options = make_parser(program).parse_args(arguments)
    try:
        target = parse_target(options.url)
        authority = _authority(options.ca)
    except ValueError as error:
        print(error, file=sys.stderr)
        return UNKNOWN
    walk = Diagnosis(
        target,
        inspect_client(),
        Options(
            timeout=options.timeout,
            patience=0 if options.no_prompt else options.patience,
            tries=options.tries,
            origin=options.origin,
            model=options.model,
            authorization=authorization(options.user),
            authority=authority,
        ),
    )
    steps: list[Step] = []

    def taken() -> Iterator[Step]:
        for step in walk.steps():
            steps.append(step)
            yield step
        if options.inventory:
            steps.append(inspect_host(options.inventory, options.host, target, options.inside_timeout))
            yield steps[-1]

    if options.json:
        list(taken())
        print(json.dumps(format_json(target.url, steps), indent=2, ensure_ascii=False))
        return exit_code(steps)
    print(f"Looking at {target.url} …", flush=True)
    for line in lines(taken()):
        print(line, flush=True)
    print(f"\n{format_text(steps)}")
    return exit_code(steps)


def _authority(path: str) -> str:
    """The path of a PEM file that can be used, or "".

    Raises:
        ValueError: it can't.
    """
    if not path:
        return ""
    place = str(Path(path).expanduser())
    try:
        ssl.create_default_context(cafile=place)
    except (OSError, ssl.SSLError) as error:
        why = error.strerror if not isinstance(error, ssl.SSLError) and error.strerror else "it has no certificate"
        raise ValueError(
            f"--ca {path}: {why}; a PEM file such as ~/.config/hearth/ca/hearth-ca.crt would be right"
        ) from None
    return place


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 86400:
        raise ValueError(text)
    return seconds


def _times(text: str) -> int:
    times = int(text)
    if not 1 <= times <= 100:
        raise ValueError(text)
    return times


def make_parser(program: str = "python -m hearth.doctor") -> argparse.ArgumentParser:
    """The doctor's command line, for a program of that name."""
    parser = argparse.ArgumentParser(
        prog=program,
        description="Why a Hearth host can't be reached or does not answer, and what helps. Runs on your own machine.",
        epilog=_EPILOG.format(program=program),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("url", metavar="URL", help="the chat page's address: http://pi.local:85")
    parser.add_argument(
        "--origin", default="", help="a page elsewhere that is to call the API: http://192.168.1.20:8080"
    )
    parser.add_argument("--model", default="", help="the model to ask (default: the smallest that answers questions)")
    parser.add_argument(
        "--user",
        default="",
        metavar="NAME",
        help=f"sign in where the host asks for it; the password is asked for (or in {PASSWORD}). "
        f"Without a name, the API key in {KEY}",
    )
    parser.add_argument(
        "--ca", default="", metavar="FILE", help="an authority to trust: ~/.config/hearth/ca/hearth-ca.crt"
    )
    parser.add_argument("--no-prompt", action="store_true", help="ask the model nothing")
    parser.add_argument(
        "--timeout", type=_seconds, default=5.0, help="seconds for each step over the network (default: 5)"
    )
    parser.add_argument(
        "--patience", type=_seconds, default=300.0, help="seconds without a word of the answer (default: 300)"
    )
    parser.add_argument("--tries", type=_times, default=2, help="how often what times out is tried (default: 2)")
    parser.add_argument(
        "--inventory", default="", help="also look from the host's side: inventory/pi.py (needs pyinfra)"
    )
    parser.add_argument("--host", default="", help="which host of the inventory, if it has several")
    parser.add_argument("--inside-timeout", type=_seconds, default=120.0, help="seconds for that (default: 120)")
    parser.add_argument("--json", action="store_true", help="print one JSON document, for programs")
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)  # as a shell has it
