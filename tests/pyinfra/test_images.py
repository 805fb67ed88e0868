"""Operations on images: pulled, at the same time, again where that failed or stuck, anew where it was cut off."""

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


def test_images_that_are_there_are_not_pulled(run: Run) -> None:
    result = pull(run, ImagesState(IDS, IDS))
    assert result.commands == []
    assert result.noop


def test_only_what_is_missing_is_pulled(run: Run) -> None:
    assert pull(run, ImagesState({OLLAMA: "sha256:1"}, IDS)).scripts == [script(HTTPD)]


def test_an_image_whose_tag_was_moved_is_pulled(run: Run) -> None:
    assert pull(run, ImagesState(IDS | {OLLAMA: "sha256:other"}, IDS)).scripts == [script(OLLAMA)]


def test_images_are_pulled_by_one_script(run: Run) -> None:
    assert pull(run, ImagesState()).scripts == [script(OLLAMA, HTTPD)]


def test_an_image_whose_pull_was_cut_off_is_pulled_although_it_is_there(run: Run) -> None:
    assert pull(run, ImagesState(IDS, IDS, frozenset({HTTPD, "other:1"}))).scripts == [script(HTTPD)]


def test_a_silent_engine_fails_the_pull_with_a_sentence(run: Run) -> None:
    result = pull(run, SILENT)
    assert len(result.commands) == 1
    assert "systemctl status docker" in result.refusals[0]


@pytest.mark.parametrize("reference", [HTTPD, HOSTILE])
def test_the_scripts_are_good_shell(reference: str) -> None:
    check_syntax(script(reference, OLLAMA))
    check_syntax(record_script(reference, '"$id"'))


# --- the script -----------------------------------------------------------------------------------

# An engine that has every image it is asked for: its id is made from its name.
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


def asked(sandbox: Sandbox) -> list[str]:
    """What was asked of Docker."""
    return [call.removeprefix("docker ") for call in sandbox.calls if call.startswith("docker ")]


def recorded(sandbox: Sandbox) -> list[str]:
    return sorted((sandbox.root / "images.lock").read_text().splitlines())


def test_an_image_that_was_there_before_is_written_down_and_not_pulled(run: Run, host: Sandbox) -> None:
    """Loaded by hand on a site without internet, say."""
    (command,) = pull(run, ImagesState(IDS, {OLLAMA: "sha256:1"})).commands
    done = host.run(command)
    assert done.returncode == 0, done.stderr
    assert host.calls == []
    for table in ("images.lock", "images.found"):  # the second keeps it from being removed by an uninstall
        assert (host.root / table).read_text() == f"{HTTPD} sha256:2\n"


def test_pulls_are_recorded_beside_the_others(host: Sandbox) -> None:
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
def test_a_record_that_a_power_cut_left_broken_is_made_anew(host: Sandbox, garbage: bytes) -> None:
    (host.root / "images.lock").write_bytes(garbage)
    assert host.run(script(HTTPD)).returncode == 0
    assert (host.root / "images.lock").read_text() == f"{HTTPD} sha256:{HTTPD}\n"


def test_images_are_pulled_at_the_same_time_and_say_who_speaks(host: Sandbox) -> None:
    """Each pull ends only when the other one has begun."""
    meet = f"""case "$2" in
    {HTTPD}) other={OLLAMA};; *) other={HTTPD};;
    esac
    for _ in $(seq 100); do grep -q "pull $other" {host.directory}/calls && echo "Pull complete" && exit; /bin/sleep 0.1
    done; exit 1"""
    host.program("docker", f'{WELL}\n[ "$1" != pull ] || {{ {meet}\n}}')
    done = host.run(script(HTTPD, OLLAMA, retries=0))
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(done.stdout.splitlines()) == [f"{HTTPD}: Pull complete", f"{OLLAMA}: Pull complete"]


def test_a_pull_is_tried_again_and_then_given_up_with_its_name(host: Sandbox) -> None:
    host.program("docker", 'echo "500 Internal Server Error" >&2; exit 1')
    host.program("sleep")
    done = host.run(script(HTTPD))
    assert done.returncode == 1
    assert asked(host) == [f"pull {HTTPD}"] * 3
    assert [line for line in done.stdout.splitlines() if "no progress" not in line] == [
        f"{HTTPD}: 500 Internal Server Error",
        f"{HTTPD}: trying again (1 of 2) …",
        f"{HTTPD}: 500 Internal Server Error",
        f"{HTTPD}: trying again (2 of 2) …",
        f"{HTTPD}: 500 Internal Server Error",
    ]
    assert f"Image {HTTPD} could not be pulled" in done.stderr
    assert "docker_registry_mirrors" in done.stderr
    assert list(host.root.iterdir()) == []


