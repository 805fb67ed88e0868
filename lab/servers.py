"""What runs beside the guest: the two registries and, for some guests, an apt repository. All on the loopback."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from lab import loopback, ports, registry, state
from lab.guests import Guest

_REGISTRIES = {state.REGISTRY: "image-registry", state.MODELS: "model-registry"}
_REPOSITORY = "docker-repository"


def names(guest: Guest) -> tuple[str, ...]:
    """Those that a lab with this guest has, as keys of its ports and pids."""
    return (*_REGISTRIES, *((state.PACKAGES,) if guest.docker_packages else ()))


def start(guest: Guest, name: str, paths: Mapping[str, Path], port: int) -> int:
    """Start one of those that the guest has; its pid, once it answers."""
    if name == state.PACKAGES:
        return _serve_packages(paths[_REPOSITORY], port)
    storage = paths[guest.images if name == state.REGISTRY else "models"] / "storage"
    return registry.start(paths["tools"] / "docker-registry", storage, port, state.DIRECTORY, _REGISTRIES[name])


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
