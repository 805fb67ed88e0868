"""Models over time: removed, changed under the same name, damaged, and on a disk that is not always mounted."""

from __future__ import annotations

import gzip
import os
import subprocess
from pathlib import Path

import pytest

import lab
from hearth.paths import MODELS_DISK, PULLING_MODELS
from tests.acceptance.api import call
from tests.lab.machine import deploy, on_guest, reboot, url, wait_until
from tests.lab.model_registry import address_in_guest, own_registry

pytestmark = [pytest.mark.scenario, pytest.mark.long, pytest.mark.usefixtures("deployed")]

PULL = "Models | Pull the models"
PRUNE = "Models | Remove unlisted models"
STORE = "/root/.ollama/models"
OLLAMA = "sudo docker exec hearth-ollama"


def answers_prompt(model: str = "tinyllama") -> None:
    # A few tokens: the full reply takes minutes under emulation.
    body = {"model": model, "prompt": "hi", "stream": False, "options": {"num_predict": 8}}
    answer = call(url(), "POST", "/api/ollama", body, timeout=300)
    assert answer.status == 200, answer
    assert answer.json()["done"] is True


def quiet(*data: str) -> None:
    run = deploy(*data)
    assert (run.code, run.changed) == (0, ()), run.output


def test_unlisted_models_are_removed_if_configured() -> None:
    on_guest(f"{OLLAMA} ollama cp tinyllama twin:1b && {OLLAMA} ollama cp tinystory stray")
    quiet()  # not configured
    data = ('ollama_models=["TinyLlama"]', "ollama_prune_models=true")
    run = deploy(*data)
    assert run.code == 0, run.output
    assert PRUNE in run.changed, run.output
    for name in ("twin:1b", "stray:latest", "tinystory:latest"):
        assert f"{name}: removed" in run.output, run.output
    listed = on_guest(f"{OLLAMA} ollama list").splitlines()[1:]
    assert [line.split()[0] for line in listed] == ["tinyllama:latest"]
    answers_prompt()  # the removed copy had the same files
    quiet(*data)


def test_model_changed_under_the_same_name_is_updated(tmp_path: Path) -> None:
    with own_registry(tmp_path) as (storage, port):
        address = f'ollama_model_registry="{address_in_guest(port)}"'
        data = (address, "ollama_update_models=true")
        quiet(*data)
        old = {layer["digest"] for layer in storage.manifest("tinyllama")["layers"]}
        shared = {layer["digest"] for layer in storage.manifest("tinystory")["layers"]}
        new = storage.change_template("tinyllama", "{{ .System }}{{ .Prompt }} ")
        quiet(address)  # not configured
        run = deploy(*data)
        assert run.code == 0, run.output
        assert run.changed == (PULL,), run.output
        assert new in on_guest(f"{OLLAMA} cat {STORE}/manifests/registry.ollama.ai/library/tinyllama/latest")
        assert on_guest(f"{OLLAMA} ollama list | awk 'NR > 1 {{print $1}}' | sort").split() == [
            "tinyllama:latest",
            "tinystory:latest",
        ]
        assert old & shared, "tinystory has the old template too, so it must have stayed"
        answers_prompt()
        answers_prompt("tinystory")
        quiet(*data)
    run = deploy(*data)
    assert run.code != 0
    assert "ollama_update_models = True, but Hearth could not check" in run.output, run.output
    assert "tinyllama (no answer" in run.output, run.output
    quiet()


def test_model_damaged_by_a_power_cut_is_pulled_again() -> None:
    """The file has its final name and size, but zeros where nothing had been written when the power failed."""
    weights = on_guest(f"{OLLAMA} sh -c 'ls -S {STORE}/blobs | head -n 2'").split()
    manifest = on_guest(f"{OLLAMA} cat {STORE}/manifests/registry.ollama.ai/library/tinyllama/latest")
    (mine,) = [name for name in weights if name.replace("-", ":") in manifest]
    (other,) = [name for name in weights if name != mine]
    on_guest(
        f"{OLLAMA} dd if=/dev/zero of={STORE}/blobs/{mine} bs=64K count=1 conv=notrunc && "
        f"{OLLAMA} touch {STORE}/blobs/sha256-{'a' * 64}-partial && "
        f"echo tinyllama | sudo tee {PULLING_MODELS}"
    )
    run = deploy()
    assert run.code == 0, run.output
    assert run.changed == (PULL,), run.output
    assert "tinyllama: was damaged" in run.output, run.output
    sums = on_guest(f"{OLLAMA} sha256sum {STORE}/blobs/{mine} {STORE}/blobs/{other}").splitlines()
    assert [line.split()[0] for line in sums] == [name.removeprefix("sha256-") for name in (mine, other)]
    assert "-partial" in on_guest(f"{OLLAMA} ls {STORE}/blobs"), "the partial file for a resumed pull is kept"
    answers_prompt()
    quiet()


