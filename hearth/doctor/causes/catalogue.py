"""All causes, in the order of the steps. `python -m hearth.doctor.causes.catalogue` prints them as Markdown.

Its output is the last part of `docs/doctor.md`, below a mark; a test checks that they match.
"""

from __future__ import annotations

import re
from types import ModuleType

from hearth.doctor.causes import host as host_causes
from hearth.doctor.causes import network as network_causes
from hearth.doctor.causes import ollama as ollama_causes
from hearth.doctor.causes import origin as origin_causes
from hearth.doctor.causes import port as port_causes
from hearth.doctor.causes.cause import Cause, fill

_PARTS: tuple[tuple[str, ModuleType], ...] = (
    ("Network", network_causes),
    ("Port and server", port_causes),
    ("Origins and CORS", origin_causes),
    ("Ollama and its answers", ollama_causes),
    ("The host itself", host_causes),
)


def causes_of(module: ModuleType) -> list[Cause]:
    """The causes defined in a module, in order."""
    return [value for value in vars(module).values() if isinstance(value, Cause)]


def all_causes() -> list[Cause]:
    return [cause for _, module in _PARTS for cause in causes_of(module)]


def markdown() -> str:
    """A table of all causes, and a section for each; its heading is the anchor that findings link to."""
    lines = ["| Finding | Cause | Cure in short |", "|---|---|---|"]
    lines += [
        f"| [{cause.id}](#{cause.id}) | {cause.title}{_note(cause)} | {_first_sentence(fill(cause.cure))} |"
        for cause in all_causes()
    ]
    for title, module in _PARTS:
        lines += ["", f"## {title}"]
        for cause in causes_of(module):
            lines += ["", f"### {cause.id}", "", f"**{cause.title}{_note(cause)}.** {fill(cause.why)}", ""]
            lines += [f"*Cure:* {fill(cause.cure)}"]
    return "\n".join(lines) + "\n"


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[.!?]) (?=[A-Z`(])", text, maxsplit=1)[0].replace("|", "\\|")


def _note(cause: Cause) -> str:
    return " (a note)" if cause.severity == "warning" else ""


if __name__ == "__main__":
    print(markdown(), end="")
