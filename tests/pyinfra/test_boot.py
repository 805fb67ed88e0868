"""The word in a Raspberry Pi's boot line, put and taken out by real shells in a directory, and the restart."""

from __future__ import annotations

import logging
import subprocess
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


def test_the_scripts_are_good_shell() -> None:
    check_syntax(boot.add_script())
    check_syntax(boot.remove_script())


@pytest.mark.parametrize("end", ["\n", "", " \n", "\r\n", "\n\n"])
@pytest.mark.parametrize("text", [recorded.BOOT_LINE, recorded.BOOT_LINE_UBUNTU, 'a="b  c" d'])
def test_the_word_comes_last_in_the_one_line_and_goes_without_a_trace(host: Sandbox, text: str, end: str) -> None:
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


def test_again_it_does_nothing(host: Sandbox) -> None:
    line(host).write_text(recorded.BOOT_LINE)
    on(host, boot.add_script())
    before = line(host).read_bytes()
    (host.directory / "reboot-due").unlink()
    done = on(host, boot.add_script())
    assert done.returncode == 0
    assert "has the word already" in done.stdout
    assert line(host).read_bytes() == before
    assert not (host.directory / "reboot-due").exists()


def test_a_line_that_had_the_word_before_stays_whose_it_is(host: Sandbox) -> None:
    line(host).write_text(f"{ENABLE_OPTION} {recorded.BOOT_LINE}")
    assert on(host, boot.add_script()).returncode == 0
    assert names(host) == {"cmdline.txt"}, "no copy: an uninstall leaves it"


@pytest.mark.parametrize("text", ["", "\n \n", "a b\nc d\n"])
def test_a_file_that_is_no_single_line_is_refused_and_left(host: Sandbox, text: str) -> None:
    line(host).write_text(text)
    done = on(host, boot.add_script())
    assert done.returncode != 0
    assert "and must have one; it was left as it is" in done.stderr
    assert line(host).read_text() == text
    assert names(host) == {"cmdline.txt"}


def test_a_file_that_is_not_there_is_not_made(host: Sandbox) -> None:
    assert on(host, boot.add_script()).returncode != 0
    assert names(host) == set()


def test_a_line_that_could_not_be_read_is_left(host: Sandbox) -> None:
    line(host).write_text(recorded.BOOT_LINE)
    host.program("tr", "exit 1")
    assert on(host, boot.add_script()).returncode != 0
    assert line(host).read_text() == recorded.BOOT_LINE
    assert names(host) == {"cmdline.txt"}


def test_a_full_partition_leaves_the_line_as_it_was(host: Sandbox) -> None:
    """`sync` stands for the moment at which it shows."""
    line(host).write_text(recorded.BOOT_LINE)
    host.program("sync", "exit 1")
    assert on(host, boot.add_script()).returncode != 0
    assert line(host).read_text() == recorded.BOOT_LINE


def test_a_run_that_was_cut_is_finished_by_the_next(host: Sandbox) -> None:
    line(host).write_text(recorded.BOOT_LINE)
    (host.directory / "boot/cmdline.txt.new").write_text("half a li")
    (host.directory / "boot/cmdline.txt.before-hearth.new").write_text("half a li")
    assert on(host, boot.add_script()).returncode == 0
    assert line(host).read_text() == f"{recorded.BOOT_LINE} {ENABLE_OPTION}\n"
    assert names(host) == {"cmdline.txt", "cmdline.txt.before-hearth"}


def test_what_a_person_changed_since_stays(host: Sandbox) -> None:
    line(host).write_text(recorded.BOOT_LINE)
    on(host, boot.add_script())
    line(host).write_text(f"{recorded.BOOT_LINE} {ENABLE_OPTION} usbcore.autosuspend=-1\n")
    assert on(host, boot.remove_script()).returncode == 0
    assert line(host).read_text() == f"{recorded.BOOT_LINE} usbcore.autosuspend=-1\n"


def test_a_word_that_is_gone_already_is_no_failure(host: Sandbox) -> None:
    line(host).write_text(recorded.BOOT_LINE)
    on(host, boot.add_script())
    line(host).write_text("root=/dev/sda2\n")
    assert on(host, boot.remove_script()).returncode == 0
    assert line(host).read_text() == "root=/dev/sda2\n"


# --- The operations ---------------------------------------------------------------------------------


def test_the_word_is_explained_before_it_is_put(run: Run) -> None:
    result = run(boot.enable_memory_cgroup, {})
    assert result.scripts == [boot.add_script()]
    (said,) = result.said
    assert f"{ENABLE_OPTION} is added to {BOOT_LINE}" in said
    assert f"{BOOT_LINE}.before-hearth" in said


def test_a_restart_is_waited_for_and_the_host_held_again(run: Run) -> None:
    result = run(boot.reboot_host, {})
    names_ = [command[0] if isinstance(command, list) else command for command in result.commands]
    assert "( sleep 1 && reboot ) </dev/null >/dev/null 2>&1 &" in names_
    order = [names_.index(name) for name in ("_wait", "_take_up_again")]
    assert order == sorted(order)
    assert "is-system-running --wait" in names_[-1]
    assert "restarted (host_allow_reboot = True)" in result.said[0]


def test_a_host_that_does_not_come_back_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    def wait(state: Any, host: Any) -> None:  # noqa: ARG001
        raise Exception("Server did not reboot in time (reboot_timeout=900s)")

    host: Any = SimpleNamespace(print_prefix="[pi] ")
    with caplog.at_level(logging.ERROR, logger="pyinfra"):
        assert boot._wait(None, host, wait) is False  # type: ignore[arg-type]
    assert "[pi] the host did not come back from its restart" in caplog.text
    assert f"put {BOOT_LINE}.before-hearth back" in caplog.text
    assert boot._wait(None, host, lambda *_: None) is True  # type: ignore[arg-type]


def test_an_uninstall_takes_it_out_where_hearth_put_it(run: Run) -> None:
    where: dict[str, Any] = {"files": frozenset({"compose.yaml"}), "models_dir": ""}
    there = run(restore_boot_config, {Footprint: FootprintState(boot=True)}, **where)
    assert there.scripts == [boot.remove_script()]
    elsewhere = run(restore_boot_config, {Footprint: FootprintState()}, **where)
    assert elsewhere.commands == []
    assert elsewhere.noop
