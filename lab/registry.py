"""Running Debian's docker-registry on the loopback, over a storage directory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import loopback, ports, process


def configuration(storage: Path, port: int, read_only: bool) -> dict[str, object]:
    """The registry's settings. It reads YAML, which includes JSON."""
    return {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": False}},
        "storage": {
            "filesystem": {"rootdirectory": str(storage)},
            # Checkouts share the cached storage, so it is read-only.
            "maintenance": {"readonly": {"enabled": read_only}, "uploadpurging": {"enabled": False}},
        },
        "http": {
            "addr": f"{ports.LOOPBACK}:{port}",
            # Ollama's client reads the Location of every blob response, redirect or not (download.go). "?" resolves to
            # the requested URL; responses to uploads override it.
            "headers": {"Location": ["?"]},
        },
    }


def start(program: Path, storage: Path, port: int, directory: Path, name: str, read_only: bool = True) -> int:
    """Serve `storage` on the loopback port; configuration and log go to `directory`. The pid, once it responds."""
    config = directory / f"{name}.yml"
    config.write_text(json.dumps(configuration(storage, port, read_only), indent=1))
    url = f"http://{ports.LOOPBACK}:{port}/v2/"
    return loopback.serve([program, "serve", config], directory / f"{name}.log", directory, url, name)


@contextmanager
def serving(program: Path, storage: Path, directory: Path) -> Iterator[int]:
    """A writable registry on a free port while the block runs; yields the port."""
    [port] = ports.free(1)
    pid = start(program, storage, port, directory, "registry", read_only=False)
    try:
        yield port
    finally:
        process.end(pid, str(directory))
