"""What `make check` looks at beside Python: all shell, with shellcheck, and the workflows of CI, with actionlint.

shellcheck is among the Python packages where there is a ready-made one for the machine. actionlint is not: it is a Go
program, built by the machine's Go or by the lab (decision 0021).
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

ROOT = Path(__file__).resolve().parent.parent
_SHEBANG = re.compile(rb"#!\s*/\S*?(/env\s+)?(/|\b)(ba|da)?sh\b")
_ACTIONLINT = f"{programs.ACTIONLINT}@v{versions.ACTIONLINT}"
# As in the lab's recipes: Debian's Go takes no newer one by itself, which actionlint may want.
_GO = {"GOFLAGS": "", "GOTOOLCHAIN": "auto"}


class Skipped(Exception):
    """A check that can't be made here; says why."""


def in_ci() -> bool:
    """Whether nothing may be skipped: CI services set this variable, and .ci/run does."""
    return os.environ.get("CI") == "true"


def repository_files(root: Path = ROOT) -> list[str]:
    """The files that git tracks, and new ones that it does not ignore, relative to `root`.

    Raises:
        SystemExit: this is no checkout, or there is no git.
    """
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or error
        raise SystemExit(
            f"make check needs a git checkout, to know which files there are: {str(said).strip()}"
        ) from None
    return sorted(name for name in set(done.stdout.split("\0")) if name and (root / name).is_file())


def shell_files(names: list[str], root: Path = ROOT) -> list[str]:
    """Those that are shell, by their ending or their first line."""
    return [name for name in names if name.endswith((".sh", ".bash")) or _says_shell(root / name)]


def _says_shell(path: Path) -> bool:
    with path.open("rb") as file:
        return bool(_SHEBANG.match(file.readline(200)))


def workflows(names: list[str]) -> list[str]:
    return [name for name in names if name.startswith(".github/workflows/") and name.endswith((".yml", ".yaml"))]


def shellcheck() -> str:
    """The program. Skipped where there is none: its package is not wanted for a processor that it has no build for."""
    found = shutil.which("shellcheck", path=str(Path(sys.executable).parent)) or shutil.which("shellcheck")
    if not found:
        raise Skipped("no shellcheck for this machine among the Python packages; install Debian's package shellcheck")
    return found


def actionlint() -> list[str]:
    """The words that start it: built by Go, which keeps what it built, or by the lab. Skipped where neither is there.

    In CI the lab builds it, so nothing is skipped.
    """
    reason = "no Go 1.21 or later on the PATH"
    if go_version() >= (1, 21):
        words = ["go", "run", _ACTIONLINT]
        tried = subprocess.run([*words, "-version"], env=os.environ | _GO, capture_output=True, text=True, check=False)
        if tried.returncode == 0:
            return words
        reason = f"Go could not build it: {tried.stderr.strip().splitlines()[-1:]}"
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
    """Of the machine's Go; () without one."""
    if not shutil.which("go"):
        return ()
    done = subprocess.run(["go", "version"], env=os.environ | _GO, capture_output=True, text=True, check=False)
    found = re.search(r"\bgo(\d+)\.(\d+)", done.stdout)
    return (int(found[1]), int(found[2])) if found else ()


def main() -> int:
    """Check all shell and all workflows; the exit code. Prints nothing where all is well."""
    names = repository_files()
    code = 0
    program = ""
    try:
        program = shellcheck()
        code |= _run([program, "--external-sources", "--source-path=SCRIPTDIR", "--", *shell_files(names)])
    except Skipped as why:
        code |= _skipped("shellcheck", why)
    if files := workflows(names):
        try:
            # The shell in workflows goes through shellcheck, too. pyflakes would be for Python in them; there is none.
            code |= _run([*actionlint(), f"-shellcheck={program}", "-pyflakes=", *files])
        except Skipped as why:
            code |= _skipped("actionlint", why)
    return code


def _run(words: list[str]) -> int:
    done = subprocess.run(words, cwd=ROOT, env=os.environ | _GO, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:  # otherwise these are words of an older Go about the newer one that it fetched
        sys.stderr.write(done.stderr)
    return int(done.returncode != 0)


def _skipped(name: str, why: Skipped) -> int:
    print(f"{name}: skipped: {why}", flush=True)
    return int(in_ci())


if __name__ == "__main__":
    sys.exit(main())