FULL = "write /var/lib/docker/tmp/GetImageBlob1: no space left on device"


@pytest.mark.parametrize(
    ("client", "journal"),
    [(f"echo '{FULL}'", ""), ("echo 'lookup registry-1.docker.io: no such host'", f"echo '{FULL}'")],
)
def test_a_disk_that_ran_full_is_named_also_behind_a_mirror(host: Sandbox, client: str, journal: str) -> None:
    """There, the client's last words are about another registry; the engine's log has the reason."""
    host.program("docker", f'case "$1" in pull) {client}; exit 1;; esac\n{WELL}')
    host.program("journalctl", journal)
    done = host.run(script(HTTPD, retries=0))
    assert done.returncode != 0
    assert f"Image {HTTPD} could not be pulled: the host's disk ran full meanwhile" in done.stderr


def test_a_pull_fails_also_where_its_failure_could_not_be_noted(host: Sandbox) -> None:
    """On a full disk there may be no room for the mark, either."""
    host.program("mktemp", f"echo {host.directory}/nowhere")
    host.program("docker", "exit 1")
    done = host.run(script(HTTPD, retries=0))
    assert done.returncode != 0
    assert f"Image {HTTPD} could not be pulled" in done.stderr
    assert not (host.root / "images.lock").exists()


def test_one_that_fails_keeps_the_other_and_both_are_named(host: Sandbox) -> None:
    host.program("docker", f'{WELL}\n[ "$*" != "pull {HTTPD}" ]')
    host.program("sleep")
    done = host.run(script(OLLAMA, HTTPD, retries=1))
    assert done.returncode == 1
    assert recorded(host) == [f"{OLLAMA} sha256:{OLLAMA}"]
    assert OLLAMA not in done.stderr
    host.program("docker", "exit 1")
    done = host.run(script(OLLAMA, HTTPD, retries=1))
    assert f"Image {OLLAMA} could not" in done.stderr
    assert f"Image {HTTPD} could not" in done.stderr


def test_a_registry_that_recovers_is_enough(host: Sandbox) -> None:
    host.program("docker", f'{WELL}\n[ "$1" != pull ] || [ $(grep -c pull {host.directory}/calls) -gt 1 ]')
    host.program("sleep")
    assert host.run(script(HTTPD)).returncode == 0
    assert recorded(host) == [f"{HTTPD} sha256:{HTTPD}"]


SILENT_PULL = f'{WELL}\n[ "$1" != pull ] || exec /bin/sleep 60'
# The client reads when the engine tells it how far it is.
SLOW_PULL = f'{WELL}\n[ "$1" != pull ] || for _ in 1 2 3 4 5 6; do read -r _ </etc/passwd; /bin/sleep 0.6; done'
QUICK_SLEEP = "exec /bin/sleep 0.2"


def test_a_pull_without_progress_is_ended_and_tried_again(host: Sandbox) -> None:
    host.program("docker", SILENT_PULL)
    host.program("sleep", QUICK_SLEEP)
    done = host.run(script(HTTPD, stall=1, retries=1))
    assert done.returncode == 1
    assert asked(host) == [f"pull {HTTPD}"] * 2
    assert done.stdout.count(f"{HTTPD}: no progress for 1 s (docker_pull_stall_timeout)") == 2


def test_a_pull_that_takes_too_long_is_ended(host: Sandbox) -> None:
    host.program("docker", SILENT_PULL)
    host.program("sleep", QUICK_SLEEP)
    done = host.run(script(HTTPD, timeout=1, stall=600, retries=0))
    assert done.returncode == 1
    assert f"{HTTPD}: not there after 1 s (docker_pull_timeout)" in done.stdout


def test_a_pull_that_gets_on_slowly_is_left_alone(host: Sandbox) -> None:
    host.program("docker", SLOW_PULL)
    host.program("sleep", QUICK_SLEEP)
    done = host.run(script(HTTPD, stall=2, retries=0))
    assert done.returncode == 0, done.stdout
    assert "no progress" not in done.stdout


def test_a_hostile_reference_is_only_a_reference(host: Sandbox) -> None:
    host.program("docker", 'case "$1 $2" in "image inspect") echo sha256:new;; esac')
    done = host.run(script(HOSTILE, retries=0))
    assert done.returncode == 0, done.stderr
    assert f"pull {HOSTILE}" in asked(host)
    assert not host.pwned()


# --- pulls that were cut off ----------------------------------------------------------------------


