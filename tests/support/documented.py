"""Code examples of the docs, to be run unchanged."""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str, heading: str = "") -> list[str]:
    """Code of a language in a page of the project.

    Args:
        heading: only below this heading, up to the next one of the second level.
    """
    text = (PROJECT / page).read_text(encoding="utf-8")
    if heading:
        _, found, text = text.partition(f"\n## {heading}\n")
        assert found, f"{page} has no heading {heading}"
        text = text.partition("\n## ")[0]
    code = [block for kind, block in _BLOCK.findall(text) if kind == language]
    assert code, f"{page} {heading}: no {language} code"
    return code
