"""The option in a Raspberry Pi's boot line, added and removed by real shells in a directory, and the reboot."""

from __future__ import annotations

import logging
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hearth.boot import operations as boot
from hearth.boot.memory_cgroup import ENABLE_OPTION
from hearth.footprint.facts import Footprint, FootprintState
from hearth.paths import BOOT_LINE, REBOOT_DUE
from hearth.uninstall.operations import restore_boot_config
from tests.pyinfra.conftest import Run
from tests.pyinfra.shell import Sandbox, check_syntax
from tests.support.recorded import raspberry_pi as recorded


@pytest.fixture(name="host")
def _host(tmp_path: Path) -> Sandbox:
    (tmp_path / "boot").mkdir()
    return Sandbox(tmp_path)


def on(host: Sandbox, script: str) -> subprocess.CompletedProcess[str]:
    here = script.replace(BOOT_LINE.rpartition("/")[0], f"{host.directory}/boot")
    return host.run(here.replace(REBOOT_DUE, f"{host.directory}/reboot-due"))


def line(host: Sandbox) -> Path:
    return host.directory / "boot/cmdline.txt"


def names(host: Sandbox) -> set[str]:
    return {path.name for path in (host.directory / "boot").iterdir()}


def test_the_scripts_are_valid_shell() -> None:
    check_syntax(boot.add_script())
    check_syntax(boot.remove_script())


@pytest.mark.parametrize("end", ["\n", "", " \n", "\r\n", "\n\n"])
@pytest.mark.parametrize("text", [recorded.BOOT_LINE, recorded.BOOT_LINE_UBUNTU, 'a="b  c" d'])
def test_the_option_is_appended_and_removed_without_a_trace(host: Sandbox, text: str, end: str) -> None:
    line(host).write_bytes(f"{text}{end}".encode())
    done = on(host, boot.add_script())
    assert done.returncode == 0, done.stderr
    assert line(host).read_text() == f"{text} {ENABLE_OPTION}\n"
    assert (host.directory / "boot/cmdline.txt.before-hearth").read_bytes() == f"{text}{end}".encode()
    assert names(host) == {"cmdline.txt", "cmdline.txt.before-hearth"}
    assert (host.directory / "reboot-due").exists()
    done = on(host, boot.remove_script())
    assert done.returncode == 0, done.stderr
    assert line(host).read_bytes() == f"{text}{end}".encode()
    assert names(host) == {"cmdline.txt"}
    assert not (host.directory / "reboot-due").exists()


def test_a_second_run_changes_nothing(host: Sandbox) -> None:
    line(host).write_text(recorded.BOOT_LINE)
    on(host, boot.add_script())
    before = line(host).read_bytes()
    (host.directory / "reboot-due").unlink()
    done = on(host, boot.add_script())
    assert done.returncode == 0
    assert "already has the option" in done.stdout
    assert line(host).read_bytes() == before
    assert not (host.directory / "reboot-due").exists()


def test_an_option_that_the_user_set_stays(host: Sandbox) -> None:
    line(host).write_text(f"{ENABLE_OPTION} {recorded.BOOT_LINE}")
    assert on(host, boot.add_script()).returncode == 0
    assert names(host) == {"cmdline.txt"}, "no backup, so an uninstall does not remove the option"


@pytest.mark.parametrize("text", ["", "\n \n", "a b\nc d\n"])
def test_a_file_with_another_number_of_lines_is_not_changed(host: Sandbox, text: str) -> None:
    line(host).write_text(text)
    done = on(host, boot.add_script())
    assert done.returncode != 0
    assert "non-empty lines instead of one, and was not changed" in done.stderr
    assert line(host).read_text() == text
    assert names(host) == {"cmdline.txt"}


def test_a_missing_file_is_not_created(host: Sandbox) -> None:
    assert on(host, boot.add_script()).returncode != 0
    assert names(host) == set()


def test_an_unreadable_line_is_not_changed(host: Sandbox) -> None:
    line(host).write_text(recorded.BOOT_LINE)
    host.program("tr", "exit 1")
    assert on(host, boot.add_script()).returncode != 0
    assert line(host).read_text() == recorded.BOOT_LINE
    assert names(host) == {"cmdline.txt"}


