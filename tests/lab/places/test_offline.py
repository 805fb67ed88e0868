"""A host that reaches nothing: built, upgraded and rolled back from bundles, over ssh alone.

A firewall on the guest drops and counts every packet, in both directions, that is not ssh; the page is loaded through
ssh, too. What the guest's Debian itself asks the network for (the time, apt's timers) is turned off before.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import lab
from hearth.bundle.manifest import Bundle
from hearth.bundle.operations import DIRECTORY
from lab import ports, process, registry
from tests.acceptance.api import call
from tests.lab import registry_copy
from tests.lab.machine import HTTPD_IMAGE, INVENTORY, NEXT_HTTPD, ROOT, Run, deploy, on_guest, pyinfra, wait_until

pytestmark = [pytest.mark.scenario, pytest.mark.long, pytest.mark.guest("trixie")]

BASE = ('ollama_models=["tinyllama"]',)
UPGRADE = (f'proxy_image="{NEXT_HTTPD}"', 'chat_title="Upgraded"', 'ollama_models=["tinyllama", "tinystory"]')
PROMPT = {"prompt": "go", "stream": False, "options": {"num_predict": 8}}
# Of the guest's interface alone: the host and its containers may talk to each other. Names and addresses are resolved
# over UDP, everything else is TCP; what belongs to the link (ARP, ICMPv6, DHCP) asks nobody outside.
WALL = """table inet wall {
  counter asked_tcp {}
  counter asked_udp {}
  counter arrived {}
  chain output { type filter hook output priority -300;
    oifname != "en*" accept
    tcp sport 22 accept
    udp dport { 67, 547 } accept
    meta l4proto tcp log prefix "wall: " counter name asked_tcp drop
    meta l4proto udp log prefix "wall: " counter name asked_udp drop
  }
  chain forward { type filter hook forward priority -300;
    oifname "en*" meta l4proto tcp log prefix "wall: " counter name asked_tcp drop
    oifname "en*" log prefix "wall: " counter name asked_udp drop
    iifname "en*" counter name arrived drop
  }
  chain input { type filter hook input priority -300;
    iifname != "en*" accept
    tcp dport 22 accept
    udp sport { 67, 547 } accept
    meta l4proto { tcp, udp } counter name arrived drop
  }
}"""


def wall_off() -> None:
    """Let the guest reach nothing, and be reached over ssh alone; no package list or package is left on it."""
    apt = "sudo DEBIAN_FRONTEND=noninteractive apt-get -qq -y"
    on_guest(
        f"{apt} update && {apt} install --no-install-recommends nftables </dev/null >/dev/null && {apt} clean && "
        "sudo rm -rf /var/lib/apt/lists/* && "
        "sudo systemctl mask --now systemd-timesyncd.service apt-daily.timer apt-daily-upgrade.timer 2>/dev/null",
        timeout=900,
    )
    on_guest(f"sudo nft -f - <<'WALL'\n{WALL}\nWALL")
    # It holds, and it counts.
    mirror = lab.status().registry_mirror.removeprefix("http://").replace(":", "/")
    assert on_guest(f"timeout 5 bash -c 'exec 3<>/dev/tcp/{mirror}' 2>/dev/null || echo cut") == "cut"
    assert on_guest("timeout 5 getent hosts example.com || echo cut", timeout=60) == "cut"
    asked = counters()
    assert asked["asked_tcp"] > 0, asked
    assert asked["asked_udp"] > 0, asked
    # systemd-resolved repeats an unanswered query for minutes.
    on_guest("sudo systemctl restart systemd-resolved.service && sudo nft reset counters >/dev/null")


def counters() -> dict[str, int]:
    """Packets that were dropped, by counter."""
    document = json.loads(on_guest("sudo nft -j list counters table inet wall"))
    return {one["counter"]["name"]: one["counter"]["packets"] for one in document["nftables"] if "counter" in one}


def nothing_was_asked() -> None:
    """Since the wall was built, neither the host nor its containers have sent anything that is not ssh."""
    asked = counters()
    log = on_guest("sudo journalctl -k --no-pager --grep 'wall: ' | tail -n 20 || true")
    assert (asked["asked_tcp"], asked["asked_udp"]) == (0, 0), f"{asked}\n{log}"


def hearth(*words: str, timeout: float = 900) -> subprocess.CompletedProcess[str]:
    """The command `hearth`, of this checkout."""
    command = [sys.executable, "-m", "hearth.cli.command", *words]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL
    )


def here(address: str) -> str:
    """A registry's address on this machine, given that in the guest."""
    return f"http://{ports.LOOPBACK}:{address.rpartition(':')[2]}"


def make_bundle(path: Path, mirror: str, *data: str) -> Path:
    """A bundle for the lab's guest, made on this machine."""
    registries = (
        f'docker_registry_mirrors=["{mirror}"]',
        f'ollama_model_registry="{here(lab.status().model_registry)}"',
    )
    begun = time.monotonic()
    words = [word for one in (*registries, *data) for word in ("--data", one)]
    done = hearth("bundle", INVENTORY, "--to", str(path), "--arch", "amd64", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    print(f"\n{done.stdout}  made in {time.monotonic() - begun:.1f} s, {path.stat().st_size / 1e6:.1f} MB")
    return path


@contextmanager
def page() -> Iterator[str]:
    """The page's address on this machine, through ssh."""
    status = lab.status(must_run=True)
    [port] = ports.free(1)
    forward = f"{ports.LOOPBACK}:{port}:127.0.0.1:85"
    words = ["ssh", "-F", status.ssh_config, "-o", "ExitOnForwardFailure=yes", "-N", "-L", forward, status.ssh_host]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL) as ssh:
        try:
            url = f"http://{ports.LOOPBACK}:{port}"
            wait_until(lambda: call(url, "GET", "/").status == 200, 60, "the page loads through ssh")
            yield url
        finally:
            ssh.terminate()


