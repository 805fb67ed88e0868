"""Texts read as if written in English: set phrases of translated text stay out of tracked files.

Each phrase comes with what to write instead. It is found in any case, and across line breaks, also those of comments
and of joined string literals. CONTRIBUTING.md has the glossary of the terms.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.checks import repository_files
from tests.support.shipped import PROJECT

SUFFIXES = {".md", ".py", ".js", ".html", ".j2", ".sh", ".bash", ".yaml", ".yml", ".css", ".svg", ".service", ""}

# Phrase (a regular expression; a space stands for any white space) → what to write instead.
PHRASES = {
    r"would be right": 'say what to write: use "docker" or "auto"',
    r"(?:can't|cannot|can not|could not) be (?:known|found out|looked at)": "unknown; could not determine or inspect",
    r"(?:can't|cannot|can not|could not) be had": "is not available; could not pull, could not read",
    r"(?:setting|value) that can't be right": "an invalid setting, an invalid value",
    r"as (?:it|they) should be": "in sync, up to date, correct",
    r"\b(?:it|that|this|what|which|who|one|page|path|name|host|file|setting|container) is no (?!longer\b|more\b)": (
        "is not a …"
    ),
    r"\banew\b": "again, from scratch; recreate, retry",
    r"\bby hand\b": "manually",
    r"\blast words\b": "the last container logs; the summary",
    r"\bput(?:s|ting)? (?:it |them |that |what \w+ )?right\b": "fix, repair",
    r"\bput(?:s|ting)? back\b": "roll back, restore",
    r"\bway back\b": "rollback; return path",
    r"\bwhat (?:serves?|served|is so|was so)\b": "the running service, the current release; the condition",
    r"\b(?:what|nothing) (?:became|becomes|came|comes) of\b": "the result of",
    r"\bthe release before\b": "the previous release",
    r"\btak(?:e|es|en|ing) up (?:again|where)\b": "resume",
    r"\btak(?:e|es|en|ing) away\b": "remove",
    r"\bg(?:o|oes|one|oing) on with\b": "continue, resume, keep using",
    r"\blet in\b(?!-)": "allow, admit",
    r"\bfor ever\b": "forever",
    r"\bin the midst\b": "during, in the middle of, mid-stream",
    r"\bin vain\b": "without effect; times out",
    r"\bfor want of\b": "for lack of",
    r"\bnot at hand\b": "not available",
    r"\bno room\b": "no disk space, storage is full",
    r"\bbeside\b": "next to, in addition to, besides",
    r"\bsigns? of life\b": "response",
    r"\bforeign origins?\b": "unlisted origin",
    r"\brunning answers?\b": "in-flight response",
    r"\basked a question\b": "prompted; answers prompts",
    r"\b(?:its|their) own words\b": "its message, its output",
    r"\bwithout a word\b": "silently",
    r"\bsays? no more\b": "adds no details",
    r"\bat work there\b": "running there",
    r"\bleft as (?:it|they) (?:is|are|was|were)\b": "is not changed, stays",
    r"\b(?:is|are|was|were|been) (?:not )?tried\b(?! first)": "is tested, was attempted",
    r"\b(?:is|are|was|were|been) (?:not )?(?:yet )?seen\b": "observed, tested, reproduced; detected",
    r"\bseen passing\b": "passed",
    r"\blook(?:s|ed)? whether\b": "check whether",
    r"\bask(?:s|ed)? whether\b": "check whether",
    r"\b(?:is|are|was|were) (?:not (?:yet )?there|there already|there yet)\b": "is missing; already exists",
    r"\bstands? (?:there|above|below)\b": "is above, is below",
    r"\breckon(?:s|ed|ing)?\b": "estimate",
    r"\bof the host's own\b": "natively installed; the host's",
    r"\bone's own\b": "your own, a separate …",
    r"\bto its end\b": "completely; completes, finishes",
    r"\b(?:is|are|was|were) wanted\b": "is required, is configured",
    r"\bwants? (?:a|an|more|no|at least|to be)\b": "needs …",
    r"\b(?:is|are|was|were) said\b": "is reported, is printed",
    r"\b(?:is|are|was|were) told (?!to\b|once\b)": "is reported, gets a warning; is distinguished",
}


def words(phrase: str) -> str:
    """Let a space in a phrase be a line break: of prose, of a comment, or of two string literals in a row."""
    return phrase.replace(" ", r"""(?:\s+(?:(?:#|//|\*|>)\s*)?|"\s+[frb]?")""")


FOUND = {phrase: re.compile(words(phrase), re.IGNORECASE) for phrase in PHRASES}


def tracked() -> list[str]:
    return [
        name
        for name in repository_files(PROJECT)
        if Path(name).suffix in SUFFIXES and Path(name) != Path(__file__).resolve().relative_to(PROJECT)
    ]


def found(text: str) -> Iterator[tuple[int, str, str]]:
    """Line, words and what to write instead, of each set phrase in a text."""
    for phrase, pattern in FOUND.items():
        for match in pattern.finditer(text):
            yield text.count("\n", 0, match.start()) + 1, " ".join(match[0].split()), PHRASES[phrase]


def complaints(names: list[str]) -> list[str]:
    return [
        f"{name}:{line}: “{said}”; write instead: {instead}"
        for name in names
        for line, said, instead in sorted(found((PROJECT / name).read_text(encoding="utf-8")))
    ]


def test_texts_are_plain_english() -> None:
    names = tracked()
    assert {"README.md", "CHANGELOG.md", "docs/proxy.md"} <= {*names}
    assert complaints(names) == []


@pytest.mark.parametrize(
    "text",
    [
        'f"{name}: \\"docker\\" would be right"',
        "# whether it answers can't\n    # be known",
        '"the release before is put "\n        f"back by itself"',
        "A page that is no route.",
        "Everything is as it should be.",
    ],
)
def test_phrases_are_found_across_lines_comments_and_literals(text: str) -> None:
    assert [*found(text)]


@pytest.mark.parametrize(
    "text", ["There is no route.", "It is no longer there.", "a value that is not known", "besides"]
)
def test_plain_english_is_accepted(text: str) -> None:
    assert [*found(text)] == []
