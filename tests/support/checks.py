"""The checks of `make check` besides Python: shell, the page's JavaScript, spelling, workflows, and commit subjects.

shellcheck, shfmt, typos and oxlint are Python packages, if there is a build for the machine. Their settings are in
.shellcheckrc, .editorconfig, pyproject.toml and .oxlintrc.json, which editors and pre-commit use as well. actionlint is
a Go program, built by the machine's Go or by the lab (decision 0021).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from lab import artefacts, cache, programs, versions
from lab.errors import LabError

ROOT = Path(__file__).resolve().parents[2]
_SHEBANG = re.compile(rb"#!\s*/\S*?(/env\s+)?(/|\b)(ba|da)?sh\b")
_ACTIONLINT = f"{programs.ACTIONLINT}@v{versions.ACTIONLINT}"
# Commits after this one must follow the rule for subjects.
_SUBJECTS_AFTER = "fd0f2ac44f44164355b4ee2a5262d500ee83e4ae"
_SUBJECT = re.compile(r"(build|ci|docs|feat|fix|perf|refactor|revert|style|test)(\([\w-]+\))?!?: \S.*")
_LONGEST_SUBJECT = 72
# As in the lab's recipes: Debian's Go does not download a newer one by itself, which actionlint may need.
_GO = {"GOFLAGS": "", "GOTOOLCHAIN": "auto"}


class Skipped(Exception):
    """A check that is not possible on this machine, with the reason."""


def in_ci() -> bool:
    """Whether no check may be skipped: CI services and .ci/run set this variable."""
    return os.environ.get("CI") == "true"


def repository_files(root: Path = ROOT, *patterns: str) -> list[str]:
    """The files that git tracks, and new ones that it does not ignore, relative to `root`, sorted.

    Args:
        patterns: directories, or patterns as git takes them ("*.md"); all files without any.

    Raises:
        SystemExit: this is not a checkout, or git is missing.
    """
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        message = getattr(error, "stderr", None) or error
        raise SystemExit(f"make check needs a git checkout to list the files: {str(message).strip()}") from None
    return sorted(name for name in set(done.stdout.split("\0")) if name and (root / name).is_file())


def shell_files(names: list[str], root: Path = ROOT) -> list[str]:
    """The shell files, by suffix or first line."""
    return [name for name in names if name.endswith((".sh", ".bash")) or _has_shell_shebang(root / name)]


def _has_shell_shebang(path: Path) -> bool:
    with path.open("rb") as file:
        return bool(_SHEBANG.match(file.readline(200)))


def workflows(names: list[str]) -> list[str]:
    return [name for name in names if name.startswith(".github/workflows/") and name.endswith((".yml", ".yaml"))]


def program(name: str) -> str:
    """One of the Python packages' programs, or the machine's own.

    Raises:
        Skipped: there is neither; packages without a build for this processor are not installed.
    """
    if not (found := _which(name)):
        raise Skipped(f"no {name} for this machine among the Python packages, nor on the PATH")
    return found


def _which(name: str) -> str | None:
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


def bad_subjects(root: Path = ROOT) -> list[str]:
    """Subjects of commits (without merges) that are too long or not Conventional Commits.

    Raises:
        Skipped: the clone lacks the commit where the rule began.
    """
    command = ["git", "log", "--no-merges", "--format=%s", f"{_SUBJECTS_AFTER}..HEAD"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Skipped(f"this clone lacks commit {_SUBJECTS_AFTER[:7]}: git fetch --unshallow")
    return [one for one in done.stdout.splitlines() if len(one) > _LONGEST_SUBJECT or not _SUBJECT.fullmatch(one)]


def actionlint() -> list[str]:
    """The command of actionlint, built by Go, which caches it, or by the lab. Skipped if there is neither.

    In CI the lab builds it, so it is not skipped.
    """
    reason = "no Go 1.21 or later on the PATH"
    if go_version() >= (1, 21):
        words = ["go", "run", _ACTIONLINT]
        built_by_go = subprocess.run(
            [*words, "-version"], env=os.environ | _GO, capture_output=True, text=True, check=False
        )
        if built_by_go.returncode == 0:
            return words
        reason = f"Go could not build it: {built_by_go.stderr.strip().splitlines()[-1:]}"
    try:
        built = cache.path_of("actionlint", artefacts.keys()["actionlint"]) / "actionlint"
        if in_ci() and not built.exists():
            subprocess.run([sys.executable, "-m", "lab", "build", "actionlint"], cwd=ROOT, check=True)
    except (LabError, subprocess.CalledProcessError) as error:
        raise Skipped(f"{reason}, and the lab has none ({error})") from None
    if not built.exists():
        raise Skipped(f"{reason}, and the lab has not built it (python -m lab build actionlint)")
    return [str(built)]


def go_version() -> tuple[int, ...]:
    """The version of the machine's Go; () without one."""
    if not shutil.which("go"):
        return ()
    done = subprocess.run(["go", "version"], env=os.environ | _GO, capture_output=True, text=True, check=False)
    found = re.search(r"\bgo(\d+)\.(\d+)", done.stdout)
    return (int(found[1]), int(found[2])) if found else ()


def main() -> int:
    """Check the whole repository; the exit code. Prints nothing on success."""
    names = repository_files()
    shell = shell_files(names)
    code = 0
    for name, options, files in (
        ("shellcheck", (), shell),
        ("shfmt", ("--diff",), shell),
        ("typos", ("--force-exclude",), names),
        ("oxlint", ("--deny-warnings", "--format=stylish"), [name for name in names if name.endswith(".js")]),
    ):
        try:
            code |= _run([program(name), *options, "--", *files]) if files else 0
        except Skipped as why:
            code |= _skipped(name, why)
    if files := workflows(names):
        try:
            # Shell in workflows is checked with shellcheck, too. pyflakes would check Python in them; there is none.
            code |= _run([*actionlint(), f"-shellcheck={_which('shellcheck') or ''}", "-pyflakes=", *files])
        except Skipped as why:
            code |= _skipped("actionlint", why)
    try:
        for subject in bad_subjects():
            code = 1
            print(f"commit subject of more than {_LONGEST_SUBJECT} characters, or not a Conventional Commit: {subject}")
    except Skipped as why:
        _skipped("commit subjects", why)  # never an error: CI services mostly clone without the history
    return code


def _run(words: list[str]) -> int:
    done = subprocess.run(words, cwd=ROOT, env=os.environ | _GO, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:  # otherwise an older Go only reports that it downloads a newer one
        sys.stderr.write(done.stderr)
    return int(done.returncode != 0)


def _skipped(name: str, why: Skipped) -> int:
    print(f"{name}: skipped: {why}", flush=True)
    return int(in_ci())


if __name__ == "__main__":
    sys.exit(main())
