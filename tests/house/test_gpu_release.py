"""A GPU is asked for and not used: the deploy refuses the release, and the one before serves.

The device is a harmless one in /dev/dri, so all is real but the GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import artefacts
from lab.house import House
from tests.acceptance.api import call
from tests.lab.machine import Run, deploy

pytestmark = pytest.mark.long
PROMPT = {"model": "tinyllama", "prompt": "go", "stream": False, "options": {"num_predict": 4}}

# A render node that is /dev/null, and its entry in the kernel's list of them.
DEVICE = """sudo mkdir -p /dev/dri /run/classes/drm/renderD128/device
sudo mknod -m 0666 /dev/dri/renderD128 c 1 3
echo 0x8086 | sudo tee /run/classes/drm/renderD128/device/vendor >/dev/null
sudo mount -t overlay -o lowerdir=/run/classes:/sys/class overlay /sys/class"""


@pytest.fixture(scope="module")
def house(house_parts: artefacts.Paths, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(house_parts, tmp_path_factory.mktemp("house"), 1) as one:
        yield one


def test_release_without_its_gpu_is_refused(house: House, tmp_path: Path) -> None:
    def deployed(**settings: object) -> Run:
        inventory = tmp_path / "gpu.py"
        inventory.write_text(f"hosts = [('h1', {house.data('h1') | settings!r})]\n")
        return deploy(inventory=str(inventory))

    first = deployed()
    assert first.code == 0, first.output
    accepted = house.ssh("h1", "sudo cat /opt/hearth/releases/accepted")

    # Without any device, preflight refuses it.
    refused = deployed(ollama_gpu="vulkan")
    assert refused.code != 0
    assert "/dev/dri" in refused.output

    house.ssh("h1", DEVICE)
    run = deployed(ollama_gpu="vulkan")
    assert run.code == 1, run.output
    assert 'ollama_gpu = "vulkan", but Ollama computes on the processor: nothing of tinyllama (' in run.output
    assert 'msg="inference compute" id=cpu' in run.output, "Ollama's own line"
    assert "is running again" in run.output
    assert house.ssh("h1", "sudo cat /opt/hearth/releases/accepted") == accepted
    assert "HEARTH_GPU" not in house.ssh("h1", "sudo docker inspect hearth-ollama")
    answer = call(f"http://{house.hosts['h1'].address}:85", "POST", "/api/ollama", PROMPT)
    assert answer.json()["done"] is True

    back = deployed()
    assert back.code == 0, back.output
    assert deployed().changed == ()
