"""Whether the kernel counts memory for containers, and what is said and done about it, with recorded outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from hearth.boot.memory_cgroup import (
    OFF,
    WORD,
    about_counting,
    judge,
    limited_services,
    limits_in_force,
    will_reboot,
)
from hearth.host.hardware import Board
from hearth.settings.model import Settings
from tests.support.recorded import raspberry_pi as recorded

Make = Callable[..., Settings]
FRESH = Board(
    model="Raspberry Pi 5 Model B Rev 1.0",
    counts_memory=False,
    cmdline=tuple(recorded.CMDLINE_DISABLED.split()),
    boot_line=recorded.BOOT_LINE,
)
WAITS = replace(FRESH, boot_line=f"{recorded.BOOT_LINE} {WORD}", reboot_due=True)
NOT_OBEYED = replace(WAITS, cmdline=tuple(recorded.CMDLINE_NOT_OBEYED.split()), reboot_due=False)


@pytest.mark.parametrize(
    ("board", "expected"),
    [
        (Board(), "in force"),
        (replace(FRESH, counts_memory=True), "in force"),
        # What is on the command line decides nothing where the kernel shows what it does.
        (replace(FRESH, counts_memory=True, cmdline=tuple(recorded.CMDLINE_ENABLED.split())), "in force"),
        (FRESH, "no word"),
        (replace(FRESH, boot_line=recorded.BOOT_LINE_UBUNTU), "no word"),
        (replace(FRESH, boot_line=f"{recorded.BOOT_LINE} {WORD}s"), "no word"),
        (WAITS, "waits"),
        (replace(WAITS, boot_line=f"{OFF} {recorded.BOOT_LINE} {WORD}"), "waits"),
        (replace(FRESH, boot_line=f"{recorded.BOOT_LINE} {OFF}"), "by hand"),
        (replace(FRESH, boot_line=f"{WORD} {OFF}"), "by hand"),
        (NOT_OBEYED, "not obeyed"),
        (replace(WAITS, cmdline=tuple(recorded.CMDLINE_OVERRULED.split())), "not obeyed"),
        (replace(FRESH, boot_line=None), "elsewhere"),
        (Board(counts_memory=False, boot_line=recorded.BOOT_LINE), "elsewhere"),
        (Board(counts_memory=False), "elsewhere"),
    ],
)
def test_what_is_to_be_done(board: Board, expected: str) -> None:
    assert judge(board) == expected


def test_the_host_is_restarted_once_and_never_for_nothing() -> None:
    assert will_reboot(FRESH, True)
    assert will_reboot(WAITS, True), "a run that was cut between the word and the restart"
    for board in (
        replace(FRESH, counts_memory=True),
        Board(),
        Board(counts_memory=False),
        NOT_OBEYED,
        replace(FRESH, boot_line=f"{recorded.BOOT_LINE} {OFF}"),
        # Restarted since, without the word (firmware#2007: another file is in use there).
        replace(WAITS, reboot_due=False),
    ):
        assert not will_reboot(board, True)
    assert not will_reboot(FRESH, False)


@pytest.mark.parametrize(
    ("board", "can_reboot", "words"),
    [
        (FRESH, False, f"/boot/firmware/cmdline.txt will say {WORD}: restart the Pi (`sudo reboot`) and deploy again"),
        (WAITS, False, f"/boot/firmware/cmdline.txt says {WORD}: restart the Pi (`sudo reboot`) and deploy again"),
        (replace(WAITS, reboot_due=False), True, "it takes its words from another file"),
        (NOT_OBEYED, False, "`sudo apt full-upgrade`"),
        (NOT_OBEYED, True, "`sudo apt full-upgrade`"),
        (replace(FRESH, boot_line=OFF), False, f"says {OFF}, which is left as it is"),
        (Board(counts_memory=False), True, f"The kernel's command line must not say {OFF}"),
    ],
)
def test_limits_that_do_nothing_are_told_with_what_helps(
    settings: Settings, board: Board, can_reboot: bool, words: str
) -> None:
    (line,) = about_counting(settings, board, can_reboot)
    assert line.startswith("proxy_memory_limit has no effect: the kernel does not count memory for containers")
    assert "The deploy goes on." in line
    assert words in line


def test_nothing_is_said_where_there_is_nothing_to_say(settings: Settings, make_settings: Make) -> None:
    assert about_counting(settings, Board(), False) == []
    assert about_counting(settings, replace(FRESH, counts_memory=True), False) == []
    assert about_counting(settings, FRESH, True) == [], "the deploy restarts it"
    assert about_counting(make_settings(proxy_memory_limit=""), FRESH, False) == [], "there is no limit"


def test_what_is_set_already_is_not_recommended(settings: Settings, make_settings: Make) -> None:
    """A deploy that runs on the Pi itself would not outlive its restart."""
    (line,) = about_counting(settings, FRESH, False)
    assert line.endswith("deploy again, or set host_reboot = True")
    (line,) = about_counting(make_settings(host_reboot=True), FRESH, False)
    assert line.endswith("restart the Pi (`sudo reboot`) and deploy again")


def test_both_limits_are_named(make_settings: Make) -> None:
    (line,) = about_counting(make_settings(ollama_memory_limit="3g"), FRESH, False)
    assert line.startswith("ollama_memory_limit and proxy_memory_limit have no effect")


def test_services_with_limits(settings: Settings, make_settings: Make) -> None:
    both = make_settings(ollama_memory_limit="3g")
    assert limited_services(settings) == {"httpd"}
    assert limited_services(both) == frozenset({"httpd", "ollama"})
    assert limits_in_force(both, Board(), True) is None
    assert limits_in_force(both, FRESH, False) == frozenset()
    assert limits_in_force(both, FRESH, True) == frozenset({"httpd", "ollama"})
    assert limits_in_force(both, replace(FRESH, counts_memory=True), False) == frozenset({"httpd", "ollama"})
