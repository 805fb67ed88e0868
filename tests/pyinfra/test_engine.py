"""Operations on the Docker engine: installation and configuration."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hearth.docker.daemon_json import dump_config, wanted_config
from hearth.docker.facts import Engine, EngineState
from hearth.docker.operations import configure_engine, install_engine, install_script
from hearth.docker.packages import DOCKER_CE, DockerSource
from hearth.settings.model import Settings
from tests.pyinfra.conftest import Result, Run
from tests.pyinfra.shell import HOSTILE, Sandbox, check_syntax

DEBIAN = DockerSource(("docker.io", "docker-compose"), "")
DOCKER = DockerSource(DOCKER_CE, "https://download.docker.com/linux/debian")

RELOAD = (
    "systemctl reload docker.service && for _ in 1 2 3 4 5 6 7 8 9 10; do "
    "[ \"$(docker info --format '{{.LiveRestoreEnabled}}' 2>/dev/null)\" = true ] && break; sleep 0.5; done || true"
)
RESTART = (
    "systemctl reset-failed docker.service 2>/dev/null; "
    "systemctl restart docker.service && rm -f /run/hearth-engine-restart"
)
ENABLE = "systemctl enable --now docker.service"


# --- installation ---------------------------------------------------------------------------------


def install(run: Run, state: EngineState, source: DockerSource = DEBIAN, keep: bool = True) -> Result:
    arguments = {"source": source, "codename": "trixie", "keep_existing": keep, "timeout": 60}
    return run(install_engine, {Engine: state}, **arguments)


def test_installed_packages_are_not_installed_again(run: Run) -> None:
    result = install(run, EngineState(packages=frozenset(DEBIAN.packages)), keep=False)
    assert result.commands == []
    assert result.noop


def test_docker_from_another_source_is_kept(run: Run) -> None:
    assert install(run, EngineState(has_engine=True, has_compose=True)).commands == []


@pytest.mark.parametrize(
    ("state", "keep"),
    [
        (EngineState(), True),
        (EngineState(packages=frozenset({"docker.io"})), True),
        (EngineState(has_engine=True), True),
        (EngineState(has_compose=True), True),
        (EngineState(has_engine=True, has_compose=True), False),
        (EngineState(has_engine=True, has_compose=True, half_installed=frozenset({"docker.io"})), True),
    ],
)
def test_incomplete_installations_are_completed(run: Run, state: EngineState, keep: bool) -> None:
    (script,) = install(run, state, keep=keep).scripts
    assert script.splitlines()[-3:-1] == ["apt_install docker.io docker-compose", ENABLE]


def test_distribution_packages_need_no_repository(run: Run) -> None:
    (script,) = install(run, EngineState()).scripts
    assert "sources.list.d" not in script
    assert "gpg" not in script


def test_docker_repository_is_added_before_use(run: Run) -> None:
    (script,) = install(run, EngineState(), DOCKER).scripts
    order = [
        script.rindex(part) for part in ("install -d", "/gpg", "docker.sources", "apt_update", "docker-compose-plugin")
    ]
    assert order == sorted(order)
    assert (
        "Types: deb\nURIs: https://download.docker.com/linux/debian\nSuites: trixie\nComponents: stable\n"
        "Signed-By: /etc/apt/keyrings/docker.asc\n" in script
    )


@pytest.mark.parametrize("source", [DEBIAN, DOCKER, DockerSource((HOSTILE,), HOSTILE)])
def test_install_script_has_valid_syntax(source: DockerSource) -> None:
    check_syntax(install_script(source, HOSTILE, 60))


@pytest.fixture(name="host")
def _host(tmp_path: Path) -> Sandbox:
    """A host whose dpkg and apt work."""
    sandbox = Sandbox(tmp_path)
    for program in ("apt-get", "dpkg", "systemctl", "sleep"):
        sandbox.program(program)
    sandbox.program("dpkg-query", "echo installed ok")
    for directory in ("dpkg/updates", "apt/lists", "apt/archives"):
        (tmp_path / directory).mkdir(parents=True)
    return sandbox


def installs(sandbox: Sandbox, source: DockerSource = DEBIAN, timeout: int = 60) -> subprocess.CompletedProcess[str]:
    script = install_script(source, "trixie", timeout)
    return sandbox.run(
        script.replace("/var/lib/", f"{sandbox.directory}/")
        .replace("/var/cache/", f"{sandbox.directory}/")
        .replace("/run/", f"{sandbox.directory}/")
    )


def changes(sandbox: Sandbox) -> list[str]:
    """Calls of apt, dpkg and systemd, without common options."""
    calls = [call for call in sandbox.calls if call.startswith(("apt-get", "dpkg ", "systemctl"))]
    return [re.sub(r"-o \S+ |-qq ", "", call) for call in calls]


INSTALLED = [
    "apt-get update",
    "apt-get -y --no-install-recommends install docker.io docker-compose",
    ENABLE,
]


def test_packages_are_installed_on_a_fresh_host(host: Sandbox) -> None:
    done = installs(host)
    assert done.returncode == 0, done.stderr
    assert changes(host) == INSTALLED
    assert done.stdout == "Reading the package lists …\nInstalling docker.io, docker-compose …\n"


def test_script_stops_at_the_first_failure(host: Sandbox) -> None:
    host.program("apt-get", "echo 'E: no network'; exit 100")
    done = installs(host, DockerSource((HOSTILE,), ""))
    assert done.returncode == 1
    assert changes(host) == ["apt-get update"]
    assert done.stdout == "Reading the package lists …\nE: no network\n"
    assert not host.pwned()


def test_apt_failure_is_detected_on_a_full_disk(host: Sandbox) -> None:
    host.program("apt-get", "echo 'E: You do not have enough free space'; exit 100")
    host.program("tee", "cat; exit 1")  # as when it can't write: it still passes its input on
    done = installs(host)
    assert done.returncode == 1
    assert changes(host) == ["apt-get update"]
    assert "not have enough free space" in done.stdout


def test_package_names_reach_apt_unchanged(host: Sandbox) -> None:
    assert installs(host, DockerSource((HOSTILE, "b"), "")).returncode == 0
    assert changes(host)[-2].endswith(f"install {HOSTILE} b")
    assert not host.pwned()


def test_engine_configured_while_half_installed_is_restarted(host: Sandbox) -> None:
    (host.directory / "hearth-engine-restart").touch()
    assert installs(host).returncode == 0
    assert changes(host)[-1] == "systemctl restart docker.service"
    assert not (host.directory / "hearth-engine-restart").exists()


@pytest.mark.parametrize(
    "status", ["unpacked ok", "half-configured ok", "half-installed ok", "installed reinstreq", "triggers-pending ok"]
)
def test_interrupted_installation_is_finished_first(host: Sandbox, status: str) -> None:
    host.program("dpkg-query", f"echo installed ok; [ -e {host.directory}/repaired ] || echo {status}")
    host.program("dpkg", f"touch {host.directory}/repaired")
    done = installs(host)
    assert done.returncode == 0, done.stderr
    assert changes(host) == ["dpkg --configure -a --force-confdef --force-confold", *INSTALLED]
    assert "interrupted" in done.stdout


def test_apt_repairs_what_dpkg_cannot_finish(host: Sandbox) -> None:
    host.program("dpkg-query", "echo half-installed reinstreq")
    host.program("dpkg", "exit 1")
    assert installs(host).returncode == 0
    assert changes(host)[1:] == ["apt-get update", "apt-get -y -f install", *INSTALLED[1:]]


def test_dpkg_journal_means_an_interrupted_installation(host: Sandbox) -> None:
    (host.directory / "dpkg/updates/0001").touch()
    host.program("dpkg", f"rm {host.directory}/dpkg/updates/0001")
    assert installs(host).returncode == 0
    assert changes(host)[0] == "dpkg --configure -a --force-confdef --force-confold"


def test_damaged_archive_is_downloaded_again(host: Sandbox) -> None:
    """apt only checks an archive's size, and a power failure leaves files full of zeros."""
    host.program(
        "apt-get",
        f"""case "$*" in
        *clean) touch {host.directory}/clean;;
        *install\\ docker*) [ -e {host.directory}/clean ] || {{
          echo "dpkg-deb: error: '/var/x.deb' is not a Debian format archive" >&2; exit 100; }};;
        esac""".replace("\\\\", "\\"),
    )
    done = installs(host)
    assert done.returncode == 0, done.stdout + done.stderr
    assert changes(host) == [
        *INSTALLED[:2],
        "apt-get clean",
        "apt-get -y -f install",
        *INSTALLED[1:],
    ]
    assert "not a Debian format archive" in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        "E: Release file for http://archive.example/dists/trixie/InRelease is not valid yet (invalid for another 3d).",
        "E: Release file for http://archive.example/dists/trixie-updates/InRelease is expired (invalid since 9d 3h).",
        "  Certificate verification failed: The certificate chain uses expired certificate.",
    ],
)
def test_date_errors_of_apt_are_explained(host: Sandbox, words: str) -> None:
    host.program("apt-get", f'echo "{words}" >&2; exit 100')
    done = installs(host)
    assert done.returncode == 1
    assert words in done.stdout
    assert f"the host's clock says {datetime.now(UTC):%Y-%m-%d}" in done.stderr
    assert "timedatectl set-ntp true" in done.stderr


