"""Operations on files and containers."""

from __future__ import annotations

import hashlib
import io
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hearth.docker.compose_up import IN_FLIGHT
from hearth.docker.facts import EngineUnreachable
from hearth.paths import CHECKOUT, SERVICE_NETWORKS
from hearth.render.stack_files import render_tree
from hearth.runtime.tar import pack_files
from hearth.settings.model import Settings
from hearth.stack.container_facts import Project, ProjectState
from hearth.stack.container_operations import compose_up, converge_script
from hearth.stack.containers import Container, Drift
from hearth.stack.file_facts import Tree, TreeState
from hearth.stack.file_operations import swap_script, sync_files
from hearth.stack.image_facts import Images
from tests.pyinfra.conftest import Result, Run
from tests.pyinfra.shell import HOSTILE, Sandbox, check_syntax
from tests.support.shipped import shipped_settings

OLLAMA, HTTPD = "ollama/ollama:0.17.4", "httpd:2.4.68"
IDS = {OLLAMA: "sha256:1", HTTPD: "sha256:2"}
SILENT = EngineUnreachable(Images, "Cannot connect to the Docker daemon")


# --- files ----------------------------------------------------------------------------------------

FILES = {"compose.yaml": b"name: hearth\n", "httpd/httpd.conf": b"Listen 80\n", "htdocs/chat.js": b"1"}
DIGESTS = {path: hashlib.sha256(content).hexdigest() for path, content in FILES.items()}


def sync(run: Run, settings: Settings, present: dict[str, str]) -> Result:
    return run(sync_files, {Tree: TreeState(present)}, files=FILES, settings=settings)


def test_files_in_sync_are_not_uploaded(run: Run, settings: Settings) -> None:
    result = sync(run, settings, DIGESTS)
    assert result.commands == []
    assert result.noop


def test_only_differing_files_are_uploaded(run: Run, settings: Settings) -> None:
    directory, upload, script = sync(run, settings, DIGESTS | {"htdocs/chat.js": "other"}).commands
    assert directory == "install -d -m 0755 /opt/hearth"
    assert upload[0] == "upload"
    with tarfile.open(fileobj=io.BytesIO(upload[1].encode())) as archive:
        assert archive.getnames() == ["htdocs/chat.js"]
    assert script == swap_script(["htdocs/chat.js"], upload[2], HTTPD)
    assert "docker" not in script, "pages need no validation"


@pytest.mark.parametrize(
    ("path", "validation"),
    [("compose.yaml", "docker compose -f /opt/hearth/.incoming/compose.yaml config"), ("httpd/httpd.conf", "httpd -t")],
)
def test_configurations_are_validated_before_they_go_live(path: str, validation: str) -> None:
    script = swap_script([path], "/opt/hearth/.incoming.tar", HTTPD)
    assert script.index(validation) < script.index("mv -f")


def test_new_image_is_validated_with_the_existing_configuration() -> None:
    script = swap_script(["compose.yaml"], "/u.tar", HTTPD)
    assert f"src=/opt/hearth/httpd,dst=/usr/local/apache2/conf/hearth,readonly {HTTPD} httpd -t" in script
    assert script.index("httpd -t") < script.index("mv -f")
    assert "touch" not in script, "httpd is recreated; no reload needed"


def test_reload_is_marked_between_validation_and_change() -> None:
    script = swap_script(["httpd/httpd.conf"], "/u.tar", HTTPD)
    assert script.index("httpd -t") < script.index("touch /opt/hearth/.reload-httpd") < script.index("mv -f")


def test_a_backend_needs_no_httpd_to_validate_its_files(run: Run) -> None:
    """It has neither its image nor /opt/hearth/httpd."""
    backend = shipped_settings(host_role="backend")
    script = run(sync_files, {Tree: TreeState({})}, files=render_tree(backend), settings=backend).commands[-1]
    assert "compose.yaml config --quiet" in script
    assert "httpd -t" not in script


def test_archive_depends_only_on_its_files() -> None:
    assert pack_files(FILES) == pack_files(dict(reversed(FILES.items())))
    with tarfile.open(fileobj=io.BytesIO(pack_files(FILES))) as archive:
        assert {member.name: archive.extractfile(member).read() for member in archive} == FILES  # type: ignore[union-attr]
        assert {(member.mode, member.uid, member.uname) for member in archive} == {(0o644, 0, "root")}


@pytest.mark.parametrize("paths", [sorted(FILES), ["a.html"], [HOSTILE, f"d/{HOSTILE}"]])
def test_swap_script_has_valid_syntax(paths: list[str]) -> None:
    check_syntax(swap_script(paths, "/u.tar", HOSTILE))


