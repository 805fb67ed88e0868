"""The Makefile has the targets and suites that texts name, and every suite of tests.run has a way to it."""

from __future__ import annotations

import re
import subprocess

import pytest

from hearth.cli.command import cli
from tests.run import RUNS
from tests.support.shipped import PROJECT

TARGETS = {"help", "setup", "demo", "check", "unit", "test", "bench", "clean"}


def make(*words: str) -> subprocess.CompletedProcess[str]:
    """Without `-n`, only for what runs nothing."""
    return subprocess.run(
        ["make", *words],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "/usr/bin:/bin"},
    )


def tracked_text() -> list[tuple[str, str]]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=PROJECT, check=True, capture_output=True, text=True, timeout=60
    ).stdout.split("\0")
    paths = [PROJECT / name for name in listed if name and not name.startswith("docs/images/")]
    return [(str(path.relative_to(PROJECT)), path.read_text(encoding="utf-8")) for path in paths if path.is_file()]


def test_help_shows_users_and_developers_every_target() -> None:
    users, _, developers = make("help").stdout.partition("Developers\n")
    assert users.startswith("Users\n")
    names = [set(re.findall(r"(?m)^  make (\w+) ", part)) for part in (users, developers)]
    assert names == [{"setup", "demo"}, {"check", "unit", "test", "bench", "clean"}]


@pytest.mark.parametrize("suite", sorted(RUNS.keys() - {"check", "unit"}))
def test_every_suite_runs(suite: str) -> None:
    done = make("-n", "test", f"SUITE={suite}")
    assert done.returncode == 0, done.stderr
    assert f"-m tests.run '{suite}'" in done.stdout
    assert ("--arm64" in done.stdout) == (suite == "arm64")


@pytest.mark.parametrize(
    ("word", "message"),
    [("SUITE=scenario", "use one of test all proxy"), ("WITH=lab", "use verify, watch, dev or nothing")],
)
def test_unknown_values_are_refused(word: str, message: str) -> None:
    done = make("-n", "test", word)
    assert done.returncode == 2
    assert message in done.stderr


def test_texts_name_targets_suites_and_commands_that_exist() -> None:
    wrong = []
    for name, text in tracked_text():
        if name == "tests/unit/support/test_makefile.py" or name.startswith(
            "lab/recipes/"
        ):  # these build other projects
            continue
        # In backticks, or alone in a line of code.
        quoted = re.findall(
            r"(?:`|^ *(?:- run: )?|IMAGES=\w+ )make((?: (?:[a-z-]+|[A-Z_]+=\S+?))+)(?:`|  |$)", text, re.MULTILINE
        )
        for word in " ".join(quoted).split():
            key, given, value = word.partition("=")
            if given and key == "SUITE" and value not in RUNS and value != "…":
                wrong.append(f"{name}: SUITE={value}")
            if not given and not word.startswith("-") and word not in TARGETS:
                wrong.append(f"{name}: make {word}")
        wrong += [
            f"{name}: hearth {word}"
            for word in re.findall(r"(?:`|bin/|^)hearth ([a-z]+)", text, re.MULTILINE)
            if word not in cli.commands
        ]
    assert wrong == []
