"""The cache of built artefacts, shared by every checkout of one user.

`<cache>/lab/<artefact>-<key>/` holds a finished artefact. The key is a hash of everything it was built from, so a
changed recipe is a cache miss. Builds happen in `.tmp-<artefact>-…` in the same directory and are renamed when done: a
directory with its final name is complete. One flock per artefact prevents two checkouts from building it at once.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import shell

KEY_LENGTH = 12


def root() -> Path:
    """The cache directory: $HEARTH_CACHE, else $XDG_CACHE_HOME/hearth, else ~/.cache/hearth."""
    home = os.environ.get("HEARTH_CACHE")
    if not home:
        home = str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hearth")
    return Path(home).absolute() / "lab"


def key_of(*parts: str | bytes) -> str:
    """A short hash of the parts, in order; ("ab", "c") and ("a", "bc") differ."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:KEY_LENGTH]


def path_of(name: str, key: str) -> Path:
    return root() / f"{name}-{key}"


def log_of(name: str, key: str) -> Path:
    """The build log, outside the artefact because it must survive a failed build."""
    return root() / "logs" / f"{name}-{key}.log"


def build_once(name: str, key: str, build: Callable[[Path, Path], None]) -> Path:
    """The artefact's directory, built by `build(directory, log)` if it is missing.

    `build` gets an empty directory to fill; it must raise if the result is incomplete.
    """
    final = path_of(name, key)
    if final.is_dir():
        return final
    log = log_of(name, key)
    log.parent.mkdir(parents=True, exist_ok=True)
    with _locked(root() / f"{name}.lock"):
        if final.is_dir():  # another checkout built it while we waited
            return final
        for stale in root().glob(f".tmp-{name}-*"):  # we hold the lock, so these are leftovers of interrupted builds
            remove(stale)
        log.unlink(missing_ok=True)
        work = root() / f".tmp-{name}-{key}"
        work.mkdir()
        try:
            build(work, log)
            work.rename(final)
        except BaseException:
            remove(work)
            raise
    return final


def remove(directory: Path) -> None:
    """Delete a tree, including files owned by root."""
    shell.read([*_rm(), directory], timeout=300, root=True)


def _rm() -> list[str]:
    return ["rm", "-rf", "--one-file-system", "--"]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
