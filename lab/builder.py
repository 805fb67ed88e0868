"""The trixie root directory with compilers, and running things in it."""

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
    # what Apache httpd and its 131 modules are built with
    *("libapr1-dev", "libaprutil1-dev", "libcurl4-openssl-dev", "liblua5.3-dev", "libnghttp2-dev", "libpcre2-dev"),
    *("libssl-dev", "libxml2-dev", "zlib1g-dev", "libbrotli-dev", "libjansson-dev", "libldap2-dev"),
    # headers that the Go module of Ollama leaves out
    *("nlohmann-json3-dev", "libstb-dev"),
)
# apt's words for a file that an index lists, and that is not there or is another one.
NOT_SERVED = re.compile(r"Failed to fetch|404 +Not Found|Hash Sum mismatch|File has unexpected size")
_GO_SETTINGS = ("GOPROXY", "GOSUMDB", "GONOSUMDB", "GONOPROXY", "GOPRIVATE", "GOINSECURE", "GOAUTH")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def recipe(name: str) -> str:
    """The text of a recipe, as part of an artefact's key."""
    return (RECIPES / name).read_text()


def adapted(name: str, once: Iterable[tuple[str, str]], everywhere: Iterable[tuple[str, str]] = ()) -> str:
    """The text of a recipe with other words in place of some.

    Raises:
        ValueError: it does not have one of the words, or has one of `once` several times.
    """
    text = recipe(name)
    for word, other in once:
        if text.count(word) != 1:
            raise ValueError(f"{name} should have {word!r} once, and has it {text.count(word)} times")
        text = text.replace(word, other)
    for word, other in everywhere:
        if word not in text:
            raise ValueError(f"{name} should have {word!r}, and has it no more")
        text = text.replace(word, other)
    return text


def build(out: Path, log: Path, text: str = "", packages: tuple[str, ...] = PACKAGES) -> None:
    """Fill `out`: `root/` is the trixie root. `text`: another recipe's."""
    script = out / "builder.sh"
    script.write_text(text or recipe("builder.sh"))
    debian(mirrors.SUITE, out, script, [",".join(packages)], log, timeout=1800)


def debian(suite: str, out: Path, script: Path, words: Sequence[str | Path], log: Path, timeout: float) -> None:
    """Run a recipe that makes a Debian root at out/root: script OUT SOURCES APTCONF WORDS…

    An archive may list a package that it does not serve, mostly one that was just updated. Then the root is made from
    the release alone, without its updates, and the artefact says so.
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
        origin.add(out, f"{suite} without its updates: the archive lists a package there that it does not serve")


def run_inside(root: Path, work: Path, command: list[str], log: Path, timeout: float) -> None:
    """Run a command in the builder as root; it sees `work` as /work and can change nothing else."""
    shell.run(enter(root, work, command), log, timeout, root=True, leash=True)


def enter(root: Path, work: Path, command: list[str], env: dict[str, str] | None = None) -> list[str]:
    """The whole command line that runs `command` in the builder, without the words for sudo.

    The command ends when the standard input of this line is closed (see recipes/enter.sh).
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
    """How this machine reaches Go modules: from its environment, else from its `go env`, else Go's own defaults."""
    found = {name: os.environ[name] for name in _GO_SETTINGS if os.environ.get(name)}
    if shutil.which("go"):
        for name in _GO_SETTINGS:
            value = shell.read(["go", "env", name]).strip()
            if value:
                found.setdefault(name, value)
    return found
