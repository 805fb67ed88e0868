"""What runs beside the guest: the two registries and, for some guests, an apt repository. All on the loopback."""

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
    """Those that a lab with this guest has, as keys of its ports and pids: none where the real ones are used."""
    if mode == HUB:
        return ()
    return (*_REGISTRIES, *((state.PACKAGES,) if guest.docker_packages else ()))


def storage(guest: Guest, name: str, paths: Mapping[str, Path]) -> Path:
    """The directory that it serves. The models are those with the real one among them where that was made."""
    if name == state.PACKAGES:
        return paths[_REPOSITORY]
    models = "smollm2" if "smollm2" in paths else "models"
    return paths[guest.images if name == state.REGISTRY else models] / "storage"


def start(name: str, storage: Path, tools: Path, port: int) -> int:
    """Start one of those that the guest has; its pid, once it answers."""
    if name == state.PACKAGES:
        return _serve_packages(storage, port)
    return registry.start(tools / "docker-registry", storage, port, state.DIRECTORY, _REGISTRIES[name])


def _serve_packages(repository: Path, port: int) -> int:
    """Serve the apt repository's files. Python's own server will do: one client, some dozen files."""
    # By a link in this checkout, so that its path in the command line tells whose process it is.
    link = state.DIRECTORY / _REPOSITORY
    link.unlink(missing_ok=True)
    link.symlink_to(repository)
    log = state.DIRECTORY / f"{_REPOSITORY}.log"
    words = [sys.executable, "-m", "http.server", "--bind", ports.LOOPBACK, "--directory", str(link), str(port)]
    url = f"http://{ports.LOOPBACK}:{port}/debian/gpg"
    return loopback.serve(words, log, state.DIRECTORY, url, "apt repository")
