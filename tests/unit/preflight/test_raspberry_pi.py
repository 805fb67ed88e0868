"""The sentences about a Raspberry Pi, on what real ones printed (tests/support/recorded)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from hearth.host.hardware import Hardware, parse_hardware
from hearth.preflight.checks import find_obstacles, find_warnings
from hearth.preflight.facts import HostFactsState
from hearth.preflight.raspberry_pi import board_warnings, userland_obstacles
from hearth.runtime.sections import parse_assignments
from hearth.settings.model import Settings
from tests.support.recorded import raspberry_pi as recorded

PI = Hardware(model=recorded.MODELS[0], kernel="aarch64", page_size=4096)


def with_firmware(*lines: str) -> Hardware:
    said = parse_hardware({"firmware": list(lines)})
    return replace(PI, throttled=said.throttled, temperature=said.temperature)


@pytest.mark.parametrize(
    "hardware", [Hardware(), PI, with_firmware(*recorded.FIRMWARE_WELL), with_firmware("throttled=0x0")]
)
def test_nothing_is_said_of_a_board_that_is_well(hardware: Hardware) -> None:
    assert board_warnings(hardware) == []


def test_a_weak_power_supply_is_told() -> None:
    (now,) = board_warnings(with_firmware(*recorded.FIRMWARE_WEAK))
    assert "its power supply is too weak at this moment (undervoltage, by `vcgencmd get_throttled`)" in now
    assert "27 W for a Pi 5" in now
    (later,) = board_warnings(with_firmware(*recorded.FIRMWARE_WAS_WEAK))
    assert "was too weak at some time since it was started" in later


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (recorded.FIRMWARE_WAS_HOT, "it is hot (by `vcgencmd`) and has slowed its processor down"),
        (("throttled=0x0", "temp=80.1'C"), "it is hot (80 °C, by `vcgencmd`)"),
        (("throttled=0xe0000", "temp=55.0'C"), "was too hot at some time since it was started"),
    ],
)
def test_heat_is_told(lines: tuple[str, ...], words: str) -> None:
    (warning,) = board_warnings(with_firmware(*lines))
    assert words in warning
    assert "a fan or a cooler" in warning


def test_a_weak_supply_and_heat_are_two_things() -> None:
    assert len(board_warnings(with_firmware("throttled=0x50000", "temp=84.2'C"))) == 2
    assert len(board_warnings(with_firmware("throttled=0x50005", "temp=84.2'C"))) == 1, "it is slow for want of power"


@pytest.mark.parametrize(("size", "said"), [("4096", 0), (recorded.PAGE_SIZE_PI_5, 0), ("65536", 1)])
def test_pages_of_both_kernels_are_no_news(size: str, said: int) -> None:
    assert len(board_warnings(replace(PI, page_size=int(size)))) == said


def test_programs_of_32_bits_on_a_kernel_of_64_are_refused_with_what_helps(settings: Settings) -> None:
    kernel, architecture = recorded.KERNEL_64_PROGRAMS_32
    host = HostFactsState(
        os_release=parse_assignments(recorded.OS_RELEASE_BOOKWORM.splitlines()),
        architecture=architecture,
        free_bytes={"/var/lib/docker": 50 * 10**9},
        hardware=replace(PI, kernel=kernel),
    )
    (obstacle,) = find_obstacles(settings, host)
    assert "is a 32-bit system, and Ollama needs 64 bits" in obstacle
    assert "Its kernel has 64 bits, which `uname -m` shows, and its programs have 32" in obstacle
    assert "Raspberry Pi OS (64-bit)" in obstacle


def test_where_the_kernel_has_32_bits_too_nothing_is_added() -> None:
    assert userland_obstacles(replace(PI, kernel="armv7l"), "armhf") == ""
    assert userland_obstacles(PI, "arm64") == ""


def test_warnings_stop_nothing(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(ollama_models=["gemma2:2b"])
    host = HostFactsState(
        os_release=parse_assignments(recorded.OS_RELEASE_TRIXIE.splitlines()),
        architecture="arm64",
        free_bytes={"/var/lib/docker": 50 * 10**9},
        hardware=replace(with_firmware(*recorded.FIRMWARE_WEAK), memory=recorded.MEMORY_2_GB_KB * 1024),
    )
    assert find_obstacles(settings, host) == []
    assert len(find_warnings(settings, host)) == 2, "power, and a model that is tight"
