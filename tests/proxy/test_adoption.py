"""Adopting the models of a natively installed Ollama: `ollama_models_dir` is its directory.

The native Ollama's models belong to the user `ollama`. Hearth's container is root with no capability but DAC_OVERRIDE.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from lab import artefacts, models
from tests.proxy.address import free_address, responds
from tests.proxy.container import Container
from tests.proxy.httpd import OLLAMA_PORT

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="creates files of another user")
NATIVE = 998
# chroot needs the others, which do not affect files.
_LIMITED = '#!/bin/sh\nexec /usr/bin/setpriv --bounding-set=-all,+dac_override,+sys_chroot,+setuid,+setgid "$@"\n'


class Server:
    """A client of one Ollama."""

    def __init__(self, address: str, weights: Path) -> None:
        self._url, self._weights = f"http://{address}:{OLLAMA_PORT}", weights

    def ask(self, path: str, body: Any = None, method: str = "POST") -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self._url + path, data, method=method if data is not None else "GET")
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read().decode()
        return json.loads(text) if text else None

    def models(self) -> set[str]:
        return {model["name"] for model in self.ask("/api/tags")["models"]}

    def add(self, name: str) -> None:
        content = (self._weights / f"{name}.gguf").read_bytes()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        # If the blob exists, the response comes before the body is read.
        with suppress(urllib.error.URLError):
            self.ask(f"/api/blobs/{digest}", content)
        wish = {"model": name, "files": {f"{name}.gguf": digest}, "template": models.TEMPLATE, "stream": False}
        assert self.ask("/api/create", wish) == {"status": "success"}

    def reply(self, name: str) -> str:
        wish = {"model": name, "prompt": "go", "stream": False, "options": {"num_predict": 4}}
        answer: str = self.ask("/api/generate", wish)["response"]
        return answer


@contextmanager
def serving(parts: artefacts.Paths, directory: Path, store: Path, is_native: bool) -> Iterator[Server]:
    """The native Ollama, or Hearth's as in compose.yaml, with the same store."""
    directory.mkdir()
    address = free_address(OLLAMA_PORT)
    environment = {"OLLAMA_HOST": f"{address}:{OLLAMA_PORT}", "OLLAMA_NO_CLOUD": "1"}
    volumes: dict[str, Path | str] = {"/usr/share/ollama/.ollama": store, "/tmp": "size=64m,mode=1777"}
    if is_native:
        environment["HOME"] = "/usr/share/ollama"
    else:
        volumes = {"/root/.ollama": store, "/root/.ollama/models": store / "models", "/tmp": "size=64m,mode=1777"}
        limited = directory / "bin" / "setpriv"
        limited.parent.mkdir()
        limited.write_text(_LIMITED)
        limited.chmod(0o755)
        environment["PATH"] = f"{limited.parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    with Container(
        parts["roots"] / "ollama",
        directory,
        "ollama",
        ("/bin/ollama", "serve"),
        volumes,
        environment,
        lambda: responds(address, OLLAMA_PORT),
        user=str(NATIVE) if is_native else "root",
        read_only=not is_native,
    ):
        yield Server(address, parts["models"])


@pytest.fixture
def store(parts: artefacts.Paths, tmp_path: Path) -> Path:
    """The directory of a native Ollama with one model; the server is stopped."""
    directory = tmp_path / ".ollama"
    directory.mkdir()
    os.chown(directory, NATIVE, NATIVE)
    with serving(parts, tmp_path / "before", directory, is_native=True) as native:
        native.add("tinyllama")
    return directory


def owners(store: Path) -> dict[str, tuple[int, int]]:
    """Owner and mode of all files."""
    found = {path: path.stat() for path in store.rglob("*")}
    return {str(path.relative_to(store)): (one.st_uid, one.st_mode & 0o777) for path, one in found.items()}


def test_models_of_a_native_ollama_are_used_unchanged(parts: artefacts.Paths, tmp_path: Path, store: Path) -> None:
    before = owners(store)
    assert {owner for owner, _ in before.values()} == {NATIVE}
    with serving(parts, tmp_path / "hearth", store, is_native=False) as ours:
        assert ours.models() == {"tinyllama:latest"}
        assert ours.reply("tinyllama")
        assert owners(store) == before, "nothing was changed"
        ours.add("tinystory")
        assert ours.models() == {"tinyllama:latest", "tinystory:latest"}
        ours.ask("/api/delete", {"model": "tinystory"}, "DELETE")
        assert ours.models() == {"tinyllama:latest"}


def test_native_ollama_can_use_the_models_again(parts: artefacts.Paths, tmp_path: Path, store: Path) -> None:
    with serving(parts, tmp_path / "hearth", store, is_native=False) as ours:
        ours.add("tinystory")
    with serving(parts, tmp_path / "after", store, is_native=True) as native:
        assert native.models() == {"tinyllama:latest", "tinystory:latest"}
        assert native.reply("tinyllama")
        assert native.reply("tinystory"), "models pulled by Hearth are readable for all users"
        # Files pulled by Hearth belong to root, so they can't be replaced until their owner is changed.
        with pytest.raises(urllib.error.HTTPError):
            native.add("tinystory")
    for path in store.rglob("*"):
        shutil.chown(path, NATIVE, NATIVE)
    with serving(parts, tmp_path / "again", store, is_native=True) as native:
        native.add("tinystory")
