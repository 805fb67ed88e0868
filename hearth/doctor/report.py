"""The report of a diagnosis, as text and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from hearth import __version__
from hearth.doctor.causes.cause import Finding
from hearth.doctor.checks.result import Step

OK, PROBLEM, UNKNOWN = 0, 1, 2
_MARKS = {"ok": "ok", "warning": "NOTE", "problem": "PROBLEM"}


def format_steps(steps: Iterable[Step]) -> Iterator[str]:
    """A line for each step when it is done; steps skipped for the same reason share one."""
    for (skipped, observed), group in groupby(
        steps, key=lambda step: (step.skipped, step.observed if step.skipped else "")
    ):
        if skipped:
            yield _line("-", ", ".join(step.name for step in group), observed)
            continue
        for step in group:
            yield _line(_MARKS[step.state], step.name, step.observed)


def _line(mark: str, name: str, observed: str) -> str:
    return _wrap(f"  {mark:8} {name}: {observed}", " " * 11)


def exit_code(steps: Sequence[Step]) -> int:
    """0 without problems (notes do not count), else 1."""
    return PROBLEM if any(step.state == "problem" for step in steps) else OK


def collect_findings(steps: Sequence[Step]) -> list[tuple[str, Finding]]:
    """All findings with step names, problems first; each cause once, without those that another one replaces."""
    pairs = [(step.name, finding) for step in steps for finding in step.findings]
    replaced = {name for _, finding in pairs for name in finding.cause.replaces}
    pairs = [pair for pair in pairs if pair[1].cause.id not in replaced]
    seen: set[str] = set()
    single = [pair for pair in pairs if not (pair[1].cause.id in seen or seen.add(pair[1].cause.id))]  # type: ignore[func-returns-value]
    return sorted(single, key=lambda pair: pair[1].cause.severity != "problem")


def format_text(steps: Sequence[Step]) -> str:
    """The findings, each with cause and cure; printed below the lines of the steps."""
    findings = collect_findings(steps)
    if not findings:
        return "No problems found."
    blocks = []
    for number, (name, finding) in enumerate(findings, 1):
        note = "" if finding.cause.severity == "problem" else " (works anyway)"
        blocks.append(
            "\n".join(
                [
                    f"{number}. {finding.cause.title}{note}",
                    _wrap(f"   Found: {name}: {finding.observed}", " " * 10),
                    _wrap(f"   Cause: {finding.why}", " " * 10),
                    _wrap(f"   Cure:  {finding.cure}", " " * 10),
                    f"   More:  {finding.cause.docs}",
                ]
            )
        )
    return "\n\n".join(blocks)


def format_json(url: str, steps: Sequence[Step]) -> dict[str, Any]:
    """The report as primitives. `verdict` is `ok` or `problem`, matching the exit code."""
    code = exit_code(steps)
    return {
        "url": url,
        "hearth": __version__,
        "verdict": "problem" if code else "ok",
        "exit_code": code,
        "steps": [
            {"name": step.name, "state": step.state, "seen": step.observed, "data": dict(step.data)} for step in steps
        ],
        "findings": [
            {
                "id": finding.cause.id,
                "severity": finding.cause.severity,
                "step": name,
                "title": finding.cause.title,
                "seen": finding.observed,
                "cause": finding.why,
                "cure": finding.cure,
                "docs": finding.cause.docs,
            }
            for name, finding in collect_findings(steps)
        ],
    }


def _wrap(text: str, indent: str) -> str:
    # Do not break addresses and commands, so that they can be copied.
    return textwrap.fill(text, 100, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