def test_a_full_partition_does_not_change_the_line(host: Sandbox) -> None:
    """`sync` stands for the point of failure."""
    line(host).write_text(recorded.BOOT_LINE)
    host.program("sync", "exit 1")
    assert on(host, boot.add_script()).returncode != 0
    assert line(host).read_text() == recorded.BOOT_LINE


def test_the_next_run_completes_an_interrupted_one(host: Sandbox) -> None:
    line(host).write_text(recorded.BOOT_LINE)
    (host.directory / "boot/cmdline.txt.new").write_text("half a li")
    (host.directory / "boot/cmdline.txt.before-hearth.new").write_text("half a li")
    assert on(host, boot.add_script()).returncode == 0
    assert line(host).read_text() == f"{recorded.BOOT_LINE} {ENABLE_OPTION}\n"
    assert names(host) == {"cmdline.txt", "cmdline.txt.before-hearth"}


def test_later_changes_of_the_user_stay(host: Sandbox) -> None:
    line(host).write_text(recorded.BOOT_LINE)
    on(host, boot.add_script())
    line(host).write_text(f"{recorded.BOOT_LINE} {ENABLE_OPTION} usbcore.autosuspend=-1\n")
    assert on(host, boot.remove_script()).returncode == 0
    assert line(host).read_text() == f"{recorded.BOOT_LINE} usbcore.autosuspend=-1\n"


def test_removing_a_missing_option_succeeds(host: Sandbox) -> None:
    line(host).write_text(recorded.BOOT_LINE)
    on(host, boot.add_script())
    line(host).write_text("root=/dev/sda2\n")
    assert on(host, boot.remove_script()).returncode == 0
    assert line(host).read_text() == "root=/dev/sda2\n"


# --- The operations ---------------------------------------------------------------------------------


def test_the_option_is_explained_before_it_is_added(run: Run) -> None:
    result = run(boot.enable_memory_cgroup, {})
    assert result.scripts == [boot.add_script()]
    (said,) = result.said
    assert f"adding {ENABLE_OPTION} to {BOOT_LINE}" in said
    assert f"{BOOT_LINE}.before-hearth" in said


def test_after_a_reboot_the_lock_is_acquired_again(run: Run) -> None:
    result = run(boot.reboot_host, {})
    names_ = [command[0] if isinstance(command, list) else command for command in result.commands]
    assert "( sleep 1 && reboot ) </dev/null >/dev/null 2>&1 &" in names_
    order = [names_.index(name) for name in ("_wait", "_reacquire_lock")]
    assert order == sorted(order)
    assert "is-system-running --wait" in names_[-1]
    assert "rebooting the host (host_allow_reboot = True)" in result.said[0]


def test_a_host_that_does_not_come_back_is_reported(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait(state: Any, host: Any) -> None:  # noqa: ARG001
        raise Exception("Server did not reboot in time (reboot_timeout=900s)")

    host: Any = SimpleNamespace(print_prefix="[pi] ")
    monkeypatch.setattr(boot, "_REBOOT_TIMEOUT", 0)
    with caplog.at_level(logging.ERROR, logger="pyinfra"):
        assert boot._wait(None, host, wait) is False  # type: ignore[arg-type]
    assert "[pi] the host did not come back after its reboot" in caplog.text
    assert f"replace {BOOT_LINE} by {BOOT_LINE}.before-hearth" in caplog.text
    assert boot._wait(None, host, lambda *_: None) is True  # type: ignore[arg-type]


@dataclass(frozen=True)
class Named:
    print_prefix: str


def test_a_connection_that_ends_early_is_tried_again() -> None:
    host = Named("[pi] ")
    state = SimpleNamespace(failed_hosts={host}, active_hosts=set())
    errors = [EOFError(), OSError("reset")]

    def wait(state: Any, host: Any) -> None:  # noqa: ARG001
        if errors:
            raise errors.pop()

    assert boot._wait(state, host, wait) is True  # type: ignore[arg-type]
    assert (errors, state.failed_hosts, state.active_hosts) == ([], set(), {host})


def test_an_uninstall_removes_the_option_if_hearth_added_it(run: Run) -> None:
    where: dict[str, Any] = {"files": frozenset({"compose.yaml"}), "models_dir": ""}
    there = run(restore_boot_config, {Footprint: FootprintState(boot=True)}, **where)
    assert there.scripts == [boot.remove_script()]
    elsewhere = run(restore_boot_config, {Footprint: FootprintState()}, **where)
    assert elsewhere.commands == []
    assert elsewhere.noop
