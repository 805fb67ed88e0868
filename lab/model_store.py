"""The model registry's storage: the tiny models, created and pushed by the real Ollama server."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lab import builder, gguf_file, models, ports, registry, shell
from lab.errors import LabError


def build(root: Path, ollama: Path, tools: Path, out: Path, log: Path) -> None:
    """Fill `out`: `storage/` for docker-registry, and each model's `NAME.gguf`."""
    work = out / "work"
    work.mkdir()
    storage = out / "storage"
    storage.mkdir()
    shutil.copy(ollama, work / "ollama")
    with (
        registry.serving(tools / "docker-registry", storage, work) as port,
        serving(root, work, log) as server,
    ):
        for name in (*models.NAMES, models.EMBEDDING):
            path = out / f"{name}.gguf"
            gguf_file.write(name, path)
            push(server, port, name, path, {"template": models.TEMPLATE})
    shell.read(["rm", "-rf", "--one-file-system", "--", work], 60, root=True)


def push(server: str, port: int, name: str, path: Path, wish: Mapping[str, object]) -> None:
    """Have the Ollama at `server` create a model from a GGUF file and push it to the registry on the loopback's `port`.

    Args:
        name: as in Ollama's library.
        wish: more of /api/create: template, parameters, system, license.
    """
    digest = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    pushed = f"http://{ports.LOOPBACK}:{port}/library/{name}"
    _call(f"{server}/api/blobs/{digest}", path.read_bytes())
    created = {"model": pushed, "files": {path.name: digest}, "stream": False, **wish}
    _call(f"{server}/api/create", json.dumps(created).encode())
    _call(f"{server}/api/push", json.dumps({"model": pushed, "insecure": True, "stream": False}).encode())


@contextmanager
def serving(root: Path, work: Path, log: Path) -> Iterator[str]:
    """The Ollama server in the builder (its C library is the one it was built with); yields its address."""
    [port] = ports.free(1)
    address = f"{ports.LOOPBACK}:{port}"
    settings = {"OLLAMA_HOST": address, "OLLAMA_MODELS": "/work/models", "OLLAMA_NO_CLOUD": "1"}
    argv = [*shell.sudo(), *builder.enter(root, work, ["/work/ollama", "serve"], settings)]
    with log.open("ab") as out:
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=out, stderr=out)
    try:
        until = time.monotonic() + 60
        while not _answers(f"http://{address}/api/version"):
            if process.poll() is not None or time.monotonic() > until:
                raise LabError(
                    f"The Ollama server in the builder does not answer:\n{shell.tail(log)}\nThe whole log: {log}"
                )
            time.sleep(0.1)
        yield f"http://{address}"
    finally:
        assert process.stdin is not None
        process.stdin.close()  # what ends a command in the builder
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except (OSError, urllib.error.URLError):
        return False


def _call(url: str, body: bytes) -> str:
    """POST and return the answer's text; LabError with the server's words when it is an error."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, method="POST"), timeout=120) as answer:
            text: str = answer.read().decode()
    except urllib.error.HTTPError as error:
        raise LabError(f"POST {url}: {error.code} {error.read().decode(errors='replace')}") from error
    if '"error"' in text:
        raise LabError(f"POST {url}: {text.strip()}")
    return text
