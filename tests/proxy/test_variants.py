"""Model variants with a real Ollama: created, compared with the settings, and repaired."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hearth.models.facts import _SHOW_MODELS, ModelFilesState, parse_model_files
from hearth.models.local_files import LocalFile, load_model_files, receive_script
from hearth.models.operations import creation_steps, find_differences
from hearth.settings.model_names import manifest_path
from hearth.settings.variant import Variant
from lab import artefacts
from tests.proxy.ollama import Ollama
from tests.support.gguf_files import write_adapter
from tests.support.shipped import shipped_settings

NONE: Mapping[str, LocalFile] = {}
STORE = "/root/.ollama/models"
BASE = "tinyllama"
SYSTEM = "Answer like a „pirate“: it's 5 o'clock,\n$HOME \\ `id` 🏴"


class Host:
    """Runs the project's own scripts against an Ollama whose store is a directory."""

    def __init__(self, ollama: Ollama, store: Path, tmp_path: Path) -> None:
        self.ollama, self.store = ollama, store
        self._environment = os.environ | {"OLLAMA_MODELS": str(store), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        # Flushing the disk can take long on a busy machine, and the list goes through the server's API.
        (tmp_path / "sync").symlink_to("/bin/true")
        (tmp_path / "ollama").symlink_to("/bin/true")
        # What is inside the container runs here; all tests share the loopback, so Ollama has an address of its own.
        (tmp_path / "docker").write_text(
            f'#!/bin/sh\nshift 3; sed "s|/dev/tcp/127.0.0.1/|/dev/tcp/{ollama.address}/|" | "$@"\n'
        )
        (tmp_path / "docker").chmod(0o755)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(self.ollama.url + path, json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=60) as response:
            answer: dict[str, Any] = json.load(response)
        return answer

    def create(
        self, name: str, variant: Variant, files: Mapping[str, LocalFile] = NONE
    ) -> subprocess.CompletedProcess[str]:
        """Take the steps until one fails; the last one's result."""
        for step in creation_steps(name, variant, files, self.files(name, variant.base_model(name))):
            sent = step.path.read_bytes() if isinstance(step, LocalFile) else b""
            script = receive_script(step.digest) if isinstance(step, LocalFile) else step
            done = subprocess.run(
                ["sh", "-c", script], input=sent, env=self._environment, capture_output=True, timeout=60
            )
            if done.returncode:
                break
        return subprocess.CompletedProcess((), done.returncode, done.stdout.decode(), done.stderr.decode())

    def files(self, *models: str) -> ModelFilesState:
        done = subprocess.run(
            ["bash", "-c", _SHOW_MODELS, "bash", *map(manifest_path, models)],
            env=self._environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return parse_model_files(done.stdout.splitlines())

    def differences(self, name: str, variant: Variant, files: Mapping[str, LocalFile] = NONE) -> list[str]:
        return find_differences(name, variant, files, self.files(name, variant.base_model(name)))

    def says(self, model: str) -> str:
        answer = self.post("/api/generate", {"model": model, "prompt": "Hello", "stream": False})
        assert answer["done"] is True
        return str(answer["response"])


@pytest.fixture(scope="module")
def host(parts: artefacts.Paths, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    directory, store = tmp_path_factory.mktemp("ollama"), tmp_path_factory.mktemp("store")
    ollama = Ollama(
        parts["roots"] / "ollama",
        directory,
        parts["models"],
        names=(BASE,),
        volumes={STORE: store},
        parameters={"num_predict": 12, "seed": 1},
    )
    with ollama:
        yield Host(ollama, store, tmp_path_factory.mktemp("bin"))


FULL = Variant(
    base=BASE,
    system=SYSTEM,
    template="{{ .System }}|{{ .Prompt }}",
    parameters={"temperature": 0, "num_ctx": 512, "stop": ["User:"]},
)


@pytest.mark.parametrize(
    "variant",
    [FULL, Variant(base=BASE), Variant(base=BASE, system="Short."), Variant(base=BASE, parameters={"top_p": 0.55})],
    ids=["full", "nothing", "system", "parameter"],
)
def test_variant_is_created_once_and_then_in_sync(host: Host, variant: Variant) -> None:
    host.post("/api/create", {"model": "pirate", "from": BASE, "system": "Something else.", "stream": False})
    assert host.differences("pirate", variant) != []
    done = host.create("pirate", variant)
    assert (done.returncode, done.stdout) == (0, "pirate: created\n"), done.stderr
    assert host.differences("Pirate:latest", variant) == []
    shown = host.post("/api/show", {"model": "pirate"})
    assert shown.get("system", "") == variant.system
    answer = host.post("/api/generate", {"model": "pirate", "prompt": "Hello", "stream": False})
    assert answer["done"] is True


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ({"system": "Be rude."}, "its system prompt"),
        ({"template": "{{ .Prompt }}"}, "its template"),
        ({"parameters": {"temperature": 1}}, "its parameters"),
        ({"parameters": {"top_k": 3}}, "its parameters"),
        ({"messages": [{"role": "user", "content": "hi"}]}, "its files, which are not those of tinyllama"),
    ],
)
def test_change_on_the_host_is_found_and_repaired(host: Host, changed: dict[str, Any], difference: str) -> None:
    assert host.create("pirate", FULL).returncode == 0
    host.post("/api/create", {"model": "pirate", "from": "pirate", "stream": False} | changed)
    assert host.differences("pirate", FULL) == [difference]
    assert host.create("pirate", FULL).returncode == 0
    assert host.differences("pirate", FULL) == []


def test_change_of_the_settings_or_of_the_base_is_found(host: Host) -> None:
    assert host.create("pirate", FULL).returncode == 0
    assert host.differences("pirate", FULL.model_copy(update={"system": ""})) == ["its system prompt"]
    assert host.differences("pirate", FULL.model_copy(update={"parameters": {}})) == ["its parameters"]
    host.post("/api/create", {"model": "other", "from": BASE, "parameters": {"seed": 2}, "stream": False})
    assert host.differences("pirate", FULL.model_copy(update={"base": "other"})) == ["its parameters"]


def test_damaged_and_missing_files_are_found(host: Host) -> None:
    assert host.differences("absent", FULL) == ["it is missing"]
    assert host.create("pirate", FULL).returncode == 0
    digest = next(name for name, content in host.files("pirate").files.items() if content == SYSTEM.encode())
    blob = host.store / "blobs" / digest.replace(":", "-")
    blob.write_bytes(b"")
    assert host.differences("pirate", FULL) == ["its system prompt, whose file is damaged"]
    assert host.create("pirate", FULL).returncode == 0
    assert host.differences("pirate", FULL) == []


def test_refusal_of_ollama_is_reported(host: Host) -> None:
    done = host.create("pirate", Variant(base="absent"))
    assert done.returncode == 1
    assert done.stderr.startswith("Could not create pirate (ollama_model_variants): ")
    done = host.create("pirate", FULL.model_copy(update={"template": "{{ .Prompt"}))
    assert done.returncode == 1
    assert "template" in done.stderr
    assert host.differences("absent", FULL) == ["it is missing"]


def loaded(variant: Variant) -> Mapping[str, LocalFile]:
    """A variant's files, as a deploy reads them."""
    return load_model_files(shipped_settings(ollama_model_variants={"mine": variant.model_dump()}))


def copied(parts: artefacts.Paths, name: str, path: Path) -> Variant:
    """A variant whose file is one of the lab's models. Ollama has no other model with these weights."""
    shutil.copy(parts["models"] / f"{name}.gguf", path)
    return Variant(base_file=str(path), parameters={"num_predict": 4, "num_ctx": 512})


def test_a_gguf_file_is_sent_once_and_its_successor_replaces_it(
    host: Host, parts: artefacts.Paths, tmp_path: Path
) -> None:
    variant = copied(parts, "tinystory", tmp_path / "mine.gguf")
    files = loaded(variant)
    (file,) = files.values()
    blob = host.store / "blobs" / file.digest.replace(":", "-")
    assert host.differences("mine", variant, files) == ["it is missing"]
    done = host.create("mine", variant, files)
    assert (done.returncode, done.stderr) == (0, "")
    assert host.differences("mine", variant, files) == []
    assert blob.read_bytes() == file.path.read_bytes()
    assert not (host.store / ".hearth-incoming").exists()
    first = host.says("mine")

    # A template and then none: what Ollama detected in the file comes back.
    other = variant.model_copy(update={"template": "{{ .Prompt }}!"})
    assert host.differences("mine", other, files) == ["its template"]
    assert host.create("mine", other, files).returncode == 0
    assert host.differences("mine", other, files) == []
    assert host.differences("mine", variant, files) == ["its template"]
    assert host.create("mine", variant, files).returncode == 0
    assert host.differences("mine", variant, files) == []

    # A damaged copy on the host.
    blob.write_bytes(file.path.read_bytes()[:-1])
    assert host.differences("mine", variant, files) == ["its GGUF file, which is damaged"]
    assert host.create("mine", variant, files).returncode == 0
    assert host.differences("mine", variant, files) == []
    assert host.says("mine") == first

    # Other weights in the same file, which the host has already. The old ones do not stay on the disk.
    shutil.copy(parts["models"] / f"{BASE}.gguf", file.path)
    files = loaded(variant)
    assert host.differences("mine", variant, files) == ["its GGUF file"]
    assert host.create("mine", variant, files).returncode == 0
    assert host.differences("mine", variant, files) == []
    assert host.says("mine") != first
    assert not blob.exists()


def test_a_file_that_changes_on_the_way_is_refused(host: Host, parts: artefacts.Paths, tmp_path: Path) -> None:
    variant = copied(parts, "tinystory", tmp_path / "late.gguf")
    with Path(variant.base_file).open("ab") as late:
        late.write(b"not yet on the host")
        late.flush()
        files = loaded(variant)
        late.write(b"!")
    done = host.create("late", variant, files)
    assert (done.returncode, done.stderr) == (1, "its content changed in transit\n")
    assert host.differences("late", variant, files) == ["it is missing"]
    assert not (host.store / ".hearth-incoming").exists()
    assert host.create("late", variant, loaded(variant)).returncode == 0
    assert host.says("late").startswith("Once upon")


def test_an_adapter_is_added_changed_and_removed(host: Host, tmp_path: Path) -> None:
    path = write_adapter(tmp_path / "adapter.gguf")
    variant = Variant(base=BASE, adapter_file=str(path), system="Short.")
    plain = variant.model_copy(update={"adapter_file": ""})
    assert host.create("mine", plain).returncode == 0
    said = host.says("mine")
    files = loaded(variant)
    assert host.differences("mine", variant, files) == ["its adapter"]
    done = host.create("mine", variant, files)
    assert (done.returncode, done.stderr) == (0, "")
    assert host.differences("mine", variant, files) == []
    assert host.says("mine") == said
    write_adapter(path, alpha=2)
    files = loaded(variant)
    assert host.differences("mine", variant, files) != []
    assert host.create("mine", variant, files).returncode == 0
    assert host.differences("mine", variant, files) == []
    assert host.differences("mine", plain) == ["its adapter"]
    assert host.create("mine", plain).returncode == 0
    assert host.differences("mine", plain) == []
