"""The daily check as systemd, cron and launchd read it."""

from __future__ import annotations

import plistlib
import shutil
import subprocess
from pathlib import Path

import pytest

from hearth.watch.schedule import Job, cron_line, launchd_list, systemd_service, systemd_timer

# Everything that one of the three treats specially.
ODD = "a \"b\" \\ $HOME 100% 'c'"


def job(directory: Path, *words: str, inventory: str = "inventory/Küche & Pi.py") -> Job:
    return Job(inventory, words, directory, 4, 5)


def test_each_inventory_has_its_own_timer(tmp_path: Path) -> None:
    names = {job(tmp_path, inventory=name).name for name in ("pi.py", "house/pi.py", "/srv/pi.py")}
    assert len(names) == 3
    assert all(name.startswith("hearth-watch-pi-") for name in names)
    assert job(tmp_path).name.startswith("hearth-watch-k-che-pi-")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    odd = job(tmp_path, "/bin/echo", ODD)
    units = [tmp_path / f"{odd.name}.{kind}" for kind in ("service", "timer")]
    units[0].write_text(systemd_service(odd))
    units[1].write_text(systemd_timer(odd))
    words = ["systemd-analyze", "verify", "--man=no", *map(str, units)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    ours = [line for line in (done.stdout + done.stderr).splitlines() if odd.name in line]
    assert (done.returncode, ours) == (0, []), done.stderr
    units[1].write_text(systemd_timer(odd).replace("OnCalendar", "OnCalender"))
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert "OnCalender" in done.stderr, "systemd-analyze reports mistakes"


def test_a_shell_reads_crons_line_as_the_command(tmp_path: Path) -> None:
    directory = tmp_path / "with 100% space"
    directory.mkdir()
    line = cron_line(job(directory, "printf", "%s|", ODD, "x"))
    fields = line.split(" ", 5)
    assert fields[:5] == ["5", "4", "*", "*", "*"]
    assert "%" not in fields[5].replace(r"\%", "")
    command = fields[5].replace(r"\%", "%")  # as cron does it
    assert subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout == f"{ODD}|x|"


def test_launchds_list_has_the_command(tmp_path: Path) -> None:
    content = plistlib.loads(launchd_list(job(tmp_path, "/bin/echo", ODD)).encode())
    assert content["ProgramArguments"] == ["/bin/echo", ODD]
    assert content["StartCalendarInterval"] == {"Hour": 4, "Minute": 5}
