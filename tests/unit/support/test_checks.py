"""The files that `make check` checks, and its behaviour if a program is missing."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.support import checks


@pytest.fixture(name="checkout")
def _checkout(tmp_path: Path) -> Path:
    """A git checkout with all kinds of shell files, and others."""
    root = tmp_path / "a checkout"
    files = {
        "by ending.sh": "echo",
        "b.bash": "echo",
        "dash": "#!/bin/dash\n",
        "env": "#!/usr/bin/env bash\n",
        "options": "#! /bin/sh -eu\n",
        "python": "#!/usr/bin/env python3\n",
        "fish": "#!/usr/bin/fish\n",
        "empty": "",
        "ignored.sh": "echo",
        "gone.sh": "echo",
        ".gitignore": "ignored.sh\n",
        ".github/workflows/ci.yml": "",
        ".github/dependabot.yml": "",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for words in (["init", "-q"], ["add", "gone.sh", "dash", ".gitignore"]):
        subprocess.run(["git", *words], cwd=root, check=True)
    (root / "gone.sh").unlink()
    return root


def test_shell_files_are_found_by_suffix_or_first_line(checkout: Path) -> None:
    names = checks.repository_files(checkout)
    assert checks.shell_files(names, checkout) == ["b.bash", "by ending.sh", "dash", "env", "options"]
    assert checks.workflows(names) == [".github/workflows/ci.yml"]


def test_missing_checkout_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(SystemExit, match=r"needs a git checkout.*not a git repository"):
        checks.repository_files(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match=r"needs a git checkout.*'git'"):
        checks.repository_files(tmp_path)


def test_shell_files_of_this_repository_are_found() -> None:
    found = set(checks.shell_files(checks.repository_files()))
    assert {".ci/run", "lab/machine.sh", "hearth/releases/release.bash", "lab/images/httpd/httpd-foreground"} <= found


@pytest.fixture(name="bare")
def _bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH without Go, and a lab that has built nothing. The directory on the PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("HEARTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CI", raising=False)
    return tmp_path


def go(bare: Path, version: str, then: str = "exit 1") -> None:
    """A Go of that version, which builds nothing."""
    program = bare / "go"
    program.write_text(f'#!/bin/sh\n[ "$1" = run ] || {{ echo "go version go{version} linux/amd64"; exit; }}\n{then}\n')
    program.chmod(0o755)


def test_actionlint_is_skipped_with_an_old_go(bare: Path) -> None:
    go(bare, "1.19.8")
    with pytest.raises(checks.Skipped, match=r"no Go 1\.21 or later"):
        checks.actionlint()


def test_actionlint_is_skipped_without_go_and_the_lab(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(bare))
    with pytest.raises(checks.Skipped, match=r"no Go 1\.21 or later.*and the lab has"):
        checks.actionlint()


def test_actionlint_is_skipped_if_go_cannot_build_it(bare: Path) -> None:
    go(bare, "1.26.0", "echo 'dial tcp: no route to host' >&2; exit 1")
    with pytest.raises(checks.Skipped, match="no route to host"):
        checks.actionlint()


def test_suitable_go_is_used(bare: Path) -> None:
    go(bare, "1.24.4", '[ "$GOTOOLCHAIN" = auto ]')
    assert checks.actionlint()[:2] == ["go", "run"]


def test_nothing_is_skipped_in_ci(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def none() -> list[str]:
        raise checks.Skipped("no Go")

    monkeypatch.setattr(checks, "actionlint", none)
    monkeypatch.setattr(checks, "_run", lambda _: 0)
    monkeypatch.setattr(checks, "bad_subjects", list)
    for ci, code in (("", 0), ("true", 1)):
        monkeypatch.setenv("CI", ci)
        assert checks.main() == code
        assert "actionlint: skipped: no Go" in capsys.readouterr().out


def test_actions_are_pinned_by_commit_and_note_their_version() -> None:
    names = checks.workflows(checks.repository_files())
    used = [line.strip() for name in names for line in (checks.ROOT / name).read_text().splitlines() if "uses:" in line]
    assert used
    for line in used:
        assert re.fullmatch(r"- uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


@pytest.mark.parametrize(
    ("name", "file", "sound", "fault"),
    [
        ("shellcheck", "dash", "#!/bin/dash\n", "#!/bin/dash\ncd $1\n"),
        ("shfmt", "b.bash", "echo\n", "echo   a\n"),
        ("typos", "page.md", "The host.\n", "Teh host.\n"),
        ("oxlint", "page.js", "export const one = 1;\n", "export const one = 1;\ndebugger;\n"),
    ],
)
def test_findings_fail_the_check(
    checkout: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    name: str,
    file: str,
    sound: str,
    fault: str,
) -> None:
    """With the real program; skipped if there is none for the machine."""
    try:
        checks.program(name)
    except checks.Skipped as why:
        pytest.skip(str(why))
    monkeypatch.setattr(checks, "ROOT", checkout)
    monkeypatch.setattr(checks, "workflows", lambda _: [])
    monkeypatch.setattr(checks, "bad_subjects", list)
    monkeypatch.setattr(checks, "repository_files", lambda: [file])
    monkeypatch.setattr(checks, "shell_files", lambda names: [name for name in names if not name.startswith("page.")])
    (checkout / file).write_text(sound)
    assert (checks.main(), *capfd.readouterr()) == (0, "", "")
    (checkout / file).write_text(fault)
    assert checks.main() == 1
    assert file in "".join(capfd.readouterr())


def test_subjects_of_commits(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git = ["git", "-c", "user.name=Anna", "-c", "user.email=anna@example.org"]

    def commit(subject: str) -> None:
        subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", subject], cwd=checkout, check=True)

    commit("Before the rule")
    head = subprocess.run([*git, "rev-parse", "HEAD"], cwd=checkout, capture_output=True, text=True, check=True).stdout
    monkeypatch.setattr(checks, "_SUBJECTS_AFTER", head.strip())
    for good in ("feat: x", "fix(lab): x", "feat(settings)!: x", f"docs: {'x' * 66}"):
        commit(good)
    assert checks.bad_subjects(checkout) == []
    bad = ["Fix it", "feat:x", "feature: x", f"docs: {'x' * 67}"]
    for one in bad:
        commit(one)
    assert checks.bad_subjects(checkout) == bad[::-1]


def test_subjects_are_skipped_without_history(checkout: Path) -> None:
    with pytest.raises(checks.Skipped, match="git fetch --unshallow"):
        checks.bad_subjects(checkout)


def test_missing_history_is_not_an_error_in_ci(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unknown() -> list[str]:
        raise checks.Skipped("no history")

    monkeypatch.setattr(checks, "actionlint", list)
    monkeypatch.setattr(checks, "_run", lambda _: 0)
    monkeypatch.setattr(checks, "bad_subjects", unknown)
    monkeypatch.setenv("CI", "true")
    assert checks.main() == 0
    assert "commit subjects: skipped: no history" in capsys.readouterr().out
