"""GGUF files of this computer: read, checked, and sent to a host."""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hearth.models.facts import ModelFiles, ModelFilesState
from hearth.models.local_files import (
    LocalFile,
    ModelFileError,
    load_model_files,
    receive_script,
    receive_words,
    with_file_sizes,
)
from hearth.models.operations import create_variants
from hearth.models.sizes import GB
from hearth.runtime.pyinfra_process import run_pyinfra
from hearth.settings.model import Settings
from hearth.settings.variant import Variant
from tests.pyinfra.conftest import Run
from tests.pyinfra.shell import HOSTILE, check_syntax
from tests.support.gguf_files import write_adapter

Make = Callable[..., Settings]


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def header(*pairs: bytes, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, 0, len(pairs)) + b"".join(pairs)


NUMBER = text("general.version") + struct.pack("<II", 4, 7)
WORDS = text("tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("b")
NUMBERS = text("scores") + struct.pack("<IIQ", 9, 6, 3) + bytes(12)


def kind(value: str) -> bytes:
    return text("general.type") + struct.pack("<I", 8) + text(value)


def with_file(make_settings: Make, path: Path) -> Settings:
    return make_settings(ollama_models=[], ollama_model_variants={"mine": {"base_file": str(path)}})


@pytest.mark.parametrize("content", [header(), header(NUMBER, WORDS, NUMBERS, kind("model")), header(version=2)])
def test_files_are_hashed_as_ollama_does(make_settings: Make, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.gguf"
    path.write_bytes(content)
    settings = with_file(make_settings, path)
    files = load_model_files(settings)
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert files == {str(path): LocalFile(path, len(content), digest)}
    assert with_file_sizes(settings, files).ollama_model_sizes_gb == {"gguf/mine:latest": len(content) / GB}
    path.write_bytes(content + b"longer")
    assert load_model_files(settings)[str(path)].digest != digest


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("mine.gguf", None, "could not read {path} on this computer: No such file or directory"),
        ("mine.gguf", b"", "{path} is not a GGUF file"),
        ("mine.safetensors", b"safe", "is not a GGUF file; use a file that ends in .gguf"),
        ("mine.gguf", header(version=1), "has version 1 of the GGUF format"),
        ("mine.gguf", header(WORDS)[:-1], "is a damaged or incomplete GGUF file"),
        ("mine.gguf", b"GGUF\3\0", "is a damaged or incomplete GGUF file"),
        ("mine.gguf", header(text("x") + struct.pack("<IIQ", 9, 0, 1 << 60)), "is a damaged or incomplete GGUF file"),
        ("mine.gguf", header(text("x") + struct.pack("<I", 77)), "is a damaged GGUF file, or of a newer version"),
        ("mine.gguf", header(kind("adapter")), "is of the type 'adapter'; use a file of the type 'model'"),
        ("mine-00001-of-00002.gguf", header(), "merge the parts first"),
    ],
)
def test_unusable_files_are_refused(
    make_settings: Make, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelFileError) as caught:
        load_model_files(with_file(make_settings, path))
    assert f"ollama_model_variants['mine']['base_file'] = {str(path)!r}: " in str(caught.value)
    assert message.format(path=path) in str(caught.value)


def test_an_adapter_is_for_adapters_only(make_settings: Make, tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "adapter.gguf")
    settings = make_settings(ollama_model_variants={"mine": {"base": "tinyllama", "adapter_file": str(adapter)}})
    assert list(load_model_files(settings)) == [str(adapter)]
    adapter.write_bytes(header())
    with pytest.raises(ModelFileError, match=r"\['adapter_file'\] = .* is of the type 'model'"):
        load_model_files(settings)
    adapter.unlink()
    assert load_model_files(settings, missing_ok=True) == {}


def test_only_what_the_host_lacks_is_sent(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "mine.gguf"
    path.write_bytes(header())
    file = LocalFile(path, 24, "sha256:" + "1" * 64)
    variants = {name: Variant(base_file="mine.gguf") for name in ("one", "two")}

    def commands(blobs: dict[str, int]) -> list[str]:
        state = ModelFilesState(blobs=blobs)
        result = run(create_variants, {ModelFiles: state}, variants=variants, files={"mine.gguf": file})
        return [command[0] for command in result.commands]

    assert commands({}) == ["_send", "_run", "_run", "_run", "_run"]
    assert commands({file.digest: 23}) == ["_send", "_run", "_run", "_run", "_run"]
    assert commands({file.digest: 24}) == ["_run", "_run", "_run", "_run"]
    lost = run(create_variants, {ModelFiles: ModelFilesState()}, variants=variants, files={}, only_missing=True)
    assert lost.refusals == [
        "one (ollama_model_variants) is missing on the host, and its file 'mine.gguf' on this computer"
    ]


def test_a_file_appears_only_if_it_is_complete(tmp_path: Path) -> None:
    check_syntax(receive_script("sha256:" + "0" * 64))
    store, content = tmp_path / HOSTILE / "models", b"weights" * 1000
    store.parent.mkdir(parents=True)
    digest = hashlib.sha256(content).hexdigest()

    def receive(given: bytes) -> subprocess.CompletedProcess[bytes]:
        words = receive_words(str(store), f"blobs/sha256-{digest}", digest)
        return subprocess.run(words, input=given, capture_output=True)

    cut = receive(content[:-1])
    assert (cut.returncode, cut.stderr) == (1, b"its content changed in transit\n")
    assert list(store.iterdir()) == []
    assert receive(content).returncode == 0
    assert (store / f"blobs/sha256-{digest}").read_bytes() == content
    assert [path.name for path in store.iterdir()] == ["blobs"]
    shutil.rmtree(store)


DEPLOY = """
from pyinfra.api import operation

from hearth.models.local_files import LocalFile, send_command


@operation()
def send(file):
    yield send_command(file)


from pathlib import Path

send(name="Send", file=LocalFile(Path({path!r}), {size}, {digest!r}))
"""


def test_a_run_streams_a_file_and_shows_progress(tmp_path: Path) -> None:
    """A real run of pyinfra; `docker exec` runs its command here."""
    path, content = tmp_path / "own.gguf", b"GGUF" + bytes(20_000_000)
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    docker = tmp_path / "bin/docker"
    docker.parent.mkdir()
    docker.write_text('#!/bin/sh\n[ "$1 $2 $3" = "exec -i hearth-ollama" ] || exit 9\nshift 3; exec "$@"\n')
    docker.chmod(0o755)
    store = tmp_path / "store"
    (tmp_path / "deploy.py").write_text(DEPLOY.format(path=str(path), size=len(content), digest=f"sha256:{digest}"))
    environment = {"PATH": f"{docker.parent}:{os.environ['PATH']}", "OLLAMA_MODELS": str(store)}

    def send() -> subprocess.CompletedProcess[str]:
        return run_pyinfra("-y", "@local", str(tmp_path / "deploy.py"), timeout=120, environment=environment)

    done = send()
    assert done.returncode == 0, done.stderr
    assert (store / f"blobs/sha256-{digest}").read_bytes() == content
    assert "sending own.gguf: 10 % of 0.02 GB" in done.stderr
    assert "sending own.gguf: 100 % of 0.02 GB" in done.stderr
    path.write_bytes(content + b"changed meanwhile")
    done = send()
    assert done.returncode != 0
    assert f"could not send {path}: the command on the host failed with exit code 1: its content changed" in done.stderr
