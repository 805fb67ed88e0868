"""Parsing hardware facts, from recorded output of real Raspberry Pis (tests/support/recorded)."""

from __future__ import annotations

import pytest

from hearth.host.hardware import Hardware, Swap, parse_hardware
from hearth.host.platform import identify
from hearth.runtime.sections import parse_assignments, parse_sections
from tests.support.recorded import raspberry_pi as recorded

PI_5 = f"""@@board
Raspberry Pi 5 Model B Rev 1.0
@@kernel
aarch64
{recorded.PAGE_SIZE_PI_5}
@@meminfo
MemTotal:        8252518 kB
SwapTotal:       4943360 kB
@@swaps
Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority
/dev/zram0                              partition\t4089446\t\t0\t\t100
/var/swap                               file\t\t853914\t\t0\t\t-2
@@controllers
{recorded.CONTROLLERS_WITHOUT_MEMORY}
@@cmdline
{recorded.CMDLINE_DISABLED}
@@boot_line
{recorded.BOOT_LINE}
@@reboot_due
@@firmware
throttled=0x50005
temp=38.6'C
"""


def test_a_pi_is_parsed() -> None:
    hardware = parse_hardware(parse_sections(PI_5.splitlines()))
    assert hardware == Hardware(
        model="Raspberry Pi 5 Model B Rev 1.0",
        kernel="aarch64",
        page_size=16384,
        memory=8252518 * 1024,
        swaps=(Swap("/dev/zram0", 4089446 * 1024), Swap("/var/swap", 853914 * 1024)),
        memory_cgroup_enabled=False,
        cmdline=tuple(recorded.CMDLINE_DISABLED.split()),
        boot_line=recorded.BOOT_LINE,
        throttled=0x50005,
        temperature=38.6,
    )
    assert hardware.is_pi
    assert [swap.in_memory for swap in hardware.swaps] == [True, False]


def test_without_output_nothing_is_known() -> None:
    assert parse_hardware({}) == Hardware()
    assert not Hardware().is_pi


@pytest.mark.parametrize(
    ("controllers", "expected"),
    [
        (recorded.CONTROLLERS_WITH_MEMORY, True),
        (recorded.CONTROLLERS_WITHOUT_MEMORY, False),
        ("", False),
        ("cpu memory_like", False),
    ],
)
def test_the_controllers_decide_on_the_memory_cgroup(controllers: str, expected: bool) -> None:
    assert parse_hardware({"controllers": controllers.splitlines()}).memory_cgroup_enabled is expected


@pytest.mark.parametrize("model", recorded.MODELS)
def test_a_model_is_a_pi(model: str) -> None:
    assert parse_hardware({"board": [model]}).is_pi


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (recorded.FIRMWARE_WELL, (0, 62.3)),
        (recorded.FIRMWARE_WAS_HOT, (0x80008, None)),
        (("VCHI initialization failed",), (None, None)),
        (('error=2 error_msg="Invalid arguments"', "temp=x'C"), (None, None)),
        ((), (None, None)),
    ],
)
def test_firmware_values(lines: tuple[str, ...], expected: tuple[int | None, float | None]) -> None:
    hardware = parse_hardware({"firmware": list(lines)})
    assert (hardware.throttled, hardware.temperature) == expected


@pytest.mark.parametrize(
    ("os_release", "codename"),
    [(recorded.OS_RELEASE_BOOKWORM, "bookworm"), (recorded.OS_RELEASE_TRIXIE, "trixie")],
)
def test_raspberry_pi_os_is_identified_as_debian(os_release: str, codename: str) -> None:
    platform = identify(parse_assignments(os_release.splitlines()), "arm64")
    assert (platform.family, platform.codename) == ("debian", codename)
