"""Preflight failures: conditions and messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from pyinfra.api import DeployError

from hearth.host.ports import Listener, parse_listeners, parse_published
from hearth.models.disk import ModelDisk, kind_of_mount
from hearth.models.sizes import download_size, guessed_size
from hearth.preflight import deploy as preflight_deploy
from hearth.preflight.checks import clock_obstacles, find_obstacles, find_warnings, paths_to_check
from hearth.preflight.facts import HostFacts, HostFactsState
from hearth.settings.model import Settings
from hearth.settings.model_names import name_from_manifest

Make = Callable[..., Settings]

PI = HostFactsState(
    os_release={
        "ID": "debian",
        "VERSION_ID": "13",
        "VERSION_CODENAME": "trixie",
        "PRETTY_NAME": "Debian GNU/Linux 13 (trixie)",
    },
    architecture="arm64",
    free_bytes={"/var/lib/docker": 50 * 10**9},
    file_system={"/var/lib/docker": "/"},
    listeners=(Listener("0.0.0.0", 22, "sshd", 700),),
)


def test_a_fresh_pi_is_ready(settings: Settings) -> None:
    assert find_obstacles(settings, PI) == []


# --- ports ----------------------------------------------------------------------------------------


def test_a_native_ollama_is_named_with_the_fix(settings: Settings) -> None:
    host = replace(PI, listeners=(Listener("127.0.0.1", 11434, "ollama", 812),))
    (obstacle,) = find_obstacles(settings, host)
    assert "ollama_publish = '127.0.0.1:11434': the port is held" in obstacle
    assert "ollama (process 812)" in obstacle
    assert "sudo systemctl disable --now ollama" in obstacle


@pytest.mark.parametrize(
    ("listener", "who", "fix"),
    [
        (Listener("0.0.0.0", 85, "nginx", 5), "nginx (process 5)", "stop it"),
        (Listener("[::]", 85, "", 0), "another program", "another port"),
        (Listener("*", 85, "docker-proxy", 9), "a container", "docker ps`"),
        (Listener("*", 85, "dockerd", 9), "a container", "docker ps`"),
        (Listener("192.168.1.189", 85, "apache2", 6), "apache2 (process 6)", "another port"),
    ],
)
def test_a_port_in_use_is_named_with_its_program(settings: Settings, listener: Listener, who: str, fix: str) -> None:
    (obstacle,) = find_obstacles(settings, replace(PI, listeners=(listener,), engine_answers=True))
    assert "proxy_port = 85" in obstacle
    assert who in obstacle
    assert fix in obstacle


def test_without_the_engine_a_containers_port_is_no_failure(settings: Settings) -> None:
    """With live-restore, Hearth's own containers keep their ports while the engine is down."""
    held = (Listener("0.0.0.0", 85, "docker-proxy", 1), Listener("127.0.0.1", 11434, "ollama", 2))
    (obstacle,) = find_obstacles(settings, replace(PI, listeners=held, engine_answers=False))
    assert "11434" in obstacle


def test_hearths_own_containers_do_not_count(settings: Settings) -> None:
    held = (Listener("0.0.0.0", 85, "docker-proxy", 1), Listener("127.0.0.1", 11434, "docker-proxy", 2))
    assert (
        find_obstacles(settings, replace(PI, listeners=held, engine_answers=True, published={85: True, 11434: False}))
        == []
    )


def test_a_port_of_hearths_does_not_excuse_another(settings: Settings) -> None:
    held = (Listener("0.0.0.0", 85, "docker-proxy", 1), Listener("127.0.0.1", 11434, "ollama", 2))
    (obstacle,) = find_obstacles(settings, replace(PI, listeners=held, published={85: True}))
    assert "11434" in obstacle


def test_a_listener_on_another_address_is_no_failure(settings: Settings) -> None:
    assert find_obstacles(settings, replace(PI, listeners=(Listener("192.168.1.189", 11434, "ollama", 1),))) == []


def test_the_reserved_backend_is_no_failure(settings: Settings) -> None:
    assert find_obstacles(settings, replace(PI, listeners=(Listener("0.0.0.0", 5001, "python3", 1),))) == []


@pytest.mark.parametrize(
    ("listening", "address", "expected"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "0.0.0.0", True),
        ("0.0.0.0", "127.0.0.1", True),
        ("*", "127.0.0.1", True),
        ("[::]", "127.0.0.1", True),
        ("127.0.0.53", "127.0.0.1", False),
        ("10.0.0.1", "127.0.0.1", False),
    ],
)
def test_collisions(listening: str, address: str, expected: bool) -> None:
    assert Listener(listening, 85, "", 0).collides(address, 85) is expected
    assert not Listener(listening, 86, "", 0).collides(address, 85)