# `docker wait` prints the exit code of httpd's check.
VALID = '[ "$1" != wait ] || echo 0'


@pytest.fixture(name="live")
def _live(tmp_path: Path) -> Sandbox:
    """A host with old files, and a docker for which everything is valid."""
    sandbox = Sandbox(tmp_path)
    sandbox.program("docker", VALID)
    for path in FILES:
        (sandbox.root / path).parent.mkdir(parents=True, exist_ok=True)
        (sandbox.root / path).write_text("old")
    (sandbox.root / ".incoming.tar").write_bytes(pack_files(FILES))
    return sandbox


SWAP = swap_script(sorted(FILES), "/opt/hearth/.incoming.tar", HTTPD)


def contents(sandbox: Sandbox) -> dict[str, bytes]:
    return {path: (sandbox.root / path).read_bytes() for path in FILES}


def test_files_go_live_and_nothing_is_left_over(live: Sandbox) -> None:
    done = live.run(SWAP)
    assert done.returncode == 0, done.stderr
    assert contents(live) == FILES
    assert sorted(path.name for path in live.root.iterdir()) == [".reload-httpd", "compose.yaml", "htdocs", "httpd"]
    assert {(live.root / path).stat().st_mode & 0o777 for path in FILES} == {0o644}


@pytest.mark.parametrize(
    "docker",
    [
        f'{VALID}; [ "$1" != compose ]',
        f'{VALID}; [ "$1" != create ]',
        f'{VALID}; [ "$1" != start ]',
        VALID.replace("echo 0", "echo 1"),
    ],
    ids=["compose.yaml", "no container", "not an httpd", "httpd.conf"],
)
def test_nothing_goes_live_if_a_validation_fails(live: Sandbox, docker: str) -> None:
    live.program("docker", docker)
    assert live.run(SWAP).returncode != 0
    assert set(contents(live).values()) == {b"old"}
    assert not (live.root / ".reload-httpd").exists()


def test_nothing_goes_live_from_an_incomplete_upload(live: Sandbox) -> None:
    """For example on a full disk: tar leaves the last file truncated."""
    files = {"htdocs/chat.js": b"x" * 4096}
    (live.root / ".incoming.tar").write_bytes(pack_files(files)[:1024])
    assert live.run(swap_script(sorted(files), "/opt/hearth/.incoming.tar", HTTPD)).returncode != 0
    assert (live.root / "htdocs/chat.js").read_bytes() == b"old"


def test_hostile_file_names_are_harmless(live: Sandbox) -> None:
    files = {"htdocs/x'; touch pwned; $(touch pwned).html": b"1"}
    (live.root / ".incoming.tar").write_bytes(pack_files(files))
    assert live.run(swap_script(sorted(files), "/opt/hearth/.incoming.tar", HOSTILE)).returncode == 0
    assert not live.pwned()


# --- containers -----------------------------------------------------------------------------------


def container(name: str, service: str, config: str, image: str, **changes: str) -> Container:
    state = {"status": "running", "health": "healthy"} | changes
    networks = SERVICE_NETWORKS.get(service, frozenset())
    return Container(name, service, config, state["status"], state["health"], image, networks)


HASHES = {"ollama": "a1", "httpd": "b2"}
FAILURE = "docker compose logs >&2"
RUNNING = (
    container("hearth-ollama", "ollama", "a1", "sha256:1"),
    container("hearth-httpd", "httpd", "b2", "sha256:2"),
)


def up(run: Run, state: ProjectState) -> Result:
    facts = {Project: replace(state, images=IDS)}
    return run(compose_up, facts, images={"ollama": OLLAMA, "httpd": HTTPD}, timeout=60, on_failure=FAILURE)


def test_healthy_containers_are_left_alone(run: Run) -> None:
    result = up(run, ProjectState(HASHES, RUNNING))
    assert result.commands == []
    assert result.noop


def test_pending_reload_changes_no_container(run: Run) -> None:
    (script,) = up(run, ProjectState(HASHES, RUNNING, reload_pending=True)).scripts
    assert "up --" not in script
    assert "docker exec hearth-httpd httpd -f conf/hearth/httpd.conf -k graceful" in script


