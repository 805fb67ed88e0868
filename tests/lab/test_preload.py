"""Models kept in memory, in the guest: loaded after a deploy and a reboot."""

from __future__ import annotations

import re
import time

import pytest

from tests.lab.machine import deploy, on_guest, reboot

pytestmark = [pytest.mark.scenario, pytest.mark.long, pytest.mark.usefixtures("deployed")]

DATA = ('ollama_models=["tinyllama"]', 'ollama_preload=["tinyllama"]')
PS = "sudo docker exec hearth-ollama ollama ps"


def kept_after(seconds: float) -> float:
    """Seconds until the model is in memory, to stay there."""
    begun = time.monotonic()
    while True:
        found = on_guest(PS, check=False)
        if re.search(r"^tinyllama:latest .*Forever", found, re.MULTILINE):
            return time.monotonic() - begun
        assert time.monotonic() < begun + seconds, found
        time.sleep(2)


def test_model_is_kept_in_memory_after_a_deploy_and_a_reboot() -> None:
    run = deploy(*DATA)
    assert run.code == 0, run.output
    print(f"\nafter the deploy: {kept_after(90):.0f} s")
    quiet = deploy(*DATA)
    assert (quiet.code, quiet.changed) == (0, ()), quiet.output
    reboot()
    print(f"after the reboot: {kept_after(300):.0f} s")
