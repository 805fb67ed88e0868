"""The trixie root directory with compilers, and running commands in it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from lab import mirrors, origin, shell
from lab.errors import LabError

RECIPES = Path(__file__).parent / "recipes"
PACKAGES = (
    *("ca-certificates", "gcc", "g++", "libc6-dev", "make", "pkgconf", "golang-go"),
    # for Apache httpd and its 131 modules
    *("libapr1-dev", "libaprutil1-dev", "libcurl4-openssl-dev", "liblua5.3-dev", "libnghttp2-dev", "libpcre2-dev"),
    *("libssl-dev", "libxml2-dev", "zlib1g-dev", "libbrotli-dev", "libjansson-dev", "libldap2-dev"),
    # headers that Ollama's Go module lacks
    *("nlohmann-json3-dev", "libstb-dev"),
)
# apt's messages for a file that an index lists but that is missing or different.
NOT_SERVED = re.compile(r"Failed to fetch|404 +Not Found|Hash Sum mismatch|File has unexpected size")
_GO_SETTINGS = ("GOPROXY", "GOSUMDB", "GONOSUMDB", "GONOPROXY", "GOPRIVATE", "GOINSECURE", "GOAUTH")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def recipe(name: str) -> str:
    """The text of a recipe, as part of an artefact's key."""
    return (RECIPES / name).read_text()


def adapted(name: str, once: Iterable[tuple[str, str]], everywhere: Iterable[tuple[str, str]] = ()) -> str:
    """The text of a recipe with substitutions.

    Args:
        once: (old, new) pairs; each `old` must occur exactly once.
        everywhere: pairs whose `old` must occur at least once.

    Raises:
        ValueError: a text to replace is missing, or one of `once` occurs several times.
    """
    text = recipe(name)
    for old, new in once:
        if text.count(old) != 1:
            raise ValueError(f"{name}: expected {old!r} once, found it {text.count(old)} times")
        text = text.replace(old, new)
    for old, new in everywhere:
        if old not in text:
            raise ValueError(f"{name}: {old!r} not found")
        text = text.replace(old, new)
    return text


def build(out: Path, log: Path, text: str = "", packages: tuple[str, ...] = PACKAGES) -> None:
    """Fill `out`: `root/` is the trixie root. `text`: another recipe to use."""
    script = out / "builder.sh"
    script.write_text(text or recipe("builder.sh"))
    debian(mirrors.SUITE, out, script, [",".join(packages)], log, timeout=1800)


def debian(suite: str, out: Path, script: Path, words: Sequence[str | Path], log: Path, timeout: float) -> None:
    """Run a recipe that builds a Debian root at out/root: script OUT SOURCES APTCONF WORDS…

    An archive may list a package that it does not serve, usually one that was just updated. Then the root is built from
    the release alone, without its updates, and the artefact's origin notes that.
    """
    sources, aptconf = out / "debian.sources", out / "apt.conf"
    aptconf.write_text(mirrors.apt_options())
    for updates in (True, False):
        sources.write_text(mirrors.of_this_machine().sources(suite, updates))
        try:
            shell.run(["bash", script, out, sources, aptconf, *words], log, timeout, root=True)
            return
        except LabError:
            if not (updates and NOT_SERVED.search(shell.tail(log, 200))):
                raise
        shell.read(["rm", "-rf", "--one-file-system", "--", out / "root"], timeout=300, root=True)
        origin.add(out, f"{suite} without its updates: the archive lists a package in them that it does not serve")


def run_inside(root: Path, work: Path, command: list[str], log: Path, timeout: float) -> None:
    """Run a command in the builder as root; `work` is mounted as /work, the only directory that it can change."""
    shell.run(enter(root, work, command), log, timeout, root=True, ends_with_stdin=True)


def enter(root: Path, work: Path, command: list[str], env: dict[str, str] | None = None) -> list[str]:
    """The complete command line that runs `command` in the builder, without sudo.

    The command ends when its standard input is closed (see recipes/enter.sh).
    """
    settings = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/work",
        "LC_ALL": "C.UTF-8",
        **go_settings(),
        **{name: os.environ[name] for name in _PROXIES if name in os.environ},
        **(env or {}),
    }
    words = [f"{name}={value}" for name, value in settings.items()]
    unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--"]
    return [
        *unshare,
        "bash",
        str(RECIPES / "enter.sh"),
        str(root),
        str(work),
        "/usr/bin/env",
        "-i",
        *words,
        *command,
    ]


def go_settings() -> dict[str, str]:
    """How this machine reaches Go modules: from the environment, else from `go env`, else Go's defaults."""
    found = {name: os.environ[name] for name in _GO_SETTINGS if os.environ.get(name)}
    if shutil.which("go"):
        for name in _GO_SETTINGS:
            value = shell.read(["go", "env", name]).strip()
            if value:
                found.setdefault(name, value)
    return found
