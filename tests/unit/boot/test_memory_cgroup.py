"""Whether the kernel counts memory for containers, and what is said and done about it, with recorded outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from hearth.boot.memory_cgroup import (
    DISABLE_OPTION,
    ENABLE_OPTION,
    judge,
    limited_services,
    limits_in_force,
    memory_cgroup_warnings,
    will_reboot,
)
from hearth.host.hardware import Hardware
from hearth.settings.model import Settings
from tests.support.recorded import raspberry_pi as recorded

Make = Callable[..., Settings]
FRESH = Hardware(
    model="Raspberry Pi 5 Model B Rev 1.0",
    counts_memory=False,
    cmdline=tuple(recorded.CMDLINE_DISABLED.split()),
    boot_line=recorded.BOOT_LINE,
)
WAITS = replace(FRESH, boot_line=f"{recorded.BOOT_LINE} {ENABLE_OPTION}", reboot_due=True)
NOT_OBEYED = replace(WAITS, cmdline=tuple(recorded.CMDLINE_NOT_OBEYED.split()), reboot_due=False)


@pytest.mark.parametrize(
    ("hardware", "expected"),
    [
        (Hardware(), "in force"),
        (replace(FRESH, counts_memory=True), "in force"),
        # What is on the command line decides nothing where the kernel shows what it does.
        (replace(FRESH, counts_memory=True, cmdline=tuple(recorded.CMDLINE_ENABLED.split())), "in force"),
        (FRESH, "no word"),
        (replace(FRESH, boot_line=recorded.BOOT_LINE_UBUNTU), "no word"),
        (replace(FRESH, boot_line=f"{recorded.BOOT_LINE} {ENABLE_OPTION}s"), "no word"),
        (WAITS, "waits"),
        (replace(WAITS, boot_line=f"{DISABLE_OPTION} {recorded.BOOT_LINE} {ENABLE_OPTION}"), "waits"),
        (replace(FRESH, boot_line=f"{recorded.BOOT_LINE} {DISABLE_OPTION}"), "by hand"),
        (replace(FRESH, boot_line=f"{ENABLE_OPTION} {DISABLE_OPTION}"), "by hand"),
        (NOT_OBEYED, "not obeyed"),
        (replace(WAITS, cmdline=tuple(recorded.CMDLINE_OVERRULED.split())), "not obeyed"),
        (replace(FRESH, boot_line=None), "elsewhere"),
        (Hardware(counts_memory=False, boot_line=recorded.BOOT_LINE), "elsewhere"),
        (Hardware(counts_memory=False), "elsewhere"),
    ],
)
def test_what_is_to_be_done(hardware: Hardware, expected: str) -> None:
    assert judge(hardware) == expected


def test_the_host_is_restarted_once_and_never_for_nothing() -> None:
    assert will_reboot(FRESH, True)
    assert will_reboot(WAITS, True), "a run that was cut between the word and the restart"
    for hardware in (
        replace(FRESH, counts_memory=True),
        Hardware(),
        Hardware(counts_memory=False),
        NOT_OBEYED,
        replace(FRESH, boot_line=f"{recorded.BOOT_LINE} {DISABLE_OPTION}"),
        # Restarted since, without the word (firmware#2007: another file is in use there).
        replace(WAITS, reboot_due=False),
    ):
        assert not will_reboot(hardware, True)
    assert not will_reboot(FRESH, False)


@pytest.mark.parametrize(
    ("hardware", "can_reboot", "words"),
    [
        (
            FRESH,
            False,
            f"/boot/firmware/cmdline.txt will say {ENABLE_OPTION}: restart the Pi (`sudo reboot`) and deploy again",
        ),
        (
            WAITS,
            False,
            f"/boot/firmware/cmdline.txt says {ENABLE_OPTION}: restart the Pi (`sudo reboot`) and deploy again",
        ),
        (replace(WAITS, reboot_due=False), True, "it takes its words from another file"),
        (NOT_OBEYED, False, "`sudo apt full-upgrade`"),
        (NOT_OBEYED, True, "`sudo apt full-upgrade`"),
        (replace(FRESH, boot_line=DISABLE_OPTION), False, f"says {DISABLE_OPTION}, which is left as it is"),
        (Hardware(counts_memory=False), True, f"The kernel's command line must not say {DISABLE_OPTION}"),
    ],
)
def test_limits_that_do_nothing_are_told_with_what_helps(
    settings: Settings, hardware: Hardware, can_reboot: bool, words: str
) -> None:
    (line,) = memory_cgroup_warnings(settings, hardware, can_reboot)
    assert line.startswith("proxy_memory_limit has no effect: the kernel does not count memory for containers")
    assert "The deploy goes on." in line
    assert words in line


def test_nothing_is_said_where_there_is_nothing_to_say(settings: Settings, make_settings: Make) -> None:
    assert memory_cgroup_warnings(settings, Hardware(), False) == []
    assert memory_cgroup_warnings(settings, replace(FRESH, counts_memory=True), False) == []
    assert memory_cgroup_warnings(settings, FRESH, True) == [], "the deploy restarts it"
    assert memory_cgroup_warnings(make_settings(proxy_memory_limit=""), FRESH, False) == [], "there is no limit"


def test_what_is_set_already_is_not_recommended(settings: Settings, make_settings: Make) -> None:
    """A deploy that runs on the Pi itself would not outlive its restart."""
    (line,) = memory_cgroup_warnings(settings, FRESH, False)
    assert line.endswith("deploy again, or set host_allow_reboot = True")
    (line,) = memory_cgroup_warnings(make_settings(host_allow_reboot=True), FRESH, False)
    assert line.endswith("restart the Pi (`sudo reboot`) and deploy again")


def test_both_limits_are_named(make_settings: Make) -> None:
    (line,) = memory_cgroup_warnings(make_settings(ollama_memory_limit="3g"), FRESH, False)
    assert line.startswith("ollama_memory_limit and proxy_memory_limit have no effect")


def test_services_with_limits(settings: Settings, make_settings: Make) -> None:
    both = make_settings(ollama_memory_limit="3g")
    assert limited_services(settings) == {"httpd"}
    assert limited_services(both) == frozenset({"httpd", "ollama"})
    assert limits_in_force(both, Hardware(), True) is None
    assert limits_in_force(both, FRESH, False) == frozenset()
    assert limits_in_force(both, FRESH, True) == frozenset({"httpd", "ollama"})
    assert limits_in_force(both, replace(FRESH, counts_memory=True), False) == frozenset({"httpd", "ollama"})
