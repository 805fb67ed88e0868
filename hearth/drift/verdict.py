"""What a `pyinfra --dry --json` of one host means: it is right, it differs, or that can't be known. Pure rules.

pyinfra's exit code says none of it: 0 with changes pending, for a host that it does not know, and after Ctrl-C.
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
    """A host's state, and why: sentences, none where it is the same."""

    state: State
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReportedReason:
    """A sentence of `hearth.runtime.explain.explain`, of kind `differs` or `unknown`."""

    kind: str
    text: str


def parse_report(text: str) -> list[ReportedReason]:
    """What was said during a run, from its report: a JSON object a line."""
    return [ReportedReason(one["kind"], one["text"]) for one in map(json.loads, text.splitlines())]


def judge(code: int, output: str, errors: str, said: Sequence[ReportedReason]) -> Verdict:
    """The verdict on one host.

    Args:
        code, output, errors: of `pyinfra --dry --json`, limited to that host.
        said: the sentences of that run.
    """
    plan = _plan(output)
    if code != 0 or not plan:
        return Verdict("unknown", (failure_reason(errors) or "pyinfra ended early and gave no reason",))
    # What a condition guards is not evaluated in a dry run: `hosts_with_conditional_change` says nothing.
    return compare([one["name"] for one in plan if one["hosts_with_change"]], said)


def compare(changed: Sequence[str], said: Sequence[ReportedReason]) -> Verdict:
    """The verdict on one host that was compared with its settings.

    Args:
        changed: names of the operations that would change the host.
        said: as in `judge`.
    """
    reasons = tuple(dict.fromkeys(one.text for one in said))
    if not changed:
        return Verdict("unknown", reasons) if any(one.kind == "unknown" for one in said) else Verdict("same")
    if said and all(one.kind == "unknown" for one in said):
        return Verdict("unknown", reasons)
    return Verdict("differs", reasons or tuple(changed))


def _plan(output: str) -> list[dict[str, Any]]:
    """The operations of the one JSON document in the output; none where it was not printed, or is broken off."""
    try:
        document = json.loads(output)
    except ValueError:
        return []
    plan = document.get("plan") if isinstance(document, dict) else None
    return plan if isinstance(plan, list) else []


def format_verdict(name: str, verdict: Verdict) -> str:
    """The verdict for a person: a line, and one for each reason."""
    heads = {"same": "is as it should be", "differs": "differs", "unknown": "it can't be known"}
    if not verdict.reasons:
        return f"{name}: {heads[verdict.state]}"
    lines = [line for reason in verdict.reasons for line in reason.splitlines()]
    return "\n".join([f"{name}: {heads[verdict.state]}:", *(f"  {line}" for line in lines)])


def exit_code(verdicts: Iterable[Verdict]) -> int:
    """0 if all are the same, 2 if one can't be known, else 1."""
    states = {verdict.state for verdict in verdicts}
    return 2 if "unknown" in states else 1 if "differs" in states else 0
