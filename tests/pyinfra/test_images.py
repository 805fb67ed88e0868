"""Operations on images: parallel pulls, retries, stalls, and recovery after an interruption."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from hearth.docker.facts import EngineUnreachable
from hearth.docker.reachability import Reachability, ReachabilityState
from hearth.runtime.write_file import WRITE_FILE
from hearth.stack.image_facts import Images, ImagesState
from hearth.stack.image_operations import pull_images, pull_script, record_script
from tests.pyinfra.conftest import Result, Run
from tests.pyinfra.shell import HOSTILE, Sandbox, check_syntax

OLLAMA, HTTPD = "ollama/ollama:0.17.4", "httpd:2.4.68"
IDS = {OLLAMA: "sha256:1", HTTPD: "sha256:2"}
SILENT = EngineUnreachable(Images, "Cannot connect to the Docker daemon")
BOOT = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
OTHER_BOOT = "8c4ad8ae-0000-4000-8000-000000000000"


def pull(run: Run, state: Any) -> Result:
    facts = {Images: state, Reachability: ReachabilityState()}
    return run(pull_images, facts, references=(OLLAMA, HTTPD), timeout=60, stall=30, retries=2)


def script(*references: str, timeout: int = 60, stall: int = 30, retries: int = 2) -> str:
    return pull_script(references, timeout, stall, retries)


def test_present_images_are_not_pulled(run: Run) -> None:
    result = pull(run, ImagesState(IDS, IDS))
    assert result.commands == []
    assert result.noop


def test_only_missing_images_are_pulled(run: Run) -> None:
    assert pull(run, ImagesState({OLLAMA: "sha256:1"}, IDS)).scripts == [script(HTTPD)]


def test_image_with_a_moved_tag_is_pulled(run: Run) -> None:
    assert pull(run, ImagesState(IDS | {OLLAMA: "sha256:other"}, IDS)).scripts == [script(OLLAMA)]


def test_images_are_pulled_by_one_script(run: Run) -> None:
    assert pull(run, ImagesState()).scripts == [script(OLLAMA, HTTPD)]


def test_image_of_an_interrupted_pull_is_pulled_again(run: Run) -> None:
    assert pull(run, ImagesState(IDS, IDS, frozenset({HTTPD, "other:1"}))).scripts == [script(HTTPD)]


def test_unresponsive_engine_fails_the_pull_with_a_message(run: Run) -> None:
    result = pull(run, SILENT)
    assert len(result.commands) == 1
    assert "systemctl status docker" in result.refusals[0]


@pytest.mark.parametrize("reference", [HTTPD, HOSTILE])
def test_scripts_have_valid_syntax(reference: str) -> None:
    check_syntax(script(reference, OLLAMA))
    check_syntax(record_script(reference, '"$id"'))


# --- the script -----------------------------------------------------------------------------------

# An engine that has every image; ids are derived from names.
WELL = """case "$1 $2" in
"image inspect") eval echo 'sha256:${'$#'}';;
esac"""


@pytest.fixture(name="host")
def _host(tmp_path: Path) -> Sandbox:
    sandbox = Sandbox(tmp_path)
    sandbox.program("docker", WELL)
    sandbox.program("journalctl")
    sandbox.root.mkdir()
    return sandbox


def docker_calls(sandbox: Sandbox) -> list[str]:
    """Arguments of the calls of Docker."""
    return [call.removeprefix("docker ") for call in sandbox.calls if call.startswith("docker ")]


def recorded(sandbox: Sandbox) -> list[str]:
    return sorted((sandbox.root / "images.lock").read_text().splitlines())


def test_existing_image_is_recorded_and_not_pulled(run: Run, host: Sandbox) -> None:
    """For example loaded manually on a site without internet."""
    (command,) = pull(run, ImagesState(IDS, {OLLAMA: "sha256:1"})).commands
    done = host.run(command)
    assert done.returncode == 0, done.stderr
    assert host.calls == []
    for table in ("images.lock", "images.found"):  # the second protects it from an uninstall
        assert (host.root / table).read_text() == f"{HTTPD} sha256:2\n"


def test_new_pulls_are_added_to_the_record(host: Sandbox) -> None:
    (host.root / "images.lock").write_text(f"{HTTPD} sha256:old\nother:1 sha256:1\nmirror.example/{HTTPD} sha256:3\n")
    done = host.run(script(HTTPD, OLLAMA))
    assert done.returncode == 0, done.stderr
    assert recorded(host) == [
        f"{HTTPD} sha256:{HTTPD}",
        f"mirror.example/{HTTPD} sha256:3",
        f"{OLLAMA} sha256:{OLLAMA}",
        "other:1 sha256:1",
    ]
    assert [path.name for path in host.root.iterdir()] == ["images.lock"], "no mark is left"


@pytest.mark.parametrize("garbage", [b"", b"\0" * 100, b"\xff\xfe one two three\n"])
def test_record_damaged_by_a_power_failure_is_rewritten(host: Sandbox, garbage: bytes) -> None:
    (host.root / "images.lock").write_bytes(garbage)
    assert host.run(script(HTTPD)).returncode == 0
    assert (host.root / "images.lock").read_text() == f"{HTTPD} sha256:{HTTPD}\n"


def test_images_are_pulled_in_parallel_with_prefixed_output(host: Sandbox) -> None:
    """Each pull ends only after the other one has started."""
    meet = f"""case "$2" in
    {HTTPD}) other={OLLAMA};; *) other={HTTPD};;
    esac
    for _ in $(seq 100); do grep -q "pull $other" {host.directory}/calls && echo "Pull complete" && exit; /bin/sleep 0.1
    done; exit 1"""
    host.program("docker", f'{WELL}\n[ "$1" != pull ] || {{ {meet}\n}}')
    done = host.run(script(HTTPD, OLLAMA, retries=0))
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(done.stdout.splitlines()) == [f"{HTTPD}: Pull complete", f"{OLLAMA}: Pull complete"]


def test_failed_pull_is_retried_and_then_reported(host: Sandbox) -> None:
    host.program("docker", 'echo "500 Internal Server Error" >&2; exit 1')
    host.program("sleep")
    done = host.run(script(HTTPD))
    assert done.returncode == 1
    assert docker_calls(host) == [f"pull {HTTPD}"] * 3
    assert [line for line in done.stdout.splitlines() if "no progress" not in line] == [
        f"{HTTPD}: 500 Internal Server Error",
        f"{HTTPD}: retrying (1 of 2) …",
        f"{HTTPD}: 500 Internal Server Error",
        f"{HTTPD}: retrying (2 of 2) …",
        f"{HTTPD}: 500 Internal Server Error",
    ]
    assert f"Could not pull image {HTTPD}" in done.stderr
    assert "docker_registry_mirrors" in done.stderr
    assert list(host.root.iterdir()) == []


FULL = "write /var/lib/docker/tmp/GetImageBlob1: no space left on device"


@pytest.mark.parametrize(
    ("client", "journal"),
    [(f"echo '{FULL}'", ""), ("echo 'lookup registry-1.docker.io: no such host'", f"echo '{FULL}'")],
)
def test_full_disk_is_reported_also_with_a_mirror(host: Sandbox, client: str, journal: str) -> None:
    """There, the client's last error is about another registry; the engine's log has the reason."""
    host.program("docker", f'case "$1" in pull) {client}; exit 1;; esac\n{WELL}')
    host.program("journalctl", journal)
    done = host.run(script(HTTPD, retries=0))
    assert done.returncode != 0
    assert f"Could not pull image {HTTPD}: the host's disk is full" in done.stderr


def test_pull_fails_even_if_the_failure_mark_cannot_be_written(host: Sandbox) -> None:
    """A full disk may also prevent the mark."""
    host.program("mktemp", f"echo {host.directory}/nowhere")
    host.program("docker", "exit 1")
    done = host.run(script(HTTPD, retries=0))
    assert done.returncode != 0
    assert f"Could not pull image {HTTPD}" in done.stderr
    assert not (host.root / "images.lock").exists()


def test_failed_pull_keeps_the_other_image(host: Sandbox) -> None:
    host.program("docker", f'{WELL}\n[ "$*" != "pull {HTTPD}" ]')
    host.program("sleep")
    done = host.run(script(OLLAMA, HTTPD, retries=1))
    assert done.returncode == 1
    assert recorded(host) == [f"{OLLAMA} sha256:{OLLAMA}"]
    assert OLLAMA not in done.stderr
    host.program("docker", "exit 1")
    done = host.run(script(OLLAMA, HTTPD, retries=1))
    assert f"Could not pull image {OLLAMA}" in done.stderr
    assert f"Could not pull image {HTTPD}" in done.stderr


def test_pull_succeeds_after_the_registry_recovers(host: Sandbox) -> None:
    host.program("docker", f'{WELL}\n[ "$1" != pull ] || [ $(grep -c pull {host.directory}/calls) -gt 1 ]')
    host.program("sleep")
    assert host.run(script(HTTPD)).returncode == 0
    assert recorded(host) == [f"{HTTPD} sha256:{HTTPD}"]


SILENT_PULL = f'{WELL}\n[ "$1" != pull ] || exec /bin/sleep 60'
# The client reads whenever the engine reports progress.
SLOW_PULL = f'{WELL}\n[ "$1" != pull ] || for _ in 1 2 3 4 5 6; do read -r _ </etc/passwd; /bin/sleep 0.6; done'
QUICK_SLEEP = "exec /bin/sleep 0.2"


def test_stalled_pull_is_killed_and_retried(host: Sandbox) -> None:
    host.program("docker", SILENT_PULL)
    host.program("sleep", QUICK_SLEEP)
    done = host.run(script(HTTPD, stall=1, retries=1))
    assert done.returncode == 1
    assert docker_calls(host) == [f"pull {HTTPD}"] * 2
    assert done.stdout.count(f"{HTTPD}: no progress for 1 s (docker_pull_stall_timeout)") == 2


def test_pull_that_takes_too_long_is_killed(host: Sandbox) -> None:
    host.program("docker", SILENT_PULL)
    host.program("sleep", QUICK_SLEEP)
    done = host.run(script(HTTPD, timeout=1, stall=600, retries=0))
    assert done.returncode == 1
    assert f"{HTTPD}: timed out after 1 s (docker_pull_timeout)" in done.stdout


def test_slow_pull_is_left_alone(host: Sandbox) -> None:
    host.program("docker", SLOW_PULL)
    host.program("sleep", QUICK_SLEEP)
    done = host.run(script(HTTPD, stall=2, retries=0))
    assert done.returncode == 0, done.stdout
    assert "no progress" not in done.stdout


def test_hostile_image_reference_is_harmless(host: Sandbox) -> None:
    host.program("docker", 'case "$1 $2" in "image inspect") echo sha256:new;; esac')
    done = host.run(script(HOSTILE, retries=0))
    assert done.returncode == 0, done.stderr
    assert f"pull {HOSTILE}" in docker_calls(host)
    assert not host.pwned()


# --- interrupted pulls ----------------------------------------------------------------------------


def test_running_pull_is_marked(host: Sandbox) -> None:
    mark = host.root / ".pulling"
    host.program("docker", f'{WELL}\n[ "$1" != pull ] || cp {mark} {host.directory}/copy')
    assert host.run(script(HTTPD)).returncode == 0
    assert (host.directory / "copy").read_text() == f"{BOOT} {HTTPD}\n"
    assert not mark.exists()


def test_pull_interrupted_without_power_failure_is_resumed(host: Sandbox) -> None:
    (host.root / ".pulling").write_text(f"{BOOT} {HTTPD}\n")
    assert host.run(script(HTTPD)).returncode == 0
    assert f"rmi --force {HTTPD}" not in docker_calls(host)
    assert not (host.root / ".pulling").exists()


def test_image_is_pulled_again_if_the_host_went_down_during_its_pull(host: Sandbox) -> None:
    """The first pull completes the image, since only a complete one can be removed with its layers."""
    (host.root / ".pulling").write_text(f"{OTHER_BOOT} {HTTPD}\n{OTHER_BOOT} other:1\n")
    done = host.run(script(HTTPD))
    assert done.returncode == 0, done.stderr
    assert docker_calls(host)[:3] == [f"pull {HTTPD}", f"rmi --force {HTTPD}", f"pull {HTTPD}"]
    assert "the host went down" in done.stdout
    assert (host.root / ".pulling").read_text() == f"{OTHER_BOOT} other:1\n", "that one is still untrusted"


def test_image_that_cannot_be_removed_is_pulled_anyway(host: Sandbox) -> None:
    (host.root / ".pulling").write_text(f"{OTHER_BOOT} {HTTPD}\n")
    host.program("docker", f'{WELL}\n[ "$1" != rmi ]')
    assert host.run(script(HTTPD)).returncode == 0
    assert docker_calls(host)[2] == f"pull {HTTPD}"


def test_image_stays_untrusted_if_the_new_pull_fails(host: Sandbox) -> None:
    (host.root / ".pulling").write_text(f"{OTHER_BOOT} {HTTPD}\n")
    host.program("docker", "exit 1")
    assert host.run(script(HTTPD, retries=0)).returncode == 1
    assert (host.root / ".pulling").read_text() == f"{OTHER_BOOT} {HTTPD}\n"


def test_untrusted_images_are_removed_together_once_all_are_complete(host: Sandbox) -> None:
    """Observed in the lab: a shared layer without content survived, since one of the two images always existed."""
    (host.root / ".pulling").write_text(f"{OTHER_BOOT} {HTTPD}\n{OTHER_BOOT} {OLLAMA}\n{BOOT} other:1\n")
    assert host.run(script(OLLAMA, "other:1", HTTPD)).returncode == 0
    words = docker_calls(host)
    pulls = {f"pull {OLLAMA}", f"pull {HTTPD}"}
    assert set(words[:2]) == pulls
    assert words[2] == f"rmi --force {OLLAMA} {HTTPD}"
    assert set(words[3:6]) == {*pulls, "pull other:1"}


def test_incomplete_image_is_not_removed_while_others_are_replaced(host: Sandbox) -> None:
    (host.root / ".pulling").write_text(f"{OTHER_BOOT} {HTTPD}\n{OTHER_BOOT} {OLLAMA}\n")
    host.program("docker", f'{WELL}\n[ "$1 $2" != "pull {OLLAMA}" ]')
    assert host.run(script(OLLAMA, HTTPD, retries=0)).returncode == 1
    assert [words for words in docker_calls(host) if words.startswith("rmi")] == [f"rmi --force {HTTPD}"]
    assert docker_calls(host).count(f"pull {HTTPD}") == 2
    assert (host.root / ".pulling").read_text() == f"{OTHER_BOOT} {OLLAMA}\n"


def test_concurrent_writers_do_not_interfere(tmp_path: Path) -> None:
    """For example if the network fails during a run, and its script is still running when the next run starts."""
    writer = 'for i in 1 2 3 4 5 6 7 8; do echo "whole $i" | put "$1/lock"; done'
    words = ["sh", "-ec", f"{WRITE_FILE}\n{writer}", "sh", str(tmp_path / "hearth")]
    writers = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(6)]
    assert [writer.communicate(timeout=60)[1] for writer in writers] == [""] * 6
    assert [writer.returncode for writer in writers] == [0] * 6
    assert (tmp_path / "hearth/lock").read_text() == "whole 8\n"
    assert [path.name for path in (tmp_path / "hearth").iterdir()] == ["lock"]