def answers(*models: str, title: str) -> None:
    """The page loads, and each model answers a prompt."""
    with page() as url:
        assert f"<title>{title}</title>".encode() in call(url, "GET", "/").body
        for model in models:
            answer = call(url, "POST", "/api/ollama", {"model": model, **PROMPT}, timeout=300)
            assert answer.status == 200, answer
            assert answer.json()["done"] is True


def succeeded(title: str, run: Run) -> Run:
    assert run.code == 0, run.output
    print(f"\n  {title}: {run.seconds:.1f} s; changed: {', '.join(run.changed) or 'nothing'}")
    return run


def image_of_httpd() -> str:
    return on_guest("sudo docker inspect -f '{{.Config.Image}}' hearth-httpd")


@pytest.fixture(scope="module")
def house(fresh_guest: None, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001
    """A bundle, and a fresh guest that reaches nothing."""
    path = make_bundle(tmp_path_factory.mktemp("house") / "house.hearth", here(lab.status().registry_mirror), *BASE)
    wall_off()
    return path


@pytest.fixture(scope="module")
def newer(house: Path) -> Iterator[Path]:
    """A second bundle, with a newer httpd and one more model."""
    storage = house.parent / "images"
    registry_copy.copy_storage(storage)
    tag = HTTPD_IMAGE.partition(":")[2]
    registry_copy.add_image(storage, "library/httpd", tag, NEXT_HTTPD.partition(":")[2], {"etc/next": b"next\n"})
    [port] = ports.free(1)
    pid = registry.start(registry_copy.program_and_storage()[0], storage, port, house.parent, "newer")
    try:
        yield make_bundle(house.parent / "newer.hearth", f"http://{ports.LOOPBACK}:{port}", *UPGRADE)
    finally:
        process.end(pid, str(house.parent))


def test_unusable_bundles_are_refused_before_the_host_is_changed(house: Path, tmp_path: Path) -> None:
    flipped, short = tmp_path / "flipped.hearth", tmp_path / "short.hearth"
    shutil.copy(house, flipped)
    with flipped.open("r+b") as file:
        file.seek(house.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))
    with house.open("rb") as whole:
        short.write_bytes(whole.read(house.stat().st_size * 2 // 3))
    for path, data, why in (
        (flipped, BASE, "is damaged"),
        (short, BASE, "is not a bundle, or is"),
        (house, ('ollama_models=["tinyllama", "tinystory"]',), "lacks the model tinystory, and nothing was changed"),
    ):
        run = deploy(f"x_bundle={path}", *data)
        assert run.code != 0
        assert why in run.output, run.output
        assert "hearth bundle INVENTORY --to" in run.output
        assert "Traceback" not in run.output
        assert on_guest("ls -d /opt/hearth /etc/docker 2>/dev/null || true") == ""


def test_house_is_built_without_a_network(house: Path) -> None:
    assert on_guest("command -v docker || true") == ""
    succeeded("first deploy", deploy(f"x_bundle={house}", *BASE, timeout=1800))
    answers("tinyllama", title="Hearth")
    assert on_guest(f"ls -d {DIRECTORY} 2>/dev/null || true") == "", "packages are not kept on the host"
    nothing_was_asked()


def test_second_deploy_changes_nothing(house: Path) -> None:
    assert succeeded("second deploy", deploy(f"x_bundle={house}", *BASE)).changed == ()
    # Nor does it take the bundle to see that.
    assert succeeded("third deploy, without the bundle", deploy(*BASE)).changed == ()
    drift = hearth("drift", INVENTORY, "--bundle", str(house), "--data", *BASE)
    assert drift.returncode == 0, drift.stdout + drift.stderr
    nothing_was_asked()


def test_upgrade_comes_from_a_newer_bundle(house: Path, newer: Path) -> None:
    lacking = deploy(f"x_bundle={house}", *UPGRADE)
    assert lacking.code != 0
    assert f"lacks the image {NEXT_HTTPD} and the model tinystory" in lacking.output, lacking.output
    assert NEXT_HTTPD in Bundle.load(newer).manifest.images
    data = [word for one in UPGRADE for word in ("--data", one)]
    drift = hearth("drift", INVENTORY, "--bundle", str(newer), *data)
    assert drift.returncode == 1, drift.stdout + drift.stderr
    assert f"{NEXT_HTTPD}: not on the host as in the bundle; loading" in drift.stdout
    upgrade = succeeded("upgrade", deploy(f"x_bundle={newer}", *UPGRADE))
    assert {"Bundle | Load the images", "Bundle | Send the models"} <= set(upgrade.changed)
    assert image_of_httpd() == NEXT_HTTPD
    answers("tinyllama", "tinystory", title="Upgraded")
    assert succeeded("again", deploy(f"x_bundle={newer}", *UPGRADE)).changed == ()
    nothing_was_asked()


def test_rollback_returns_to_the_first_release(newer: Path) -> None:
    assert newer.exists()
    succeeded("rollback", pyinfra("deploys/rollback.py"))
    assert image_of_httpd() == HTTPD_IMAGE
    answers("tinyllama", title="Hearth")
    nothing_was_asked()
    print(f"  dropped since the host was cut off: {counters()}")
