"""The verdict of a `pyinfra --dry --json` of one host: in sync, drifted, or unknown. Pure rules.

pyinfra's exit code does not tell: it is 0 with changes pending, for an unknown host, and after Ctrl-C.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hearth.runtime.pyinfra_process import failure_reason

State = Literal["same", "differs", "unknown"]


@dataclass(frozen=True)
class Verdict:
    """A host's state, and the reasons; none if it is the same. Warnings do not depend on the state."""

    state: State
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReportedReason:
    """A message of `hearth.runtime.explain.explain`, of kind `differs`, `unknown` or `warning`."""

    kind: str
    text: str


def parse_report(text: str) -> list[ReportedReason]:
    """The explanations of a run, from its report: one JSON object per line."""
    return [ReportedReason(one["kind"], one["text"]) for one in map(json.loads, text.splitlines())]


def judge(code: int, output: str, errors: str, explained: Sequence[ReportedReason]) -> Verdict:
    """The verdict on one host.

    Args:
        code, output, errors: of `pyinfra --dry --json`, limited to that host.
        explained: the explanations of that run.
    """
    plan = _plan(output)
    if code != 0 or not plan:
        reasons = (failure_reason(errors) or "pyinfra ended early and gave no reason",)
        return Verdict("unknown", reasons, _texts(explained, "warning"))
    # A dry run does not evaluate conditions, so `hosts_with_conditional_change` is meaningless.
    return compare([one["name"] for one in plan if one["hosts_with_change"]], explained)


def compare(changed: Sequence[str], explained: Sequence[ReportedReason]) -> Verdict:
    """The verdict on one host that was compared with its settings.

    Args:
        changed: names of the operations that would change the host.
        explained: as in `judge`.
    """
    warnings = _texts(explained, "warning")
    reasons = _texts(explained, "differs", "unknown")
    kinds = {one.kind for one in explained} - {"warning"}
    if not changed:
        return Verdict("unknown", reasons, warnings) if "unknown" in kinds else Verdict("same", (), warnings)
    if kinds == {"unknown"}:
        return Verdict("unknown", reasons, warnings)
    return Verdict("differs", reasons or tuple(changed), warnings)


def _texts(explained: Sequence[ReportedReason], *kinds: str) -> tuple[str, ...]:
    """The messages of these kinds, each once, in order."""
    return tuple(dict.fromkeys(one.text for one in explained if one.kind in kinds))


def _plan(output: str) -> list[dict[str, Any]]:
    """The operations of the JSON document in the output; none if it is missing or truncated."""
    try:
        document = json.loads(output)
    except ValueError:
        return []
    plan = document.get("plan") if isinstance(document, dict) else None
    return plan if isinstance(plan, list) else []


def format_verdict(name: str, verdict: Verdict) -> str:
    """The verdict as text: a line, and one for each reason and warning."""
    heads = {"same": "in sync", "differs": "drifted", "unknown": "unknown"}
    lines = [line for reason in verdict.reasons for line in reason.splitlines()]
    lines += [f"warning: {warning}" for warning in verdict.warnings]
    head = f"{name}: {heads[verdict.state]}{':' if verdict.reasons else ''}"
    return "\n".join([head, *(f"  {line}" for line in lines)])


def exit_code(verdicts: Iterable[Verdict]) -> int:
    """0 if all are in sync, 2 if one is unknown, else 1."""
    states = {verdict.state for verdict in verdicts}
    return 2 if "unknown" in states else 1 if "differs" in states else 0
