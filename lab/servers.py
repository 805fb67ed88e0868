"""The servers next to the guest: two registries and, for some guests, an apt repository. All on the loopback."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from lab import loopback, ports, registry, state
from lab.guests import Guest
from lab.hub import BUILT, HUB

_REGISTRIES = {state.REGISTRY: "image-registry", state.MODELS: "model-registry"}
_REPOSITORY = "docker-repository"


def names(guest: Guest, mode: str = BUILT) -> tuple[str, ...]:
    """The servers of a lab with this guest, as keys of its ports and pids; none with Docker Hub."""
    if mode == HUB:
        return ()
    return (*_REGISTRIES, *((state.PACKAGES,) if guest.docker_packages else ()))


def storage(guest: Guest, name: str, paths: Mapping[str, Path]) -> Path:
    """The directory that a server serves. The models include the real one if it was built."""
    if name == state.PACKAGES:
        return paths[_REPOSITORY]
    models = "smollm2" if "smollm2" in paths else "models"
    return paths[guest.images if name == state.REGISTRY else models] / "storage"


def start(name: str, storage: Path, tools: Path, port: int) -> int:
    """Start one of the guest's servers; its pid, once it responds."""
    if name == state.PACKAGES:
        return _serve_packages(storage, port)
    return registry.start(tools / "docker-registry", storage, port, state.DIRECTORY, _REGISTRIES[name])


def _serve_packages(repository: Path, port: int) -> int:
    """Serve the apt repository's files. Python's server suffices for one client and a few dozen files."""
    # Through a link in this checkout, whose path in the command line identifies the process.
    link = state.DIRECTORY / _REPOSITORY
    link.unlink(missing_ok=True)
    link.symlink_to(repository)
    log = state.DIRECTORY / f"{_REPOSITORY}.log"
    words = [sys.executable, "-m", "http.server", "--bind", ports.LOOPBACK, "--directory", str(link), str(port)]
    url = f"http://{ports.LOOPBACK}:{port}/debian/gpg"
    return loopback.serve(words, log, state.DIRECTORY, url, "apt repository")