def test_listeners_from_ss() -> None:
    lines = [
        'LISTEN 0      4096   127.0.0.53%lo:53        0.0.0.0:*    users:(("systemd-resolve",pid=590,fd=15))',
        'LISTEN 0      128          0.0.0.0:22        0.0.0.0:*    users:(("sshd",pid=733,fd=3),("sshd",pid=9,fd=4))',
        "LISTEN 0      128             [::]:22           [::]:*",
        'LISTEN 0      511                *:80              *:*    users:(("apache2",pid=1001,fd=4))',
        "",
    ]
    assert parse_listeners(lines) == (
        Listener("127.0.0.53", 53, "systemd-resolve", 590),
        Listener("0.0.0.0", 22, "sshd", 733),
        Listener("[::]", 22, "", 0),
        Listener("*", 80, "apache2", 1001),
    )


@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        ("", set()),
        ("80/tcp", set()),
        ("0.0.0.0:85->80/tcp, [::]:85->80/tcp", {("0.0.0.0", 85), ("[::]", 85)}),
        ("0.0.0.0:85->80/tcp, :::85->80/tcp", {("0.0.0.0", 85), ("[::]", 85)}),
        ("0.0.0.0:53->53/udp, fd00::1:85->80/tcp", {("[fd00::1]", 85)}),
        ("127.0.0.1:11434->11434/tcp", {("127.0.0.1", 11434)}),
        ("0.0.0.0:8000-8002->8000-8002/tcp, 443/tcp", {("0.0.0.0", port) for port in (8000, 8001, 8002)}),
    ],
)
def test_ports_from_docker(ports: str, expected: set[tuple[str, int]]) -> None:
    assert parse_published(ports) == expected


# --- disk -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("llama3.2:1b", 1.1),
        ("qwen2.5:0.5b", 0.75),
        ("gemma3:270m", 0.589),
        ("llama3.1:70b-instruct-q4_0", 49.4),
        ("MODEL:7B", 5.3),
        ("mistral", 5.0),
        ("phi3:mini", 5.0),
    ],
)
def test_the_estimated_size_of_a_model(name: str, expected: float) -> None:
    assert guessed_size(name) == pytest.approx(expected)


def test_a_size_in_the_settings_overrides_the_library_and_the_estimate() -> None:
    assert download_size("mymodel", {"mymodel": 12.5}) == 12.5
    assert download_size("llama3.2:1b", {"llama3.2:1b": 9}) == 9
    assert download_size("llama3.2:1b", {}) == 1.3
    assert download_size("someone/model-1b", {}) == guessed_size("llama3.2:1b")


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("mixtral:8x7b", 20),  # eight times seven billion: 26 GB in the library
        ("someone/model-13b:latest", 8),
    ],
)
def test_a_size_in_the_name_counts(name: str, least: float) -> None:
    assert guessed_size(name) > least


def test_a_full_disk_is_reported_with_the_calculation(make_settings: Make) -> None:
    settings = make_settings(docker_images_gb=6.0, ollama_models=["llama3.2:1b", "mistral"])
    (obstacle,) = find_obstacles(settings, replace(PI, free_bytes={"/var/lib/docker": 3_200_000_000}))
    assert (
        "the disk at / has 3.2 GB free, and 11.7 GB are needed (images 6.0 + llama3.2:1b 1.3 + mistral 4.4)" in obstacle
    )
    assert "ollama_models_dir" in obstacle
    assert "ollama_model_sizes_gb" in obstacle


@pytest.mark.parametrize(("free", "obstacles"), [(7_300_000_000, 0), (7_299_999_999, 1)])
def test_just_enough_is_enough(make_settings: Make, free: int, obstacles: int) -> None:
    settings = make_settings(docker_images_gb=6.0, ollama_models=["llama3.2:1b"])
    assert len(find_obstacles(settings, replace(PI, free_bytes={"/var/lib/docker": free}))) == obstacles


