"""Model variants in the guest: created by a deploy, changed on the host, reported as drift, repaired, and pruned."""

from __future__ import annotations

import json

import pytest

from tests.acceptance.api import call
from tests.lab.machine import deploy, on_guest, url

pytestmark = [pytest.mark.scenario, pytest.mark.long, pytest.mark.usefixtures("deployed")]

CREATE = "Models | Create the model variants"
PRUNE = "Models | Remove unlisted models"
OLLAMA = "sudo docker exec -i hearth-ollama"
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