@pytest.mark.parametrize(
    "state",
    [
        ProjectState(),
        ProjectState(HASHES, ()),
        ProjectState(HASHES, RUNNING[:1]),
        ProjectState(HASHES | {"httpd": "new"}, RUNNING),
        ProjectState(HASHES, (RUNNING[0], container("hearth-httpd", "httpd", "b2", "sha256:2", status="exited"))),
        ProjectState(HASHES, (RUNNING[0], container("hearth-httpd", "httpd", "b2", "sha256:old"))),
    ],
)
def test_drift_that_compose_detects_needs_only_one_up(run: Run, state: ProjectState) -> None:
    (script,) = up(run, state).scripts
    assert "if ! { bring_up 60 --remove-orphans hearth-ollama hearth-httpd; }; then" in script
    assert "force-recreate" not in script
    assert "docker rm" not in script


def test_drift_that_compose_ignores_is_recreated_first(run: Run) -> None:
    sick = container("hearth-httpd", "httpd", "b2", "sha256:2", health="unhealthy")
    (script,) = up(run, ProjectState(HASHES, (RUNNING[0], sick))).scripts
    assert script.index("--force-recreate httpd") < script.index("bring_up 60 --remove-orphans")


UNREAD = ("/opt/hearth/secrets/outbound/pending", "/opt/hearth/secrets/outbound/ca.pending")


@pytest.mark.parametrize("succeeds", [True, False])
def test_changed_files_count_as_read_once_the_containers_run(run: Run, tmp_path: Path, succeeds: bool) -> None:
    """Of the HTTP proxy and additional CAs. The mark of a run that failed makes the next one recreate them again."""
    ollama = replace(RUNNING[0], mounts=frozenset({"/hearth-proxy"}))
    state = ProjectState(HASHES, (ollama, RUNNING[1]), unread=frozenset({"/hearth-proxy"}))
    result = up(run, state)
    assert result.said == ["hearth-ollama has not read the current host_http_proxy; recreating it"]
    (script,) = result.scripts
    assert "--force-recreate ollama" in script
    assert "--force-recreate httpd" not in script
    sandbox = Sandbox(tmp_path)
    marks = [sandbox.root / path.removeprefix("/opt/hearth/") for path in UNREAD]
    for mark in marks:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    sandbox.program("docker", "" if succeeds else 'case "$*" in *"up --detach"*) exit 1;; esac')
    assert (sandbox.run(script).returncode == 0) is succeeds
    assert [mark.exists() for mark in marks] == [not succeeds] * 2


def test_foreign_container_is_removed_first(run: Run) -> None:
    foreign = container("hearth-ollama", "", "", "sha256:1")
    (script,) = up(run, ProjectState(HASHES, (foreign, RUNNING[1]))).scripts
    assert script.index("docker rm --force hearth-ollama") < script.index("if ! {")


def test_unresponsive_engine_is_an_error(run: Run) -> None:
    result = run(
        compose_up, {Project: SILENT}, images={"ollama": OLLAMA, "httpd": HTTPD}, timeout=60, on_failure=FAILURE
    )
    assert len(result.commands) == 1
    assert "does not respond" in result.refusals[0]


DRIFT = [
    Drift("hearth-ollama", "was not created by this Compose project", "remove"),
    Drift("hearth-httpd", "is unhealthy", "recreate"),
    Drift("hearth-httpd", "is on the networks []", "recreate"),
]


@pytest.mark.parametrize("drift", [None, [], DRIFT, [Drift(HOSTILE, "", "remove")]])
def test_converge_script_has_valid_syntax(drift: list[Drift] | None) -> None:
    check_syntax(converge_script(drift, 60, FAILURE))