def test_existing_images_and_models_need_no_space(settings: Settings) -> None:
    full = replace(PI, free_bytes={"/var/lib/docker": 0})
    there = replace(
        full,
        images=frozenset({settings.ollama_image, settings.proxy_image}),
        models=frozenset({"llama3.2:1b"}),
    )
    assert find_obstacles(settings, there) == []
    assert "images 6.0" not in find_obstacles(settings, replace(there, models=frozenset()))[0]
    assert "llama3.2:1b" not in find_obstacles(settings, replace(there, images=frozenset()))[0]


def test_a_model_without_a_tag_means_latest(make_settings: Make) -> None:
    settings = make_settings(ollama_models=["tinyllama"])
    images = frozenset({settings.ollama_image, settings.proxy_image})
    host = replace(PI, free_bytes={"/var/lib/docker": 0}, images=images, models=frozenset({"tinyllama:latest"}))
    assert find_obstacles(settings, host) == []


def ssd(free_root: int, free_ssd: int, mount: str = "/mnt/ssd") -> HostFactsState:
    return replace(
        PI,
        free_bytes={"/var/lib/docker": free_root, "/mnt/ssd/ollama": free_ssd},
        file_system={"/var/lib/docker": "/", "/mnt/ssd/ollama": mount},
        existing=frozenset({"/mnt/ssd/ollama"}),
    )


def test_models_on_another_disk_need_space_there(make_settings: Make) -> None:
    settings = make_settings(ollama_models_dir="/mnt/ssd/ollama")
    assert paths_to_check(settings) == ("/var/lib/docker", "/var/lib/containerd", "/mnt/ssd/ollama")
    assert find_obstacles(settings, ssd(6 * 10**9, 2 * 10**9)) == []
    (obstacle,) = find_obstacles(settings, ssd(6 * 10**9, 10**9))
    assert "the disk at /mnt/ssd has 1.0 GB free, and 1.3 GB are needed (llama3.2:1b 1.3)" in obstacle


def test_one_file_system_needs_the_sum(make_settings: Make) -> None:
    settings = make_settings(ollama_models_dir="/mnt/ssd/ollama")
    (obstacle,) = find_obstacles(settings, ssd(7 * 10**9, 7 * 10**9, mount="/"))
    assert "7.3 GB are needed" in obstacle


def test_a_missing_models_directory(make_settings: Make) -> None:
    settings = make_settings(ollama_models_dir="/mnt/ssd/ollama")
    (obstacle,) = find_obstacles(settings, replace(ssd(10**12, 10**12), existing=frozenset()))
    assert "ollama_models_dir = '/mnt/ssd/ollama'" in obstacle
    assert "mount the disk" in obstacle


# --- clock ----------------------------------------------------------------------------------------

NOON = 1_769_860_800  # 2026-01-31 12:00 UTC


@pytest.mark.parametrize("seconds", [0, 3600, -3600, 86_400, -86_400])
def test_a_clock_up_to_a_day_off_is_accepted(seconds: int) -> None:
    assert clock_obstacles(NOON + seconds, NOON) == []


def test_a_clock_in_the_past_is_reported_with_both_times_and_the_fix() -> None:
    (obstacle,) = clock_obstacles(NOON - 365 * 86_400, NOON + 0.4)
    assert "the host's clock shows 2025-01-31 12:00 UTC, this computer's 2026-01-31 12:00 UTC" in obstacle
    assert "sudo timedatectl set-ntp true" in obstacle
    assert f"sudo date -u -s '@{NOON}'" in obstacle


@pytest.mark.parametrize("clock", [NOON + 86_401, NOON - 86_401, 0, 2**31])
def test_a_clock_more_than_a_day_off_is_a_failure(clock: int) -> None:
    assert len(clock_obstacles(clock, NOON)) == 1


# --- several --------------------------------------------------------------------------------------


def test_an_unsupported_system_is_reported(settings: Settings) -> None:
    (obstacle,) = find_obstacles(settings, replace(PI, architecture="armhf"))
    assert "64-bit" in obstacle


def test_a_source_that_the_system_lacks(make_settings: Make) -> None:
    bookworm: dict[str, Any] = PI.os_release | {"VERSION_ID": "12", "VERSION_CODENAME": "bookworm"}
    (obstacle,) = find_obstacles(make_settings(docker_source="distribution"), replace(PI, os_release=bookworm))
    assert 'docker_source = "distribution"' in obstacle


def test_all_failures_are_reported_at_once(make_settings: Make) -> None:
    settings = make_settings(ollama_models_dir="/mnt/ssd/ollama")
    host = replace(
        ssd(0, 0),
        architecture="riscv64",
        existing=frozenset(),
        listeners=(Listener("*", 85, "nginx", 1), Listener("*", 11434, "ollama", 2)),
    )
    assert len(find_obstacles(settings, host)) == 6


