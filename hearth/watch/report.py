"""What a check found, as a message, and whether to send it. Pure rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hearth.drift.verdict import Verdict, format_verdict
from hearth.runtime.text import join_words

# A problem that stays is mentioned again after this time.
REMIND_AFTER = timedelta(days=7)


@dataclass(frozen=True)
class Repair:
    """A deploy that a check started.

    Attributes:
        problem: why it failed, or "" if it succeeded.
    """

    problem: str = ""


@dataclass(frozen=True)
class Report:
    """What a check found.

    Attributes:
        inventory: as the user wrote it.
        verdicts: host → verdict, before any repair.
        repairs: host → repair, of those that were attempted.
    """

    inventory: str
    verdicts: Mapping[str, Verdict]
    repairs: Mapping[str, Repair] = field(default_factory=dict)

    @property
    def noteworthy(self) -> list[str]:
        """Names of the hosts that somebody should know about."""
        return [name for name, verdict in self.verdicts.items() if verdict.state != "same" or verdict.warnings]

    @property
    def title(self) -> str:
        """One line."""
        if not self.noteworthy:
            return f"Hearth: {join_words(self.verdicts)} in sync"
        if len(self.noteworthy) > 1:
            return f"Hearth: {len(self.noteworthy)} of {len(self.verdicts)} hosts need attention"
        [name] = self.noteworthy
        repair, state = self.repairs.get(name), self.verdicts[name].state
        if repair is not None:
            return (
                f"Hearth: {name} had drifted and was repaired"
                if not repair.problem
                else f"Hearth: repair of {name} failed"
            )
        return f"Hearth: {name} {_TITLES[state]}"

    @property
    def text(self) -> str:
        """A paragraph for each noteworthy host, and what to do."""
        paragraphs = []
        for name in self.noteworthy:
            lines = [format_verdict(name, self.verdicts[name])]
            if (repair := self.repairs.get(name)) is not None:
                lines.append(f"  The repair failed: {repair.problem}" if repair.problem else "  It was repaired.")
            paragraphs.append("\n".join(lines))
        drifted = [name for name, verdict in self.verdicts.items() if verdict.state == "differs"]
        if any(name not in self.repairs for name in drifted):
            paragraphs.append(f"To repair: hearth deploy {self.inventory}")
        return "\n\n".join(paragraphs) or "Every host matches its settings."

    @property
    def subject(self) -> str:
        """What it is about, without what differs from day to day: figures, and the details of a failed connection."""
        about = []
        for name in self.noteworthy:
            verdict = self.verdicts[name]
            cut = verdict.state == "unknown"
            reasons = [one.partition("(")[0] if cut else one for one in verdict.reasons]
            about.append(f"{name}: {verdict.state}: {'; '.join([*reasons, *verdict.warnings])}")
        return _FIGURE.sub("N", "\n".join(about))


_FIGURE = re.compile(r"\d+(\.\d+)?(?= (days|GB|°C)\b)")
_TITLES = {"same": "needs attention", "differs": "has drifted", "unknown": "could not be checked"}


@dataclass(frozen=True)
class Sent:
    """The last message that was sent about an inventory.

    Attributes:
        subject: of its report; "" if nothing was wrong.
        at: when, in UTC.
    """

    subject: str
    at: datetime


def is_due(report: Report, last: Sent | None, now: datetime) -> bool:
    """Whether to send a message: about a change, again after a week, and once when all is well again."""
    if not report.noteworthy:
        return last is not None and last.subject != ""
    return last is None or report.subject != last.subject or bool(report.repairs) or now - last.at >= REMIND_AFTER
