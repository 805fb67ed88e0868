"""`python -m hearth.doctor http://pi.local:85`: why a host is unreachable or does not respond, and how to fix it.

Exit codes: 0 no problem found (there may be notes), 1 a problem was found, 2 nothing was checked (invalid argument).
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
from hearth.doctor.report import UNKNOWN, exit_code, format_json, format_steps, format_text
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
    """Run all steps, print the report, and return the exit code."""
    options = make_parser(program).parse_args(arguments)
    try:
        target = parse_target(options.url)
        authority = _authority(options.ca)
    except ValueError as error:
        print(error, file=sys.stderr)
        return UNKNOWN
    diagnosis = Diagnosis(
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

    def run_steps() -> Iterator[Step]:
        for step in diagnosis.steps():
            steps.append(step)
            yield step
        if options.inventory:
            steps.append(inspect_host(options.inventory, options.host, target, options.inside_timeout))
            yield steps[-1]

    if options.json:
        list(run_steps())
        print(json.dumps(format_json(target.url, steps), indent=2, ensure_ascii=False))
        return exit_code(steps)
    print(f"Checking {target.url} …", flush=True)
    for line in format_steps(run_steps()):
        print(line, flush=True)
    print(f"\n{format_text(steps)}")
    return exit_code(steps)


def _authority(path: str) -> str:
    """The absolute path of a PEM file with certificates, or "".

    Raises:
        ValueError: it is missing, unreadable, or has no certificate.
    """
    if not path:
        return ""
    full_path = str(Path(path).expanduser())
    try:
        ssl.create_default_context(cafile=full_path)
    except (OSError, ssl.SSLError) as error:
        problem = error.strerror if not isinstance(error, ssl.SSLError) and error.strerror else "it has no certificate"
        raise ValueError(f"--ca {path}: {problem}; use a PEM file such as ~/.config/hearth/ca/hearth-ca.crt") from None
    return full_path


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is not valid; use a number of seconds up to 86400")
    return seconds


def _times(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not valid; use a whole number from 1 to 100")
    return int(text)


def make_parser(program: str = "python -m hearth.doctor") -> argparse.ArgumentParser:
    """The doctor's command line, for a program of that name."""
    parser = argparse.ArgumentParser(
        prog=program,
        description="Find out why a Hearth host is unreachable or does not respond, and how to fix it.",
        epilog=_EPILOG.format(program=program),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("url", metavar="URL", help="the chat page's address: http://pi.local:85")
    parser.add_argument(
        "--origin",
        default="",
        help="the origin of a page that should be able to call the API: http://192.168.1.20:8080",
    )
    parser.add_argument("--model", default="", help="the model to prompt (default: the smallest that answers prompts)")
    parser.add_argument(
        "--user",
        default="",
        metavar="NAME",
        help=f"sign in if the host requires it; prompts for the password, unless it is in {PASSWORD}. "
        f"Without this option, the API key in {KEY} is used",
    )
    parser.add_argument(
        "--ca",
        default="",
        metavar="FILE",
        help="a CA to trust, in addition to this machine's: ~/.config/hearth/ca/hearth-ca.crt",
    )
    parser.add_argument("--no-prompt", action="store_true", help="send no prompt")
    parser.add_argument("--timeout", type=_seconds, default=5.0, help="seconds for each network step (default: 5)")
    parser.add_argument(
        "--patience",
        type=_seconds,
        default=300.0,
        help="seconds to wait for the next word of the answer (default: 300)",
    )
    parser.add_argument("--tries", type=_times, default=2, help="attempts if something times out (default: 2)")
    parser.add_argument("--inventory", default="", help="also inspect the host itself: inventory/pi.py (needs pyinfra)")
    parser.add_argument("--host", default="", help="which host of the inventory, if it has several")
    parser.add_argument("--inside-timeout", type=_seconds, default=120.0, help="seconds for --inventory (default: 120)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)  # the shell's convention for Ctrl-C