def test_an_existing_model_from_another_registry_needs_no_space(make_settings: Make) -> None:
    settings = make_settings(ollama_models=["hf.co/someone/model:q4"])
    images = frozenset({settings.ollama_image, settings.proxy_image})
    models = frozenset({name_from_manifest("hf.co/someone/model/q4")})
    host = replace(PI, free_bytes={"/var/lib/docker": 0}, images=images, models=models)
    assert find_obstacles(settings, host) == []


def test_an_unmounted_disk_stops_the_deploy(make_settings: Make) -> None:
    settings = make_settings(ollama_models_dir="/mnt/ssd/ollama", ollama_models=[])
    host = replace(PI, not_mounted=("/mnt/ssd",))
    (obstacle,) = find_obstacles(settings, host)
    assert "`sudo mount /mnt/ssd`" in obstacle
    assert find_obstacles(make_settings(ollama_models=[]), host) == [], "models are in a Docker volume"


def test_a_different_disk_stops_the_deploy(make_settings: Make) -> None:
    settings = make_settings(ollama_models_dir="/mnt/ssd", ollama_models=[])
    before = ModelDisk("/mnt/ssd", "4f68", "/dev/sda1", "/mnt/ssd")
    host = replace(PI, existing=frozenset({"/mnt/ssd"}), models_disk=replace(before, uuid="5e3d"), recorded_disk=before)
    (obstacle,) = find_obstacles(settings, host)
    assert "UUID 4f68" in obstacle
    assert find_obstacles(settings, replace(host, models_disk=before)) == []


@pytest.mark.parametrize(
    ("kind", "models", "obstacles"),
    [
        ("vfat", ["llama3.1:8b"], 1),
        ("vfat", ["llama3.2:3b"], 0),
        ("ext4", ["llama3.1:8b"], 0),
        ("", ["llama3.1:8b"], 0),
    ],
)
def test_a_disk_with_fat_is_refused_for_large_models(
    make_settings: Make, kind: str, models: list[str], obstacles: int
) -> None:
    settings = make_settings(ollama_models_dir="/mnt/ssd/ollama", ollama_models=models)
    host = replace(ssd(10**12, 10**12), models_file_system=kind)
    found = find_obstacles(settings, host)
    assert len(found) == obstacles
    assert all("FAT file system (vfat), which can't hold files above 4.3 GB" in one for one in found)
    assert all("use ext4" in one for one in found)
    there = replace(host, models=frozenset(models))
    assert find_obstacles(settings, there) == []


def test_the_file_system_is_that_of_the_last_mount() -> None:
    lines = ["/dev/root / ext4 rw 0 0", "none /mnt/ssd autofs rw 0 0", "/dev/sda1 /mnt/ssd vfat rw 0 0", ""]
    assert [kind_of_mount(lines, place) for place in ("/", "/mnt/ssd", "/mnt")] == ["ext4", "vfat", ""]


def test_a_name_in_another_case_needs_no_space(make_settings: Make) -> None:
    settings = make_settings(ollama_models=["Llama3.2:1B"])
    host = replace(PI, free_bytes={"/var/lib/docker": 10**9}, models=frozenset({"llama3.2:1b"}))
    images = frozenset({settings.ollama_image, settings.proxy_image})
    assert find_obstacles(settings, replace(host, images=images)) == []


# --- a failed inspection --------------------------------------------------------------------------


def test_a_failed_inspection_is_not_evaluated(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the script fails on one of several hosts, pyinfra returns the fact's default, and continues."""
    nothing = SimpleNamespace(name="pi", get_fact=lambda *_, **__: HostFacts.default())
    monkeypatch.setattr(preflight_deploy, "host", nothing)
    with pytest.raises(DeployError) as refused:
        preflight_deploy.preflight(settings, {}, {})
    assert str(refused.value).startswith("could not inspect pi, nothing was changed;")
    assert "clock" not in str(refused.value)


def test_open_metrics_get_a_warning(make_settings: Make) -> None:
    opened = find_warnings(make_settings(metrics_access="anyone"), PI)
    assert [line for line in opened if line.startswith('metrics_access = "anyone": whoever reaches port 85 can read')]
    listed = make_settings(metrics_access="networks", proxy_allowed_networks=["192.168.1.0/24"])
    assert not any("metrics_access" in line for line in find_warnings(listed, PI))
