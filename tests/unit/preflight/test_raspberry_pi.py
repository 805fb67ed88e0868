"""Messages about a Raspberry Pi, on recorded output of real ones (tests/support/recorded)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest

from hearth.host.hardware import Hardware, parse_hardware
from hearth.preflight.checks import find_obstacles, find_upkeep_warnings, find_warnings
from hearth.preflight.facts import HostFactsState
from hearth.preflight.raspberry_pi import board_warnings, userland_obstacles
from hearth.runtime.sections import parse_assignments
from hearth.settings.model import Settings
from tests.support.recorded import raspberry_pi as recorded

PI = Hardware(model=recorded.MODELS[0], kernel="aarch64", page_size=4096)


def with_firmware(*lines: str) -> Hardware:
    parsed = parse_hardware({"firmware": list(lines)})
    return replace(PI, throttled=parsed.throttled, temperature=parsed.temperature)


@pytest.mark.parametrize(
    "hardware", [Hardware(), PI, with_firmware(*recorded.FIRMWARE_WELL), with_firmware("throttled=0x0")]
)
def test_a_healthy_board_has_no_warnings(hardware: Hardware) -> None:
    assert board_warnings(hardware) == []


def test_a_weak_power_supply_gets_a_warning() -> None:
    (now,) = board_warnings(with_firmware(*recorded.FIRMWARE_WEAK))
    assert "the power supply is too weak now (undervoltage, from `vcgencmd get_throttled`)" in now
    assert "27 W for a Pi 5" in now
    (later,) = board_warnings(with_firmware(*recorded.FIRMWARE_WAS_WEAK))
    assert "was too weak at some time since the last start" in later


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (recorded.FIRMWARE_WAS_HOT, "the processor is hot (from `vcgencmd`) and throttled"),
        (("throttled=0x0", "temp=80.1'C"), "the processor is hot (80 °C, from `vcgencmd`)"),
        (("throttled=0xe0000", "temp=55.0'C"), "was hot at some time since the last start"),
    ],
)
def test_heat_gets_a_warning(lines: tuple[str, ...], message: str) -> None:
    (warning,) = board_warnings(with_firmware(*lines))
    assert message in warning
    assert "a fan or a heat sink" in warning


def test_a_weak_supply_and_heat_are_separate_warnings() -> None:
    assert len(board_warnings(with_firmware("throttled=0x50000", "temp=84.2'C"))) == 2
    assert len(board_warnings(with_firmware("throttled=0x50005", "temp=84.2'C"))) == 1, "undervoltage explains it"


@pytest.mark.parametrize(("size", "warnings"), [("4096", 0), (recorded.PAGE_SIZE_PI_5, 0), ("65536", 1)])
def test_page_sizes(size: str, warnings: int) -> None:
    assert len(board_warnings(replace(PI, page_size=int(size)))) == warnings


def test_a_32_bit_system_on_a_64_bit_kernel_is_refused_with_the_fix(settings: Settings) -> None:
    kernel, architecture = recorded.KERNEL_64_PROGRAMS_32
    host = HostFactsState(
        os_release=parse_assignments(recorded.OS_RELEASE_BOOKWORM.splitlines()),
        architecture=architecture,
        free_bytes={"/var/lib/docker": 50 * 10**9},
        hardware=replace(PI, kernel=kernel),
    )
    (obstacle,) = find_obstacles(settings, host)
    assert "is a 32-bit system, but Ollama needs 64 bits" in obstacle
    assert "Its kernel is 64-bit, as `uname -m` shows, but its programs are 32-bit" in obstacle
    assert "Raspberry Pi OS (64-bit)" in obstacle


def test_nothing_is_added_for_a_32_bit_kernel() -> None:
    assert userland_obstacles(replace(PI, kernel="armv7l"), "armhf") == ""
    assert userland_obstacles(PI, "arm64") == ""


def test_warnings_do_not_stop_a_deploy(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(ollama_models=["gemma2:2b"])
    host = HostFactsState(
        os_release=parse_assignments(recorded.OS_RELEASE_TRIXIE.splitlines()),
        architecture="arm64",
        free_bytes={"/var/lib/docker": 50 * 10**9},
        hardware=replace(with_firmware(*recorded.FIRMWARE_WEAK), memory=recorded.MEMORY_2_GB_KB * 1024),
    )
    assert find_obstacles(settings, host) == []
    assert len(find_warnings(settings, host)) == 1, "a model that may not fit"
    assert len(find_upkeep_warnings(settings, host, date(2026, 11, 28))) == 1, "power"
