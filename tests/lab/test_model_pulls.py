"""A model pull that is interrupted, or whose registry fails or stops responding: it resumes instead of restarting."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.machine import deploy, on_guest
from tests.lab.model_registry import Faults, address_in_guest, faulty_proxy, own_registry

pytestmark = [pytest.mark.scenario, pytest.mark.long, pytest.mark.usefixtures("deployed")]

MB = 10**6
SIZE = 64 * MB
DATA = (
    'ollama_models=["tinyllama","tinystory","filler"]',
    'ollama_model_sizes_gb={"tinyllama":0.1,"tinystory":0.1,"filler":0.2}',
    "ollama_pull_stall_timeout=20",
)


def test_interrupted_model_pull_is_resumed(tmp_path: Path) -> None:
    """Cut after 20 MB, status 500, silent after 20 more MB, cut once more: each byte is fetched about once."""
    faults = Faults([("cut", 20 * MB), ("500", 0), ("silent", 20 * MB), ("cut", 5 * MB)])
    with own_registry(tmp_path) as (storage, registry), faulty_proxy(registry, faults) as port:
        digest = storage.add_filler("filler", SIZE)
        address = f'ollama_model_registry="{address_in_guest(port)}"'
        run = deploy(*DATA, address)
        print(
            f"\n{faults.served / MB:.1f} MB served for a model of {SIZE / MB:.0f} MB, in {len(faults.ranges)} requests "
            f"with two cuts, a 500 and a silence; {run.seconds:.0f} s"
        )
        assert run.code == 0, run.output
        assert run.changed == ("Models | Pull the models",), run.output
        assert not faults.steps, (faults, run.output)
        assert "no progress for 20 s" in run.output or "retrying" in run.output, run.output
        assert SIZE <= faults.served <= 1.2 * SIZE, faults
        blob = f"/root/.ollama/models/blobs/sha256-{digest}"
        assert digest in on_guest(f"sudo docker exec hearth-ollama sha256sum {blob}")
        quiet = deploy(*DATA, address)
    assert (quiet.code, quiet.changed) == (0, ()), quiet.output