SSD = "/mnt/ssd"
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"  # mke2fs is not in every user's PATH
ON_SSD = (f'ollama_models_dir="{SSD}"',)
FSTAB = f"/var/ssd.img {SSD} ext4 loop,nofail 0 0"


def below_the_mount_point() -> str:
    """The content of the mount point's directory on the SD card, even if a disk is mounted there."""
    return on_guest(
        f"sudo mkdir -p /mnt/card && sudo mount --bind / /mnt/card && sudo find /mnt/card{SSD} -mindepth 1; "
        "sudo umount /mnt/card"
    )


def plug_in_a_disk(image: Path) -> None:
    """Create a file system of 300 MB on this machine, since the guest has no mke2fs, and copy it to /var/ssd.img."""
    with image.open("wb") as empty:
        empty.truncate(300 * 10**6)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", str(image)], check=True, env=os.environ | {"PATH": PATH})
    status = lab.status(must_run=True)
    subprocess.run(
        ["ssh", "-F", status.ssh_config, status.ssh_host, "gunzip | sudo dd of=/var/ssd.img bs=1M conv=sparse"],
        input=gzip.compress(image.read_bytes(), 1),
        check=True,
        capture_output=True,
        timeout=120,
    )


def test_models_never_end_up_on_the_sd_card_by_mistake(tmp_path: Path) -> None:
    """With the most error-prone directory: the mount point itself."""
    plug_in_a_disk(tmp_path / "ssd.img")
    on_guest(
        f"echo '{FSTAB}' | sudo tee -a /etc/fstab && sudo mkdir {SSD} && sudo systemctl daemon-reload && "
        f"sudo mount {SSD}"
    )
    moved = deploy(*ON_SSD)
    assert moved.code == 0, moved.output
    assert PULL in moved.changed
    assert f"mount={SSD}" in on_guest(f"cat {MODELS_DISK}")
    answers_prompt()
    quiet(*ON_SSD)

    on_guest(f"sudo docker stop -t 1 hearth-ollama && sudo umount {SSD}")
    refused = deploy(*ON_SSD)
    assert refused.code != 0
    assert f"{SSD} is a separate disk in /etc/fstab and is not mounted" in refused.output, refused.output
    on_guest(f"sudo sed -i '\\|{SSD}|d' /etc/fstab")
    refused = deploy(*ON_SSD)
    assert refused.code != 0
    assert f"mounted at {SSD}, but the directory is now on" in refused.output, refused.output
    assert f"sudo rm {MODELS_DISK}" in refused.output
    assert below_the_mount_point() == ""

    # A boot without the disk, and no deploy.
    on_guest(
        f"echo '{FSTAB}' | sudo tee -a /etc/fstab && sudo mount {SSD} && sudo docker start hearth-ollama && "
        "sudo mv /var/ssd.img /var/unplugged.img && sync"
    )
    reboot()
    wait_until(lambda: call(url(), "GET", "/", timeout=5).status == 200, 300, "the page is back")
    state = on_guest("sudo docker inspect -f '{{.State.Status}} {{.State.Error}}' hearth-ollama")
    print(f"\nOllama without its disk: {state}")
    assert not state.startswith("running")
    assert below_the_mount_point() == ""

    on_guest(f"sudo mv /var/unplugged.img /var/ssd.img && sudo mount {SSD}")
    back = deploy(*ON_SSD)
    assert back.code == 0, back.output
    assert PULL not in back.changed, "the models are still on the disk"
    answers_prompt()
    quiet(*ON_SSD)
