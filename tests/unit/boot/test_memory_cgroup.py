"""The state of the memory cgroup and the warnings about it, on recorded output of real hosts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from hearth.boot.memory_cgroup import (
    DISABLE_OPTION,
    ENABLE_OPTION,
    enforced_limits,
    limited_services,
    memory_cgroup_state,
    memory_cgroup_warnings,
    will_reboot,
)
from hearth.host.hardware import Hardware
from hearth.settings.model import Settings
from tests.support.recorded import raspberry_pi as recorded

Make = Callable[..., Settings]
FRESH = Hardware(
    model="Raspberry Pi 5 Model B Rev 1.0",
    memory_cgroup_enabled=False,
    cmdline=tuple(recorded.CMDLINE_DISABLED.split()),
    boot_line=recorded.BOOT_LINE,
)
PENDING = replace(FRESH, boot_line=f"{recorded.BOOT_LINE} {ENABLE_OPTION}", reboot_due=True)
IGNORED = replace(PENDING, cmdline=tuple(recorded.CMDLINE_NOT_OBEYED.split()), reboot_due=False)


@pytest.mark.parametrize(
    ("hardware", "expected"),
    [
        (Hardware(), "enabled"),
        (replace(FRESH, memory_cgroup_enabled=True), "enabled"),
        # The kernel's actual state counts, not its command line.
        (replace(FRESH, memory_cgroup_enabled=True, cmdline=tuple(recorded.CMDLINE_ENABLED.split())), "enabled"),
        (FRESH, "not_configured"),
        (replace(FRESH, boot_line=recorded.BOOT_LINE_UBUNTU), "not_configured"),
        (replace(FRESH, boot_line=f"{recorded.BOOT_LINE} {ENABLE_OPTION}s"), "not_configured"),
        (PENDING, "pending_reboot"),
        (replace(PENDING, boot_line=f"{DISABLE_OPTION} {recorded.BOOT_LINE} {ENABLE_OPTION}"), "pending_reboot"),
        (replace(FRESH, boot_line=f"{recorded.BOOT_LINE} {DISABLE_OPTION}"), "disabled_by_user"),
        (replace(FRESH, boot_line=f"{ENABLE_OPTION} {DISABLE_OPTION}"), "disabled_by_user"),
        (IGNORED, "ignored_by_kernel"),
        (replace(PENDING, cmdline=tuple(recorded.CMDLINE_OVERRULED.split())), "ignored_by_kernel"),
        (replace(FRESH, boot_line=None), "unmanaged"),
        (Hardware(memory_cgroup_enabled=False, boot_line=recorded.BOOT_LINE), "unmanaged"),
        (Hardware(memory_cgroup_enabled=False), "unmanaged"),
    ],
)
def test_states(hardware: Hardware, expected: str) -> None:
    assert memory_cgroup_state(hardware) == expected


def test_the_host_reboots_once_and_not_without_effect() -> None:
    assert will_reboot(FRESH, True)
    assert will_reboot(PENDING, True), "a run that was interrupted before the reboot"
    for hardware in (
        replace(FRESH, memory_cgroup_enabled=True),
        Hardware(),
        Hardware(memory_cgroup_enabled=False),
        IGNORED,
        replace(FRESH, boot_line=f"{recorded.BOOT_LINE} {DISABLE_OPTION}"),
        # Rebooted since, without effect (firmware#2007: another file is in use there).
        replace(PENDING, reboot_due=False),
    ):
        assert not will_reboot(hardware, True)
    assert not will_reboot(FRESH, False)


@pytest.mark.parametrize(
    ("hardware", "can_reboot", "message"),
    [
        (
            FRESH,
            False,
            f"/boot/firmware/cmdline.txt will have {ENABLE_OPTION}: reboot the Pi (`sudo reboot`) and deploy again",
        ),
        (
            PENDING,
            False,
            f"/boot/firmware/cmdline.txt has {ENABLE_OPTION}: reboot the Pi (`sudo reboot`) and deploy again",
        ),
        (replace(PENDING, reboot_due=False), True, "it reads its options from another file"),
        (IGNORED, False, "`sudo apt full-upgrade`"),
        (IGNORED, True, "`sudo apt full-upgrade`"),
        (replace(FRESH, boot_line=DISABLE_OPTION), False, f"has {DISABLE_OPTION}, which Hearth does not change"),
        (Hardware(memory_cgroup_enabled=False), True, f"Remove {DISABLE_OPTION} from the kernel's command line"),
    ],
)
def test_limits_without_effect_get_a_warning_with_the_fix(
    settings: Settings, hardware: Hardware, can_reboot: bool, message: str
) -> None:
    (line,) = memory_cgroup_warnings(settings, hardware, can_reboot)
    assert line.startswith("proxy_memory_limit has no effect: the memory cgroup is off, so containers can use all")
    assert "The deploy continues." in line
    assert message in line


def test_no_warning_without_a_problem(settings: Settings, make_settings: Make) -> None:
    assert memory_cgroup_warnings(settings, Hardware(), False) == []
    assert memory_cgroup_warnings(settings, replace(FRESH, memory_cgroup_enabled=True), False) == []
    assert memory_cgroup_warnings(settings, FRESH, True) == [], "the deploy reboots it"
    assert memory_cgroup_warnings(make_settings(proxy_memory_limit=""), FRESH, False) == [], "there is no limit"


def test_a_setting_that_is_already_set_is_not_recommended(settings: Settings, make_settings: Make) -> None:
    """A deploy that runs on the Pi itself would not survive a reboot."""
    (line,) = memory_cgroup_warnings(settings, FRESH, False)
    assert line.endswith("deploy again, or set host_allow_reboot = True")
    (line,) = memory_cgroup_warnings(make_settings(host_allow_reboot=True), FRESH, False)
    assert line.endswith("reboot the Pi (`sudo reboot`) and deploy again")


def test_both_limits_are_named(make_settings: Make) -> None:
    (line,) = memory_cgroup_warnings(make_settings(ollama_memory_limit="3g"), FRESH, False)
    assert line.startswith("ollama_memory_limit and proxy_memory_limit have no effect")


def test_services_with_limits(settings: Settings, make_settings: Make) -> None:
    both = make_settings(ollama_memory_limit="3g")
    assert limited_services(settings) == {"httpd"}
    assert limited_services(both) == frozenset({"httpd", "ollama"})
    assert enforced_limits(both, Hardware(), True) is None
    assert enforced_limits(both, FRESH, False) == frozenset()
    assert enforced_limits(both, FRESH, True) == frozenset({"httpd", "ollama"})
    assert enforced_limits(both, replace(FRESH, memory_cgroup_enabled=True), False) == frozenset({"httpd", "ollama"})
