"""Uninstall: the commands, and their effect in real shells."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api.exceptions import FactPreconditionError

from hearth.docker.facts import EngineUnreachable
from hearth.footprint.facts import Footprint, FootprintState, Neighbour, Owned
from hearth.footprint.image import Image
from hearth.paths import BACK, BUNDLE_PACKAGES, FRONT, PROJECT, ROOT
from hearth.uninstall.operations import (
    files_script,
    release_script,
    remove_files,
    remove_stack,
    restore_engine_config,
    stack_script,
)
from hearth.uninstall.plan import Removal
from tests.pyinfra.conftest import Result, Run
from tests.pyinfra.shell import HOSTILE, Sandbox, check_syntax

FILES = frozenset({"compose.yaml", "htdocs/index.html"})
HTTPD = "httpd:2.4.68"
HOST = FootprintState(
    has_root=True,
    files=FILES | {"images.lock"},
    directories=frozenset({"htdocs"}),
    config='{"live-restore": true, "log-driver": "json-file"}',
    record='{"live-restore": true, "log-driver": "json-file"}',
    lock={HTTPD: "sha256:1"},
    has_docker=True,
    containers=(Neighbour("c1", "hearth-httpd", "sha256:1", PROJECT, ROOT, frozenset({BACK, FRONT})),),
    networks={BACK: Owned(PROJECT), FRONT: Owned(PROJECT)},
    volume=Owned(PROJECT, "/v"),
    images={HTTPD: Image(id="sha256:1", digests=())},
)
SILENT = EngineUnreachable(Footprint, "Cannot connect to the Docker daemon")


def run_all(run: Run, state: Any) -> list[Result]:
    where: dict[str, Any] = {"files": FILES, "models_dir": ""}
    return [
        run(remove_stack, {Footprint: state}, **where, delete_models=False),
        run(restore_engine_config, {Footprint: state}, **where),
        run(remove_files, {Footprint: state}, **where),
    ]


def test_each_part_has_an_operation(run: Run) -> None:
    stack, engine, files = run_all(run, HOST)
    assert "docker rm --force --volumes c1" in stack.scripts[0]
    assert "systemctl restart docker.service" in engine.scripts[0]
    assert "rm -f -- ./compose.yaml ./htdocs/index.html ./images.lock" in files.commands[0]
    assert f"rm -rf {BUNDLE_PACKAGES}" in files.commands[0], "of a deploy that was interrupted"


@pytest.mark.parametrize("state", [FootprintState(), FootprintState(has_docker=True, config='{"debug": true}')])
def test_a_host_without_hearth_is_left_alone(run: Run, state: FootprintState) -> None:
    for result in run_all(run, state):
        assert result.commands == []
        assert result.noop


def test_kept_parts_cause_no_further_changes(run: Run) -> None:
    """After an uninstall that kept a network, an image and a file of others."""
    guest = Neighbour("9", "grafana", "sha256:1", networks=frozenset({FRONT}))
    left = FootprintState(
        has_root=True,
        files=frozenset({"notes.txt"}),
        has_docker=True,
        containers=(guest,),
        networks={FRONT: Owned(PROJECT)},
        volume=Owned(PROJECT, "/v"),
    )
    assert [result.commands for result in run_all(run, left)] == [[], [], []]


@pytest.mark.parametrize("state", [SILENT, FootprintState(known=False), replace(HOST, config="{ broken")])
def test_unknown_state_is_refused(run: Run, state: Any) -> None:
    for result in run_all(run, state):
        assert len(result.commands) == len(result.refusals) == 1


def test_unresponsive_engine_message_names_the_fix(run: Run) -> None:
    assert isinstance(SILENT, FactPreconditionError)
    assert "start it, then uninstall again" in run_all(run, SILENT)[0].refusals[0]


EVERYTHING = Removal(
    containers=(("c1", "hearth-httpd"),),
    networks=(BACK, FRONT),
    images=(HTTPD, HOSTILE),
    volume=True,
    store=f"/mnt/{HOSTILE}",
    files=("compose.yaml", HOSTILE),
    directories=(HOSTILE, "htdocs"),
    root=True,
)


def test_scripts_have_valid_syntax() -> None:
    check_syntax(stack_script(EVERYTHING))
    check_syntax(files_script(EVERYTHING))
    check_syntax(release_script(HOST, {"debug": HOSTILE}))


def test_removal_order(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    sandbox.program("docker")
    done = sandbox.run(stack_script(replace(EVERYTHING, images=(HTTPD,), store="")))
    assert done.returncode == 0, done.stderr
    assert sandbox.calls == [
        "docker stop c1",
        "docker rm --force --volumes c1",
        f"docker network rm {BACK}",
        f"docker network rm {FRONT}",
        f"docker rmi {HTTPD}",
        "docker volume rm hearth-models",
    ]


def test_the_virtual_address_moves_before_httpd_stops(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    sandbox.program("docker")
    sandbox.program("systemctl")
    script = stack_script(replace(EVERYTHING, virtual_address=True, images=(), store=""))
    assert sandbox.run(script.replace("/etc/", f"{tmp_path}/etc/")).returncode == 0
    stopped = "systemctl disable --quiet --now hearth-virtual-address.service"
    assert sandbox.calls.index(stopped) < next(n for n, call in enumerate(sandbox.calls) if "docker stop" in call)


def test_failed_removal_fails_the_run(tmp_path: Path) -> None:
    """For example if an image turns out to be in use: nothing is forced."""
    sandbox = Sandbox(tmp_path)
    sandbox.program("docker", 'case "$1" in rmi) echo "conflict: unable to remove" >&2; exit 1;; esac')
    done = sandbox.run(stack_script(Removal(images=(HTTPD,), volume=True)))
    assert done.returncode != 0
    assert "conflict" in done.stderr


def test_models_in_a_directory_are_removed_and_the_directory_kept(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    store = tmp_path / "ssd"
    (store / "models" / "blobs").mkdir(parents=True)
    (store / "models" / "blobs" / "sha256-1").touch()
    (store / "id_ed25519").touch()
    (store / "photos.zip").touch()
    assert sandbox.run(stack_script(Removal(store=str(store)))).returncode == 0
    assert [path.name for path in store.iterdir()] == ["photos.zip"]


def test_only_named_files_are_removed(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    (sandbox.root / "htdocs").mkdir(parents=True)
    for name in ("compose.yaml", "htdocs/index.html", "notes.txt"):
        (sandbox.root / name).touch()
    removal = Removal(files=("compose.yaml", "htdocs/index.html", "gone.html"), directories=("htdocs",))
    assert sandbox.run(files_script(removal)).returncode == 0
    assert [path.name for path in sandbox.root.iterdir()] == ["notes.txt"]
    (sandbox.root / "notes.txt").unlink()
    assert sandbox.run(files_script(Removal(root=True))).returncode == 0
    assert not sandbox.root.exists()


def test_directory_with_a_new_file_is_kept(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    (sandbox.root / "htdocs").mkdir(parents=True)
    (sandbox.root / "htdocs" / "new.html").touch()
    assert sandbox.run(files_script(Removal(directories=("htdocs",), root=True))).returncode != 0
    assert (sandbox.root / "htdocs" / "new.html").exists()


# --- daemon.json ----------------------------------------------------------------------------------


def release(tmp_path: Path, state: FootprintState, final: dict[str, Any], restart: str = "") -> Sandbox:
    """Run the script with this test's files instead of the host's."""
    sandbox = Sandbox(tmp_path)
    sandbox.program("systemctl", f'cat "{tmp_path}/etc/daemon.json" > "{tmp_path}/restarted-with"\n{restart}')
    (tmp_path / "etc").mkdir(exist_ok=True)
    sandbox.root.mkdir(exist_ok=True)
    (tmp_path / "etc" / "daemon.json").write_text(state.config)
    (sandbox.root / "engine.json").write_text(state.record)
    script = release_script(state, final).replace("/etc/docker", f"{tmp_path}/etc")
    sandbox.run(script.replace("/run/hearth", f"{tmp_path}/hearth"))
    return sandbox


def test_other_containers_survive_the_restart(tmp_path: Path) -> None:
    state = replace(HOST, config='{"debug": true, "live-restore": true, "log-driver": "json-file"}')
    sandbox = release(tmp_path, state, {"debug": True})
    assert sandbox.calls == ["systemctl restart docker.service"]
    assert json.loads((tmp_path / "restarted-with").read_text()) == {"debug": True, "live-restore": True}
    assert json.loads((tmp_path / "etc" / "daemon.json").read_text()) == {"debug": True}
    assert not (sandbox.root / "engine.json").exists()


def test_daemon_json_with_only_hearths_part_is_removed(tmp_path: Path) -> None:
    release(tmp_path, HOST, {})
    assert not (tmp_path / "etc" / "daemon.json").exists()


def test_no_restart_if_only_that_key_is_left(tmp_path: Path) -> None:
    """A run that was interrupted after the restart."""
    state = replace(HOST, config='{"live-restore": true}', record='{"live-restore": true}')
    assert release(tmp_path, state, {}).calls == []
    assert not (tmp_path / "etc" / "daemon.json").exists()


def test_failed_restart_is_repeated_by_the_next_run(tmp_path: Path) -> None:
    sandbox = release(tmp_path, HOST, {}, restart="exit 1")
    assert (tmp_path / "hearth-engine-restart").exists()
    assert json.loads((tmp_path / "etc" / "daemon.json").read_text()) == {"live-restore": True}
    assert json.loads((sandbox.root / "engine.json").read_text()) == {"live-restore": True}
    again = replace(HOST, config='{"live-restore": true}', record='{"live-restore": true}', pending=True)
    assert release(tmp_path, again, {}).calls[-1] == "systemctl restart docker.service"
    assert not (tmp_path / "hearth-engine-restart").exists()


def test_no_restart_without_an_engine(tmp_path: Path) -> None:
    assert release(tmp_path, replace(HOST, has_docker=False), {}).calls == []
    assert not (tmp_path / "etc" / "daemon.json").exists()
