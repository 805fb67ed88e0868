"""The summary of a run, with the real pyinfra: on this machine, and on an unreachable host."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from hearth.cli.summary_text import image_version
from hearth.runtime.explain import EXPLAIN_LOG
from tests.pyinfra.program import run_python
from tests.support.shipped import PROJECT, shipped_settings

INVENTORY = """
here = [("@local", {"ollama_models": ["tinyllama"]})]
"""
UNREACHABLE = """
away = [("nobody", {"ssh_hostname": "127.0.0.1", "ssh_port": 1, "ssh_user": "pi"})]
"""
# Like deploy.py, with operations that change nothing.
DEPLOY = """
from pyinfra import host, state
from pyinfra.api import StringCommand, operation

from hearth.runtime.commands import refused_command, streamed_command
from hearth.cli.summary import mark_ready
from hearth.runtime.journal import record_versions
from hearth.cli.session import load_all_settings

settings = load_all_settings(state.inventory)[host.name]


@operation()
def runs(command):
    record_versions(sizes={"tinyllama:latest": "637 MB"}, docker="26.1.5")
    if command:
        yield StringCommand(command)
    else:
        host.noop("nothing to do")


@operation()
def streams(script):
    yield streamed_command(script)


@operation()
def refuses():
    yield refused_command("the engine does not respond")


"""


@pytest.fixture(name="checkout")
def _checkout(tmp_path: Path) -> Path:
    shutil.copy(PROJECT / "config.py", tmp_path)
    for name in ("hearth", "files", "group_data"):
        (tmp_path / name).symlink_to(PROJECT / name)
    (tmp_path / "inventory").mkdir()
    return tmp_path


def summary_lines(checkout: Path, deploy: str, *words: str, inventory: str = INVENTORY, code: int = 0) -> list[str]:
    """The lines after pyinfra's own output."""
    (checkout / "inventory" / "home.py").write_text(inventory)
    (checkout / "deploy.py").write_text(DEPLOY + deploy)
    environment = {name: value for name, value in os.environ.items() if name != EXPLAIN_LOG}
    pyinfra = ("-m", "pyinfra", "inventory/home.py", "deploy.py")
    done = run_python(checkout, *pyinfra, *words, environment=environment)
    assert done.returncode == code, done.stdout + done.stderr
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    after = next(at for at, line in enumerate(lines) if "Disconnecting from hosts" in line)
    return lines[after + 1 :]


END = "mark_ready({}, settings)\n"
SHIPPED = shipped_settings()
OLLAMA, HTTPD = image_version(SHIPPED.ollama_image), image_version(SHIPPED.proxy_image)
SERVES = [
    "--> @local:",
    "the chat page: http://localhost:85/",
    "models: tinyllama (637 MB)",
    f"versions: Ollama {OLLAMA}, httpd {HTTPD}, Docker 26.1.5",
]


def test_nothing_to_do(checkout: Path) -> None:
    *said, took = summary_lines(checkout, "runs(name='Look', command='')\n" + END, "-y")
    assert said == [*SERVES, "changed: nothing"]
    assert took.startswith("--> Done in ")


def test_change_and_dry_run(checkout: Path) -> None:
    deploy = "runs(name='Change', command='true')\nruns(name='Look', command='')\n" + END
    *said, took = summary_lines(checkout, deploy, "--dry")
    assert said == [*SERVES, "would be changed: Change"]
    assert took.startswith("--> Inspected in ")
    # A changed host is queried again; this one has no engine and no Ollama.
    assert summary_lines(checkout, deploy, "-y", "--serial")[:-1] == [*SERVES, "changed: Change"]
    assert summary_lines(checkout, deploy, "-y", "--no-wait")[:-1] == [*SERVES, "changed: Change"]


def test_failure_and_unreachable_host(checkout: Path) -> None:
    deploy = """runs(name='Change', command='true')
streams(name='Pull', script='echo progress; echo Could not pull x. >&2; exit 1')
runs(name='Never', command='true')
"""
    *said, _ = summary_lines(checkout, deploy + END, "-y", inventory=INVENTORY + UNREACHABLE, code=1)
    said = [line for line in said if "No hosts remaining" not in line]
    here, away = said.index("--> @local:"), said.index("--> nobody:")
    assert said[here + 1 : here + 4] == [
        "failed at “Pull”: Could not pull x.",
        "state: completed: Change",
        "next: fix the problem above and run the same command again; it resumes there",
    ]
    assert said[away + 1].startswith("could not connect, nothing was changed: Could not ")
    assert "does not accept ssh on port" in said[away + 1]


def test_unreachable_host_without_a_terminal(checkout: Path) -> None:
    """pyinfra prompts for confirmation to continue without the host, and nobody can answer."""
    said = summary_lines(checkout, END, "--dry", inventory=INVENTORY + UNREACHABLE, code=1)
    assert "nothing was changed: a host failed, see above, and there is no terminal to confirm" in said[0]
    assert not [line for line in said if "Traceback" in line or "EOFError" in line]


def test_confirmation_without_a_terminal(checkout: Path) -> None:
    said = summary_lines(checkout, "runs(name='Change', command='true')\n" + END, code=1)
    assert "there is no terminal to ask for confirmation. Add -y or --dry" in said[0]
    assert not [line for line in said if "Traceback" in line or "EOFError" in line]


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        ("refuses(name='Pull')", "the engine does not respond"),
        ("runs(name='Pull', command='echo disk full >&2; false')", "disk full"),
    ],
)
def test_every_kind_of_failure_shows_its_reason(checkout: Path, operation: str, reason: str) -> None:
    assert f"failed at “Pull”: {reason}" in summary_lines(checkout, f"{operation}\n{END}", "-y", code=1)


def test_a_refusal_before_anything_is_changed(checkout: Path) -> None:
    said = summary_lines(checkout, END, "-y", "--data", "proxy_port=0", code=1)
    assert any("proxy_port" in line for line in said)
    assert "nothing was changed. Fix the problem above, then run the same command again" in said


def test_drift_command_prints_no_summary(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / "inventory" / "home.py").write_text(INVENTORY)
    (checkout / "deploy.py").write_text(DEPLOY + END)
    monkeypatch.setenv(EXPLAIN_LOG, str(checkout / "report"))
    done = run_python(checkout, "-m", "pyinfra", "inventory/home.py", "deploy.py", "--dry", "--json")
    assert done.returncode == 0
    assert "Inspected in" not in done.stderr