def test_a_pull_is_marked_while_it_lasts(host: Sandbox) -> None:
    mark = host.root / ".pulling"
    host.program("docker", f'{WELL}\n[ "$1" != pull ] || cp {mark} {host.directory}/seen')
    assert host.run(script(HTTPD)).returncode == 0
    assert (host.directory / "seen").read_text() == f"{BOOT} {HTTPD}\n"
    assert not mark.exists()


def test_a_pull_that_was_cut_off_without_a_power_cut_is_simply_taken_up(host: Sandbox) -> None:
    (host.root / ".pulling").write_text(f"{BOOT} {HTTPD}\n")
    assert host.run(script(HTTPD)).returncode == 0
    assert f"rmi --force {HTTPD}" not in asked(host)
    assert not (host.root / ".pulling").exists()


def test_what_was_being_pulled_when_the_host_went_down_is_fetched_anew(host: Sandbox) -> None:
    """The first pull completes the image, since only a complete one can be removed with its layers."""
    (host.root / ".pulling").write_text(f"{OTHER_BOOT} {HTTPD}\n{OTHER_BOOT} other:1\n")
    done = host.run(script(HTTPD))
    assert done.returncode == 0, done.stderr
    assert asked(host)[:3] == [f"pull {HTTPD}", f"rmi --force {HTTPD}", f"pull {HTTPD}"]
    assert "the host went down" in done.stdout
    assert (host.root / ".pulling").read_text() == f"{OTHER_BOOT} other:1\n", "that one is still not to be trusted"


def test_an_image_that_cannot_be_removed_is_pulled_all_the_same(host: Sandbox) -> None:
    (host.root / ".pulling").write_text(f"{OTHER_BOOT} {HTTPD}\n")
    host.program("docker", f'{WELL}\n[ "$1" != rmi ]')
    assert host.run(script(HTTPD)).returncode == 0
    assert asked(host)[2] == f"pull {HTTPD}"


def test_an_image_that_could_not_be_fetched_anew_stays_suspect(host: Sandbox) -> None:
    (host.root / ".pulling").write_text(f"{OTHER_BOOT} {HTTPD}\n")
    host.program("docker", "exit 1")
    assert host.run(script(HTTPD, retries=0)).returncode == 1
    assert (host.root / ".pulling").read_text() == f"{OTHER_BOOT} {HTTPD}\n"


def test_images_that_may_share_layers_are_removed_together_once_all_are_complete(host: Sandbox) -> None:
    """Seen in the lab: a layer that both had stayed, without its content, since one of the two was always there."""
    (host.root / ".pulling").write_text(f"{OTHER_BOOT} {HTTPD}\n{OTHER_BOOT} {OLLAMA}\n{BOOT} other:1\n")
    assert host.run(script(OLLAMA, "other:1", HTTPD)).returncode == 0
    words = asked(host)
    pulls = {f"pull {OLLAMA}", f"pull {HTTPD}"}
    assert set(words[:2]) == pulls
    assert words[2] == f"rmi --force {OLLAMA} {HTTPD}"
    assert set(words[3:6]) == {*pulls, "pull other:1"}


def test_what_could_not_be_completed_is_not_removed_and_the_others_are_fetched_anew(host: Sandbox) -> None:
    (host.root / ".pulling").write_text(f"{OTHER_BOOT} {HTTPD}\n{OTHER_BOOT} {OLLAMA}\n")
    host.program("docker", f'{WELL}\n[ "$1 $2" != "pull {OLLAMA}" ]')
    assert host.run(script(OLLAMA, HTTPD, retries=0)).returncode == 1
    assert [words for words in asked(host) if words.startswith("rmi")] == [f"rmi --force {HTTPD}"]
    assert asked(host).count(f"pull {HTTPD}") == 2
    assert (host.root / ".pulling").read_text() == f"{OTHER_BOOT} {OLLAMA}\n"


def test_two_scripts_that_write_at_once_do_not_take_each_others_file(tmp_path: Path) -> None:
    """As when the network went away during a run, and its script is not at its end when the next run begins."""
    writer = 'for i in 1 2 3 4 5 6 7 8; do echo "whole $i" | put "$1/lock"; done'
    words = ["sh", "-ec", f"{WRITE_FILE}\n{writer}", "sh", str(tmp_path / "hearth")]
    writers = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(6)]
    assert [writer.communicate(timeout=60)[1] for writer in writers] == [""] * 6
    assert [writer.returncode for writer in writers] == [0] * 6
    assert (tmp_path / "hearth/lock").read_text() == "whole 8\n"
    assert [path.name for path in (tmp_path / "hearth").iterdir()] == ["lock"]