def test_all_remedies_in_order(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    sandbox.root.mkdir()
    sandbox.program("docker")
    assert sandbox.run(converge_script(DRIFT, 60, FAILURE)).returncode == 0
    compose = "docker compose --progress plain --ansi never"
    assert [call for call in sandbox.calls if not call.startswith("docker inspect")] == [
        "docker rm --force hearth-ollama",
        f"{compose} up --detach --wait --wait-timeout 60 --pull never --no-deps ollama",
        f"{compose} up --no-start --no-deps --force-recreate httpd",
        f"{compose} up --detach --wait --wait-timeout 60 --pull never --remove-orphans",
    ]


def test_containers_that_stay_unhealthy_fail_the_run_and_trigger_on_failure(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    sandbox.root.mkdir()
    sandbox.program("docker", 'case "$*" in *"up --detach"*) exit 1;; *logs*) echo "address in use";; esac')
    done = sandbox.run(converge_script([], 60, FAILURE))
    assert done.returncode == 1
    assert "did not become healthy" in done.stderr
    assert "address in use" in done.stderr


@pytest.mark.parametrize("httpd", ["b2", "new"])
def test_ollama_is_replaced_alone(run: Run, httpd: str) -> None:
    """The page stays up meanwhile. On a host that has neither, one call starts both."""
    (script,) = up(run, ProjectState({"ollama": "new", "httpd": httpd}, RUNNING)).scripts
    assert " bring_up 60 '--no-deps ollama' hearth-ollama && bring_up 60 --remove-orphans hearth-ollama" in script
    (script,) = up(run, ProjectState(HASHES, ())).scripts
    assert "--no-deps ollama" not in script


@pytest.mark.parametrize(
    ("marks", "refuses", "first"),
    [(True, True, "httpd"), (True, False, "ollama"), (False, True, "ollama")],
)
def test_an_httpd_that_could_not_leave_this_ollama_out_is_replaced_first(
    tmp_path: Path, marks: bool, refuses: bool, first: str
) -> None:
    """The new one reads the marks when it starts."""
    sandbox = Sandbox(tmp_path)
    (sandbox.root / "httpd").mkdir(parents=True)
    if marks:
        (sandbox.root / "httpd/drained.conf").write_text("Define DRAIN_pi +N\n")
    sandbox.program("docker", f'case "$*" in *"httpd -t"*) exit {int(refuses)};; esac')
    drift = [Drift("hearth-ollama", "has changed", "up"), Drift("hearth-httpd", "has changed", "up")]
    assert sandbox.run(converge_script(drift, 60, FAILURE)).returncode == 0
    ups = [call.rpartition(" --pull never ")[2] for call in sandbox.calls if " up --detach" in call]
    assert ups == [*(["--no-deps httpd"] if first == "httpd" else []), "--no-deps ollama", "--remove-orphans"]


@pytest.mark.parametrize(
    ("there", "state", "listed", "waits"),
    [
        ("020012AC:2CAA", "01", "echo 17-1", 3),
        ("1401A8C0:2CB0", "01", "echo 17-1", 3),  # a backend on another port
        ("1401A8C0:0050", "01", "echo 17-1", 3),  # or on one that httpd has, too
        ("1401A8C0:01BB", "01", "echo 17-1", 3),
        ("020012AC:2CAA", "01", "exit 1", 3),  # an httpd of an earlier Hearth, which keeps no idle connections
        ("020012AC:2CAA", "01", "echo", 0),  # an idle connection
        ("020012AC:2CAA", "06", "echo 17-1", 0),  # without a connection, nothing is asked
        ("0100007F:0050", "01", "echo 17-1", 0),  # the health check's
    ],
)
def test_in_flight_responses_may_finish_before_a_container_is_replaced(
    tmp_path: Path, there: str, state: str, listed: str, waits: int
) -> None:
    sandbox = Sandbox(tmp_path)
    sandbox.root.mkdir()
    sandbox.program("docker", f'case "$*" in *State.Pid*) echo 4194305;; *hearth-requests*) {listed};; esac')
    sandbox.program("sleep")
    table = tmp_path / "tcp"
    table.write_text(f"   0: 030012AC:D2F0 {there} {state} 00000000:00000000 00:00000000 00000000\n")
    script = converge_script([], 60, FAILURE, drain_timeout=3).replace("/proc/$1/net", str(tmp_path))
    done = sandbox.run(script)
    assert done.returncode == 0, done.stderr
    # The wait for Compose also sleeps, after its first poll.
    started = next(index for index, call in enumerate(sandbox.calls) if "RestartCount" in call)
    assert sandbox.calls[:started].count("sleep 1") == waits
    assert ("A response is in flight" in done.stdout) is bool(waits)


def connection(table: Path, here: str, there: str, state: str = "01") -> None:
    """Write a table like /proc/net/tcp, or with IPv4 addresses as in /proc/net/tcp6 if that is its name."""
    mapped = "0000000000000000FFFF0000" if table.name.endswith("6") else ""
    table.write_text(f"   0: {mapped}{here} {mapped}{there} {state} 00000000:00000000 00:00000000 00000000\n")


@pytest.mark.parametrize("table", ["tcp", "tcp6"])
@pytest.mark.parametrize(("state", "waits"), [("01", 3), ("06", 0)])
def test_a_backends_responses_may_finish(tmp_path: Path, table: str, state: str, waits: int) -> None:
    """It has no httpd that could list them."""
    sandbox = Sandbox(tmp_path)
    sandbox.root.mkdir()
    sandbox.program("docker", 'case "$*" in *State.Pid*httpd) exit 1;; *State.Pid*) echo 4194305;; esac')
    sandbox.program("sleep")
    connection(tmp_path / table, "020012AC:2CAA", "BD01A8C0:D2F0", state)
    script = converge_script([], 60, FAILURE, drain_timeout=3).replace("/proc/$1/net", str(tmp_path))
    done = sandbox.run(script)
    assert done.returncode == 0, done.stderr
    started = next(index for index, call in enumerate(sandbox.calls) if "RestartCount" in call)
    assert sandbox.calls[:started].count("sleep 1") == waits


@pytest.mark.parametrize("table", ["tcp", "tcp6"])
@pytest.mark.parametrize(
    ("there", "waits"),
    [
        ("BD01A8C0:D2F0", 3),  # a gateway's
        ("030012AC:D2F0", 2),  # idle ones of the httpd on this host
        ("0100007F:D2F0", 2),  # the health check's
    ],
)
def test_responses_to_gateways_may_finish(tmp_path: Path, table: str, there: str, waits: int) -> None:
    """Without one, it looks twice."""
    sandbox = Sandbox(tmp_path)
    sandbox.root.mkdir()
    sandbox.program(
        "docker", 'case "$*" in *State.Pid*) echo 4194305;; *IPAddress*) echo "172.18.0.3 172.19.0.3 ";; esac'
    )
    sandbox.program("sleep")
    connection(tmp_path / table, "020012AC:2CAA", there)
    quiet = IN_FLIGHT + (CHECKOUT / "hearth/rollout/quiet.sh").read_text()
    done = sandbox.run(f"{quiet}\nwait_until_quiet 3".replace("/proc/$1/net", str(tmp_path)))
    assert done.returncode == 0, done.stderr
    assert sandbox.calls.count("sleep 1") == waits
    assert ("A response is in flight: waiting up to 3 s" in done.stdout) is (waits == 3)


def test_stuck_ollama_is_recreated_at_once(run: Run) -> None:
    """Its requests never finish, so waiting for them would only prolong the outage."""
    sick = replace(RUNNING[0], health="unhealthy", trouble="stuck: 1 request(s) waiting, and no model has worked")
    (script,) = up(run, ProjectState(HASHES, (sick, RUNNING[1]))).scripts
    assert "\ndrain 0 hearth-httpd\n" in script
    assert script.index("--force-recreate ollama") < script.index("bring_up 60 '--no-deps ollama'")
    assert "--force-recreate httpd" not in script
    other = replace(sick, trouble="Health check exceeded timeout (25s)")
    (script,) = up(run, ProjectState(HASHES, (other, RUNNING[1]))).scripts
    assert "\ndrain 30 hearth-httpd\n" in script, "it may be busy"


CRASHING = """case "$*" in
*"up --detach"*) exec /bin/sleep 25;;
inspect*) n=$(cat {0} 2>/dev/null || echo 0); echo $((n + 1)) > {0}
  echo "old 7"; [ $n = 0 ] || echo "new $((n * {1}))";;
esac"""


@pytest.mark.parametrize(("restarts", "code"), [(1, 1), (0, 0)])
def test_crash_looping_container_is_not_waited_for(tmp_path: Path, restarts: int, code: int) -> None:
    sandbox = Sandbox(tmp_path)
    sandbox.root.mkdir()
    script = CRASHING.format(tmp_path / "polls", restarts)
    sandbox.program("docker", script if code else script.replace("exec /bin/sleep 25", "exec /bin/sleep 2"))
    sandbox.program("sleep", "exec /bin/sleep 0.05")
    started = time.monotonic()
    done = sandbox.run(converge_script([], 60, FAILURE))
    assert done.returncode == code
    assert ("three times" in done.stderr) is bool(code)
    assert time.monotonic() - started < 20


def test_pending_reload_is_done_once(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    sandbox.root.mkdir()
    (sandbox.root / ".reload-httpd").touch()
    sandbox.program("docker")
    for _ in range(2):
        assert sandbox.run(converge_script(None, 60, FAILURE)).returncode == 0
    assert sandbox.calls == ["docker exec hearth-httpd httpd -f conf/hearth/httpd.conf -k graceful"]


def test_failed_reload_fails_the_run_and_stays_pending(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    sandbox.root.mkdir()
    (sandbox.root / ".reload-httpd").touch()
    sandbox.program("docker", "exit 1")
    done = sandbox.run(converge_script(None, 60, FAILURE))
    assert done.returncode != 0
    assert "reloaded" not in done.stdout
    assert (sandbox.root / ".reload-httpd").exists()
