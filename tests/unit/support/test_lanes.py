"""`make test` in lanes, with real processes: output, failures, and signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

from tests.support.shipped import PROJECT

# Waits until the file exists.
WAIT = "import sys, time\nfrom pathlib import Path\nwhile not Path(sys.argv[1]).exists(): time.sleep(0.02)\n"
# Says when it is ready, and how it ended.
SERVER = """
import pathlib, sys, time
where = pathlib.Path(sys.argv[1])
try:
    where.with_suffix(".ready").touch()
    time.sleep(300)
finally:
    where.with_suffix(".ended").touch()
"""


def program(directory: Path, lanes: str) -> subprocess.Popen[str]:
    """A process with lanes: stages call `python(code, argument)`; `here` is the directory."""
    code = f"""
import sys
from pathlib import Path
from tests import lanes, run
here = Path({str(directory)!r})
WAIT, SERVER = {WAIT!r}, {SERVER!r}
def python(code, argument=""):
    run.run("python", "-c", code, str(here / argument))
run.RUNS["test"] = ({textwrap.dedent(lanes)})
lanes.HEARTBEAT_SECONDS = 0.2
run.main("test")
"""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} was not created"
        time.sleep(0.02)


def test_lanes_run_at_the_same_time_and_their_output_does_not_mix(tmp_path: Path) -> None:
    # Each lane waits for what the other one does.
    lanes = """
        [("first", lambda: python(WAIT + "print('one'); Path(sys.argv[1] + '2').touch(); print('two')", "a"))],
        [("second", lambda: python("import pathlib, sys; print('three'); pathlib.Path(sys.argv[1]).touch()", "a")),
         ("third", lambda: python(WAIT + "print('four')", "a2"))],
    """
    output, _ = program(tmp_path, lanes.strip()).communicate(timeout=60)
    assert "one\ntwo\n" in output
    shown = [line.split(":")[0] for line in output.splitlines() if line.startswith("===")]
    assert sorted(shown) == ["=== first", "=== second", "=== third"]
    assert output.index("three") < output.index("four")
    assert "in total" in output


def test_a_failure_ends_the_other_lanes_and_is_shown_last(tmp_path: Path) -> None:
    lanes = """
        [("server", lambda: python(SERVER, "server")), ("never", lambda: python("print('never')"))],
        [("fails", lambda: python(WAIT + "sys.exit('what went wrong')", "server.ready"))],
    """
    process = program(tmp_path, lanes.strip())
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert (tmp_path / "server.ended").exists()  # interrupted, not killed
    assert "Ending what still runs: server" in output
    assert output.index("Ending") < output.index("=== fails: ") < output.index("Failed (1): python -c")
    assert "\nwhat went wrong\n" in output
    assert "never" not in output


def test_what_runs_is_shown_with_its_last_line(tmp_path: Path) -> None:
    lanes = """
        [("slow", lambda: python("print('half of it', flush=True)\\n" + WAIT, "go"))],
        [("quick", lambda: python("pass"))],
    """
    process = program(tmp_path, lanes.strip())
    assert process.stdout
    for line in process.stdout:
        if line.rstrip().endswith("s  slow: half of it"):
            break
    (tmp_path / "go").touch()
    process.communicate(timeout=60)
    assert process.returncode == 0


def end_by(tmp_path: Path, number: signal.Signals, to_all: bool) -> int:
    """Start two servers, send a signal when both are ready, and return the exit code."""
    lanes = """
        [("one", lambda: python(SERVER, "one"))],
        [("two", lambda: python(SERVER, "two"))],
    """
    process = program(tmp_path, lanes.strip())
    for name in ("one", "two"):
        wait_for(tmp_path / f"{name}.ready")
    (os.killpg if to_all else os.kill)(process.pid, number)
    output, _ = process.communicate(timeout=60)
    for name in ("one", "two"):
        assert (tmp_path / f"{name}.ended").exists(), output
    assert "in total" in output
    return process.returncode


def test_ctrl_c_ends_everything(tmp_path: Path) -> None:
    assert end_by(tmp_path, signal.SIGINT, to_all=True) in (1, -signal.SIGINT)


def test_a_termination_ends_everything(tmp_path: Path) -> None:
    assert end_by(tmp_path, signal.SIGTERM, to_all=False) == 128 + signal.SIGTERM