def test_other_apt_errors_are_not_explained(host: Sandbox) -> None:
    host.program("apt-get", "echo 'E: Unable to locate package docker.io' >&2; exit 100")
    assert "clock" not in installs(host).stderr


@pytest.fixture(name="busy")
def _busy(host: Sandbox) -> Iterator[subprocess.Popen[str]]:
    """Another program that holds apt's lock like apt itself, by fcntl."""
    lock = host.directory / "dpkg/lock-frontend"
    holder = (
        "import fcntl, sys; lock = open(sys.argv[1], 'w'); "
        "fcntl.lockf(lock, fcntl.LOCK_EX); print('held', flush=True); "
        "sys.stdin.read()"
    )
    words = [sys.executable, "-c", holder, str(lock)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "held\n"
        yield program
        program.kill()


def called(program: subprocess.Popen[str]) -> str:
    """Its name in the kernel: python3 or python3.11, depending on the environment."""
    return Path(f"/proc/{program.pid}/comm").read_text().strip()


def test_other_apt_user_is_named_and_waited_for(host: Sandbox, busy: subprocess.Popen[str]) -> None:
    name = re.escape(called(busy))
    # It is gone at the third poll.
    host.program("sleep", f"[ $(grep -c sleep {host.directory}/calls) -lt 2 ] || kill {busy.pid}; /bin/sleep 0.2")
    done = installs(host)
    assert done.returncode == 0, done.stderr
    # In whole seconds: the first poll may already be in the second one.
    assert re.search(rf"Waiting for apt, which {name} \(process {busy.pid}\) is using; up to (60|59) s …", done.stdout)
    assert done.stdout.count("Waiting") == 1, "once, and again only after 30 s"
    assert changes(host) == INSTALLED


def test_waiting_for_apt_times_out(host: Sandbox, busy: subprocess.Popen[str]) -> None:
    host.program("sleep", "/bin/sleep 0.3")
    done = installs(host, timeout=1)
    assert done.returncode == 1
    assert f"still in use by {called(busy)} (process {busy.pid}) after 1 s (docker_apt_timeout)" in done.stderr
    assert changes(host) == []


def test_unheld_lock_is_not_waited_for(host: Sandbox) -> None:
    for lock in ("dpkg/lock", "dpkg/lock-frontend", "apt/lists/lock", "apt/archives/lock"):
        (host.directory / lock).touch()
    done = installs(host)
    assert done.returncode == 0
    assert "Waiting" not in done.stdout


# --- configuration --------------------------------------------------------------------------------


@pytest.fixture(name="settings")
def _settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings(docker_registry_mirrors=["http://10.0.0.1:5000"])


@pytest.fixture(name="right")
def _right(settings: Settings) -> EngineState:
    """A running engine configured by Hearth."""
    config = wanted_config(settings, {})
    return EngineState(
        has_engine=True, config=dump_config(config), record=json.dumps(config), active=True, enabled=True
    )


def configure(run: Run, settings: Settings, state: EngineState) -> Result:
    return run(configure_engine, {Engine: state}, settings=settings, source=DEBIAN)


def test_configured_engine_is_left_alone(run: Run, settings: Settings, right: EngineState) -> None:
    assert configure(run, settings, right).commands == []


def test_fresh_engine_is_configured_and_restarted_once(run: Run, settings: Settings) -> None:
    config = wanted_config(settings, {})
    assert configure(run, settings, EngineState(has_engine=True, active=True, enabled=True)).commands == [
        "install -d -m 0755 /opt/hearth /etc/docker",
        ["upload", json.dumps(config) + "\n", "/opt/hearth/engine.json.new"],
        ["upload", dump_config(config), "/etc/docker/daemon.json.new"],
        "chmod 0644 /etc/docker/daemon.json.new && "
        "sync /opt/hearth/engine.json.new /etc/docker/daemon.json.new && touch /run/hearth-engine-restart && "
        "mv /opt/hearth/engine.json.new /opt/hearth/engine.json && "
        "mv /etc/docker/daemon.json.new /etc/docker/daemon.json",
        RELOAD,
        RESTART,
    ]


def test_configuration_is_written_before_the_engine_is_installed(run: Run, settings: Settings) -> None:
    commands = configure(run, settings, EngineState()).commands
    assert [command[2] for command in commands if command[0] == "upload"][-1] == "/etc/docker/daemon.json.new"
    assert not [command for command in commands if "systemctl" in command or "hearth-engine-restart" in command]
    config = wanted_config(settings, {})
    again = EngineState(config=dump_config(config), record=json.dumps(config))
    assert configure(run, settings, again).commands == []


def test_pending_restart_is_done(run: Run, settings: Settings, right: EngineState) -> None:
    assert configure(run, settings, replace(right, pending=True)).commands == [RELOAD, RESTART]


def test_live_restore_is_enabled_before_a_restart(
    run: Run, settings: Settings, right: EngineState, host: Sandbox
) -> None:
    """Otherwise the user's containers would stop with it, and only some would restart."""
    theirs = replace(right, config='{"data-root": "/mnt/docker"}', record="")
    assert configure(run, settings, theirs).commands[-2:] == [RELOAD, RESTART]
    refuses = replace(theirs, config='{"live-restore": false}')
    assert RELOAD not in configure(run, settings, refuses).commands, "the user's value stays"
    host.program("systemctl")
    host.program("docker", "echo true")
    assert host.run(RELOAD).returncode == 0
    assert host.calls == ["systemctl reload docker.service", "docker info --format {{.LiveRestoreEnabled}}"]


def test_engine_that_cannot_reload_is_restarted_anyway(host: Sandbox) -> None:
    host.program("systemctl", "exit 1")
    assert host.run(RELOAD).returncode == 0


def test_stopped_engine_is_started(run: Run, settings: Settings, right: EngineState) -> None:
    assert configure(run, settings, replace(right, active=False)).commands == [ENABLE]


def test_engine_is_enabled_at_boot(run: Run, settings: Settings, right: EngineState) -> None:
    assert configure(run, settings, replace(right, enabled=False)).commands == [ENABLE]
    assert configure(run, settings, EngineState(has_engine=True)).commands[-2:] == [RESTART, ENABLE]


def test_half_installed_engine_is_left_to_the_installation(run: Run, settings: Settings, right: EngineState) -> None:
    half = replace(right, half_installed=frozenset({"docker.io"}), active=False, enabled=False, pending=True)
    assert configure(run, settings, half).commands == []
    commands = configure(run, settings, replace(half, config="", record="")).commands
    assert "touch /run/hearth-engine-restart" in commands[-1], "the installation restarts it"


def test_without_a_record_all_values_are_the_users(run: Run, settings: Settings, right: EngineState) -> None:
    assert configure(run, settings, replace(right, record="")).commands == []


def test_change_of_only_the_record_needs_no_restart(run: Run, settings: Settings, right: EngineState) -> None:
    """A user edited one of our values: it is theirs from now on."""
    theirs = json.loads(right.config) | {"live-restore": False}
    commands = configure(run, settings, replace(right, config=json.dumps(theirs))).commands
    assert [command[2] for command in commands if command[0] == "upload"] == ["/opt/hearth/engine.json.new"]
    assert commands[-1] == "sync /opt/hearth/engine.json.new && mv /opt/hearth/engine.json.new /opt/hearth/engine.json"


def test_users_configuration_is_merged(run: Run, settings: Settings) -> None:
    theirs = '{"data-root": "/mnt/docker", "live-restore": false}'
    commands = configure(run, settings, EngineState(has_engine=True, config=theirs, active=True, enabled=True)).commands
    uploads = {command[2]: json.loads(command[1]) for command in commands if command[0] == "upload"}
    merged = uploads["/etc/docker/daemon.json.new"]
    assert merged["data-root"] == "/mnt/docker"
    assert merged["live-restore"] is False
    assert merged["registry-mirrors"] == ["http://10.0.0.1:5000"]
    assert not {"data-root", "live-restore"} & set(uploads["/opt/hearth/engine.json.new"])


@pytest.mark.parametrize("broken", ["{", "[]", "# comment"])
def test_broken_daemon_json_is_refused_and_not_changed(run: Run, settings: Settings, broken: str) -> None:
    result = configure(run, settings, EngineState(has_engine=True, config=broken, active=True, enabled=True))
    assert len(result.commands) == 1
    assert "/etc/docker/daemon.json" in result.refusals[0]


def test_broken_engine_record_is_refused_with_its_path(run: Run, settings: Settings) -> None:
    (refusal,) = configure(run, settings, EngineState(has_engine=True, record="{")).refusals
    assert "/opt/hearth/engine.json" in refusal
