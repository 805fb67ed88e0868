"""Model variants in the guest: created by a deploy, changed on the host, reported as drift, repaired, and pruned.

Also those from a GGUF file of this computer, which a deploy sends.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from lab import artefacts
from lab.progress import Stages
from tests.acceptance.api import call, stream
from tests.lab.machine import deploy, on_guest, url

pytestmark = [pytest.mark.scenario, pytest.mark.long, pytest.mark.usefixtures("deployed")]

CREATE = "Models | Create the model variants"
PRUNE = "Models | Remove unlisted models"
OLLAMA = "sudo docker exec -i hearth-ollama"
BLOBS = "/var/lib/docker/volumes/hearth-models/_data/models/blobs"
VARIANTS = {"pirate": {"base": "tinyllama", "system": "Answer like a pirate.", "parameters": {"temperature": 0}}}


def test_variant_is_created_repaired_and_pruned() -> None:
    data = f"ollama_model_variants={json.dumps(VARIANTS)}"
    run = deploy(data)
    assert (run.code, run.changed) == (0, (CREATE,)), run.output
    run = deploy(data)
    assert (run.code, run.changed) == (0, ()), run.output
    body = {"model": "pirate", "prompt": "hi", "stream": False, "options": {"num_predict": 4}}
    answer = call(url(), "POST", "/api/ollama", body, timeout=300)
    assert answer.status == 200, answer
    on_guest(
        f"printf 'FROM pirate\\nSYSTEM Be rude.\\n' | {OLLAMA} sh -c 'cat > /tmp/m && ollama create pirate -f /tmp/m'"
    )
    run = deploy(data)
    assert (run.code, run.changed) == (0, (CREATE,)), run.output
    assert "pirate differs from ollama_model_variants in its system prompt" in run.output
    assert "Answer like a pirate." in on_guest(f"{OLLAMA} ollama show --system pirate")
    run = deploy("ollama_prune_models=true")
    assert run.code == 0, run.output
    assert PRUNE in run.changed, run.output
    assert "pirate:latest: removed" in run.output, run.output


def stored() -> set[str]:
    """Names of the large files in the host's model store."""
    return set(on_guest(f"sudo find {BLOBS} -size +1M -printf '%f\n'").split())


def test_gguf_file_is_sent_once_replaced_and_pruned(tmp_path: Path) -> None:
    with Stages() as stages:
        weights = artefacts.build(("models",), stages)["models"]
    path = tmp_path / "own.gguf"
    # The same words as tinystory, which the host has, in a file of another digest.
    path.write_bytes((weights / "tinystory.gguf").read_bytes() + bytes(8))
    data = f"ollama_model_variants={json.dumps({'own': {'base_file': str(path), 'template': '{{ .Prompt }} '}})}"
    before = stored()

    run = deploy(data)
    assert (run.code, run.changed) == (0, (CREATE,)), run.output
    assert f"own.gguf ({path.stat().st_size / 1e9:.2f} GB) is not on the host; sending it" in run.output
    assert len(stored() - before) == 1
    lines = stream(url(), "/api/ollama", {"model": "own", "prompt": "go", "options": {"num_predict": 4}})
    assert "".join(json.loads(line.text)["response"] for line in lines).startswith("Once upon"), lines
    run = deploy(data)
    assert (run.code, run.changed) == (0, ()), run.output

    # Other weights, which the host has: nothing is sent, and the old ones are removed.
    shutil.copy(weights / "tinyllama.gguf", path)
    run = deploy(data)
    assert (run.code, run.changed) == (0, (CREATE,)), run.output
    assert "own differs from ollama_model_variants in its GGUF file; creating it again" in run.output
    assert "sending it" not in run.output
    assert stored() == before

    # A damaged copy on the host.
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    on_guest(f"sudo truncate --size=-1 {BLOBS}/sha256-{digest}")
    run = deploy(data)
    assert (run.code, run.changed) == (0, (CREATE,)), run.output
    assert "own differs from ollama_model_variants in its GGUF file, which is damaged; creating it again" in run.output
    assert on_guest(f"sudo sha256sum {BLOBS}/sha256-{digest}").startswith(digest)
    run = deploy("ollama_prune_models=true")
    assert "gguf/own:latest: removed" in run.output, run.output
    assert "own:latest: removed" in run.output, run.output

    path.unlink()
    run = deploy(data)
    assert run.code != 0
    assert f"could not read {path} on this computer: No such file or directory" in run.output
