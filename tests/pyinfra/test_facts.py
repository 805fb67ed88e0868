"""Facts: their commands, and how they parse output. One directory of recorded output per fact."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactPreconditionError
from pyinfra_testing import facts as harness

from hearth.docker.facts import Engine, EngineUnreachable
from hearth.docker.reachability import Reachability, ReachabilityState
from hearth.firewall.facts import Firewall
from hearth.footprint.facts import Footprint, FootprintState, Owned
from hearth.host.hardware import HARDWARE_SCRIPT, parse_hardware
from hearth.host.login import Login
from hearth.models.facts import Models, ModelsState
from hearth.paths import (
    BOOT_LINE,
    COMPOSE_HASHES,
    DAEMON_JSON,
    DOCKER_DIR,
    ENGINE_INFO,
    MODELS_VOLUME,
    REBOOT_DUE,
    ROOT,
)
from hearth.preflight.facts import HostFacts
from hearth.releases.facts import Releases, ReleasesState
from hearth.runtime.sections import parse_sections
from hearth.stack.container_facts import Project, ProjectState
from hearth.stack.file_facts import Tree, TreeState
from hearth.stack.image_facts import Images, ImagesState
from hearth.tls.certificate import today
from hearth.tls.facts import Certificates, CertificatesState
from hearth.tls.local_ca import create_authority
from tests.support.recorded import raspberry_pi as recorded

_default: Callable[[Any], Any] = harness._json_default
# The harness supports sets, but not frozen ones.
harness._json_default = lambda value: sorted(value) if isinstance(value, frozenset) else _default(value)

_FOLDER = Path(__file__).parent / "facts"

TestReachability = harness.make_fact_tests("hearth.docker", "reachability.Reachability", _FOLDER / "reachability")
TestCertificates = harness.make_fact_tests("hearth.tls", "facts.Certificates", _FOLDER / "certificates")
TestHostFacts = harness.make_fact_tests("hearth.preflight", "facts.HostFacts", _FOLDER / "host_facts")
TestFirewall = harness.make_fact_tests("hearth.firewall", "facts.Firewall", _FOLDER / "firewall")
TestLogin = harness.make_fact_tests("hearth.host", "login.Login", _FOLDER / "login")
TestEngine = harness.make_fact_tests("hearth.docker", "facts.Engine", _FOLDER / "engine")
TestFootprint = harness.make_fact_tests("hearth.footprint", "facts.Footprint", _FOLDER / "footprint")
TestImages = harness.make_fact_tests("hearth.stack", "image_facts.Images", _FOLDER / "images")
TestMetrics = harness.make_fact_tests("hearth.metrics", "facts.Metrics", _FOLDER / "metrics")
TestModels = harness.make_fact_tests("hearth.models", "facts.Models", _FOLDER / "models")
TestProject = harness.make_fact_tests("hearth.stack", "container_facts.Project", _FOLDER / "project")
TestReleases = harness.make_fact_tests("hearth.releases", "facts.Releases", _FOLDER / "releases")
TestTree = harness.make_fact_tests("hearth.stack", "file_facts.Tree", _FOLDER / "tree")

UNREACHABLE = [
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
    "Cannot connect to the Docker daemon at tcp://127.0.0.1:2375. Is the docker daemon running?",
    "failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct and if the "
    "daemon is running: dial unix /var/run/docker.sock: connect: no such file or directory",
    "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: "
    'Get "http://%2Fvar%2Frun%2Fdocker.sock/v1.41/containers/json": dial unix /var/run/docker.sock: connect: '
    "permission denied",
]


@pytest.mark.parametrize("answer", UNREACHABLE)
def test_images_of_an_unresponsive_engine_are_unknown(answer: str) -> None:
    with pytest.raises(EngineUnreachable, match="systemctl status docker"):
        Images().process(["@@pulled", "httpd:2.4.68 sha256:2", "@@present", answer, "", answer])


@pytest.mark.parametrize("answer", UNREACHABLE)
def test_containers_of_an_unresponsive_engine_are_unknown(answer: str) -> None:
    with pytest.raises(EngineUnreachable, match="does not respond"):
        Project().process(["@@pending", "@@pulled", "@@hashes", "ollama a1", "@@complaints", answer, "@@project"])


def test_models_of_an_unresponsive_ollama_are_unknown() -> None:
    said = "Error: could not connect to ollama server, run 'ollama serve' to start it"
    with pytest.raises(FactPreconditionError, match="could not connect to ollama"):
        Models().process(["@@pulling", "@@models", said, "@@failed"])


def test_models_of_a_missing_container_are_unknown() -> None:
    said = "Error response from daemon: No such container: hearth-ollama"
    with pytest.raises(FactPreconditionError, match="No such container"):
        Models().process(["@@pulling", "@@models", said, "@@failed"])


def test_host_without_docker_has_nothing() -> None:
    """pyinfra returns the default if a command prints nothing, as here."""
    assert Images().default() == ImagesState()
    assert Project().default() == ProjectState()
    assert Models().default() == ModelsState()
    assert Releases().default() == ReleasesState()
    assert Reachability().default() == ReachabilityState("absent")


def stub(path: Path, script: str) -> None:
    """Install a shell script as a program."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


# --- the same commands on this machine -----------------------------------------------------------


def ask(command: str) -> list[str]:
    """Output lines of a command, executed as by pyinfra."""
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.splitlines()


def test_a_login_is_read() -> None:
    fact = Login()
    assert fact.process(ask(fact.command())).user_id >= 0


def test_a_login_that_runs_no_command_is_unknown() -> None:
    assert Login().process(["Welcome", "to this host"]).user_id == -1


@pytest.mark.skipif(not Path("/etc/os-release").exists(), reason="no Linux with an os-release")
def test_a_checkup_is_read(tmp_path: Path) -> None:
    missing = tmp_path / "not" / "there"
    store = tmp_path / "models/manifests/registry.ollama.ai/library/tinyllama"
    store.mkdir(parents=True)
    (store / "latest").touch()
    fact = HostFacts()
    state = fact.process(ask(fact.command((str(tmp_path), str(missing)), str(tmp_path))))
    assert state.os_release["ID"]
    assert state.architecture
    assert state.existing == {str(tmp_path)}
    assert state.file_system[str(missing)] == state.file_system[str(tmp_path)], "that of the nearest parent"
    assert state.free_bytes[str(missing)] == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.05)
    assert state.models == {"tinyllama:latest"}
    assert state.clock == pytest.approx(time.time(), abs=30)
    assert state.hardware.memory == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert state.hardware.page_size == os.sysconf("SC_PAGE_SIZE")
    assert state.hardware.kernel == os.uname().machine
    assert state.hardware.memory_cgroup_enabled is not None
    assert " ".join(state.hardware.cmdline) == " ".join(Path("/proc/cmdline").read_text().split())
    assert (state.hardware.boot_line, state.hardware.reboot_due) == (None, False)


@pytest.mark.parametrize(("config", "mount"), [('{"data-root": "/proc/docker"}', "/proc"), ("{}", None)])
def test_disk_space_is_checked_in_dockers_data_directory(tmp_path: Path, config: str, mount: str | None) -> None:
    daemon = tmp_path / "daemon.json"
    daemon.write_text(config)
    fact = HostFacts()
    found = fact.process(ask(fact.command((DOCKER_DIR,), "").replace(DAEMON_JSON, str(daemon)))).file_system[DOCKER_DIR]
    assert found == (mount or fact.process(ask(fact.command(("/var/lib",), ""))).file_system["/var/lib"])


def test_models_are_searched_in_dockers_data_directory(tmp_path: Path) -> None:
    root, daemon = tmp_path / "big disk", tmp_path / "daemon.json"
    store = root / f"volumes/{MODELS_VOLUME}/_data/models/manifests/registry.ollama.ai/library/tinyllama"
    store.mkdir(parents=True)
    (store / "latest").touch()
    daemon.write_text(json.dumps({"log-driver": "local", "data-root": str(root)}, indent=2))
    fact = HostFacts()
    command = fact.command((DOCKER_DIR,), "").replace(DAEMON_JSON, str(daemon))
    assert fact.process(ask(command)).models == {"tinyllama:latest"}


def test_hardware_with_a_zero_byte_an_unterminated_line_and_a_firmware(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands in a real shell, with files and a `vcgencmd` recorded from real Pis."""
    (tmp_path / "model").write_bytes(recorded.MODELS[0].encode() + b"\0")
    (tmp_path / "cmdline.txt").write_text(recorded.BOOT_LINE)
    (tmp_path / "controllers").write_text(f"{recorded.CONTROLLERS_WITHOUT_MEMORY}\n")
    (tmp_path / "due").touch()
    answers = dict(zip(("get_throttled", "measure_temp"), recorded.FIRMWARE_WEAK, strict=True))
    cases = "; ".join(f'[ $1 = {name} ] && echo "{answer}"' for name, answer in answers.items())
    stub(tmp_path / "vcgencmd", f"{cases}; true")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    questions = HARDWARE_SCRIPT
    for path, name in (
        ("/proc/device-tree/model", "model"),
        (BOOT_LINE, "cmdline.txt"),
        ("/sys/fs/cgroup/cgroup.controllers", "controllers"),
        (REBOOT_DUE, "due"),
    ):
        assert path in questions
        questions = questions.replace(path, str(tmp_path / name))
    hardware = parse_hardware(parse_sections(ask(f"{questions}; true")))
    assert hardware.model == recorded.MODELS[0]
    assert (hardware.boot_line or "").strip() == recorded.BOOT_LINE
    assert (hardware.memory_cgroup_enabled, hardware.reboot_due) == (False, True)
    assert (hardware.throttled, hardware.temperature) == (0x50005, 38.6)


@pytest.mark.parametrize(("line", "counts"), [("", False), ("memory\t0\t70\t0\n", False), ("memory\t0\t70\t1\n", True)])
def test_cgroups_v1_is_queried_if_there_is_no_v2(tmp_path: Path, line: str, counts: bool) -> None:
    (tmp_path / "cgroups").write_text(recorded.CGROUPS_WITHOUT_V1 + line)
    questions = HARDWARE_SCRIPT.replace("/sys/fs/cgroup/cgroup.controllers", str(tmp_path / "none"))
    hardware = parse_hardware(
        parse_sections(ask(questions.replace("/proc/cgroups", str(tmp_path / "cgroups")) + "; true"))
    )
    assert hardware.memory_cgroup_enabled is counts


def test_a_machine_without_hearth_has_no_firewall_of_it() -> None:
    fact = Firewall()
    state = fact.process(ask(fact.command()))
    assert (state.rules, state.unit, state.loaded, state.active, state.intact) == ("", "", "", False, False)


def test_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("x")
    (tmp_path / "compose.yaml").chmod(0o644)
    fact = Tree()
    command = fact.command(("compose.yaml", "missing.html")).replace(ROOT, str(tmp_path))
    owner = (tmp_path / "compose.yaml").owner()
    lines = [line.replace(f"644:{owner}:", "644:root:") for line in ask(command)]
    assert fact.process(lines) == TreeState({"compose.yaml": hashlib.sha256(b"x").hexdigest()})


def test_certificates_are_read_but_no_keys(tmp_path: Path) -> None:
    """With a real shell and a real key."""
    authority = create_authority(tmp_path / "ca", ["pi.local"], today())
    pair = authority.issue(["pi.local"], today())
    live = tmp_path / "tls/live"
    live.mkdir(parents=True)
    (live / "server.pem").write_bytes(pair)
    store = tmp_path / "acme/store/domains/chat.example.org"
    store.mkdir(parents=True)
    (store / "pubcert.secp256r1.pem").write_bytes(authority.pem)
    (store / "privkey.secp256r1.pem").write_bytes(pair)
    fact = Certificates()
    lines = ask(fact.command("chat.example.org").replace(ROOT, str(tmp_path)))
    key = {line for line in pair.decode().partition("-----BEGIN PRIVATE")[2].splitlines() if len(line) > 20}
    assert key
    assert not key & set(lines)
    assert not any("PRIVATE" in line for line in lines)
    state = fact.process(lines)
    assert state.chain + "\n" == pair.decode().partition("-----BEGIN PRIVATE")[0]
    assert state.acme_chain + "\n" == authority.pem.decode()
    assert set(state.digests) == {"server.pem"}
    assert fact.process(ask(fact.command("").replace(ROOT, str(tmp_path / "nothing")))) == CertificatesState()


def test_a_footprint_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a real shell, real files, and a `docker` with two containers and nothing else."""
    container = (
        '["1", "/hearth-httpd", "sha256:1", {"com.docker.compose.project": "hearth", '
        '"com.docker.compose.project.working_dir": "/opt/hearth"}, {"hearth": {}}, '
        '[{"Type": "volume", "Name": "data"}, {"Type": "bind"}]]'
    )
    answers = f"""case "$1 $2" in
        "ps --all") echo 1; echo 2;;
        "network inspect") echo '["hearth-back",{{"com.docker.compose.project":"hearth"}}]'
          echo '["hearth",null]'; exit 1;;
        "inspect --format") echo '{container}'; echo '["2", "/web", "sha256:2", null, null, null]';;
        *) echo; exit 1;;
    esac"""
    stub(tmp_path / "docker", answers)
    root, store = tmp_path / "hearth", tmp_path / "store"
    (root / "htdocs").mkdir(parents=True)
    (root / "compose.yaml").touch()
    (root / "images.lock").write_text("httpd:2.4.68 sha256:1\n")
    manifest = store / "models/manifests/registry.ollama.ai/library/tinyllama/latest"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("{}")
    (store / "models/blobs").mkdir()
    (store / "models/blobs/sha256-1").write_text("12345")
    (store / "models/blobs/sha256-2-partial-0").touch()
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    state = Footprint().process(ask(Footprint().command(str(store)).replace(ROOT, str(root))))
    assert state.has_root
    assert state.files == {"compose.yaml", "images.lock"}
    assert state.directories == {"htdocs"}
    ours, other = state.containers
    assert (ours.name, ours.project, ours.directory) == ("hearth-httpd", "hearth", "/opt/hearth")
    assert ours.networks == {"hearth"}
    assert ours.volumes == {"data"}
    assert (other.name, other.project, other.networks) == ("web", "", frozenset())
    assert state.networks == {"hearth-back": Owned("hearth"), "hearth": Owned()}
    assert (state.volume, state.images) == (None, {})
    assert state.lock == {"httpd:2.4.68": "sha256:1"}
    place = "registry.ollama.ai/library/tinyllama/latest"
    assert state.store == f"{store}/models"
    assert state.store_files == {"blobs/sha256-1": 5, f"manifests/{place}": 2}
    assert state.manifests == {place: hashlib.sha256(b"{}").hexdigest()}


def test_footprint_of_an_unresponsive_engine_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub(tmp_path / "docker", f'echo "{UNREACHABLE[0]}" >&2; exit 1')
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(EngineUnreachable):
        Footprint().process(ask(Footprint().command("").replace(ROOT, str(tmp_path))))


def test_a_footprint_of_a_host_without_docker_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for program in ("find", "cat", "ls"):
        (tmp_path / program).symlink_to(shutil.which(program) or "")
    shell = shutil.which("sh") or ""
    monkeypatch.setenv("PATH", str(tmp_path))
    command = Footprint().command("").replace(ROOT, str(tmp_path / "nothing"))
    done = subprocess.run([shell, "-c", command], capture_output=True, text=True, check=True)
    state = Footprint().process(done.stdout.splitlines())
    assert (state.has_root, state.has_docker, state.containers) == (False, False, ())
    assert FootprintState().files == state.files


COMMANDS: list[tuple[FactBase[Any], str]] = [
    (Reachability(), Reachability().command()),
    (Firewall(), Firewall().command()),
    (Certificates(), Certificates().command("")),
    (Certificates(), Certificates().command("it's $(reboot).org")),
    (Login(), Login().command()),
    (HostFacts(), HostFacts().command(("/a", "/b"), "/b")),
    (Engine(), Engine().command(("docker.io", "docker-compose"))),
    (Footprint(), Footprint().command("")),
    (Footprint(), Footprint().command("/mnt/o'reilly; $(reboot)")),
    (Images(), Images().command(("httpd:2.4.68", "o'reilly; $(reboot)"))),
    (Models(), Models().command()),
    (Models(), Models().command("/mnt/it's", (("o'reilly; $(reboot)", "http://h/v2/x"),))),
    (Project(), Project().command()),
    (Releases(), Releases().command(("compose.yaml", "it's $(reboot).html"))),
    (Tree(), Tree().command(("compose.yaml", "it's $(reboot).html"))),
]


def project_command(directory: Path) -> str:
    """The command for a host whose /opt/hearth and cache are in this directory."""
    return Project().command().replace(COMPOSE_HASHES, f"{directory}/cache").replace(ROOT, str(directory))


@pytest.mark.parametrize(("fact", "command"), COMMANDS, ids=lambda value: getattr(value, "name", ""))
def test_every_command_has_valid_syntax(fact: FactBase[Any], command: str) -> None:
    checked = subprocess.run(["sh", "-n", "-c", command], capture_output=True, text=True)
    assert checked.returncode == 0, f"{fact.name}: {checked.stderr}"


@pytest.mark.parametrize("command", [Images().command(("x;touch pwned;'",)), Tree().command(("$(touch pwned)",))])
def test_hostile_value_is_harmless(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub(tmp_path / "docker", 'printf "%s\\n" "$@"')
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.chdir(tmp_path)
    ask(command.replace(ROOT, str(tmp_path)))
    assert not (tmp_path / "pwned").exists()


def test_unresponsive_engine_is_detected_by_the_real_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `docker` without an engine, as after `systemctl stop docker`; Compose works on files alone."""
    stub(tmp_path / "docker", f'[ "$1" = compose ] && echo "ollama a1" && exit; echo "{UNREACHABLE[0]}" >&2; exit 1')
    (tmp_path / "compose.yaml").touch()
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(EngineUnreachable):
        Project().process(ask(project_command(tmp_path)))
    with pytest.raises(EngineUnreachable):
        Images().process(ask(Images().command(("httpd:2.4.68",)).replace(ROOT, str(tmp_path))))
    with pytest.raises(FactPreconditionError):
        Models().process(ask(Models().command()))


def test_compose_warning_is_not_a_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub(tmp_path / "docker", '[ "$1" = compose ] && echo "level=warning msg=x" >&2 && echo "ollama a1"; true')
    (tmp_path / "compose.yaml").touch()
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    state = Project().process(ask(project_command(tmp_path)))
    assert state.hashes == {"ollama": "a1"}


def test_compose_is_asked_only_when_what_its_hashes_depend_on_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub(tmp_path / "docker", f'[ "$1" = compose ] || exit 0; echo "$*" >>{tmp_path}/asked; cat {tmp_path}/answer')
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def hashes() -> tuple[dict[str, str], int]:
        found = Project().process(ask(project_command(tmp_path))).hashes
        return found, len((tmp_path / "asked").read_text().splitlines())

    (tmp_path / "compose.yaml").write_text("services: {}\n")
    (tmp_path / "answer").write_text("ollama a1\nhttpd b1\n")
    assert hashes() == ({"ollama": "a1", "httpd": "b1"}, 1)
    assert hashes() == ({"ollama": "a1", "httpd": "b1"}, 1)
    (tmp_path / "answer").write_text("ollama a2\n")
    (tmp_path / "compose.yaml").write_text("services: {ollama: {}}\n")
    assert hashes() == ({"ollama": "a2"}, 2)
    assert hashes() == ({"ollama": "a2"}, 2)
    # What Compose reads as well, if somebody put it there.
    (tmp_path / "compose.override.yaml").write_text("services: {}\n")
    assert hashes() == ({"ollama": "a2"}, 3)
    # A file that Compose rejects has no hashes, and the cache keeps nothing of it.
    (tmp_path / "answer").write_text("")
    (tmp_path / "compose.yaml").write_text("services: [\n")
    assert hashes() == ({}, 4)
    assert hashes() == ({}, 5)
    assert sorted(path.name for path in tmp_path.glob("cache*")) == ["cache"]


def test_the_engine_describes_itself_once_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub(tmp_path / "docker", f'[ "$1" = info ] || exit 0; echo asked >>{tmp_path}/asked; echo "/srv/docker|[[x y]]"')
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    pid = tmp_path / "docker.pid"
    command = HostFacts().command((DOCKER_DIR,), "")
    command = command.replace(ENGINE_INFO, f"{tmp_path}/info").replace("/run/docker.pid", str(pid))

    def asked() -> int:
        assert HostFacts().process(ask(command)).image_store == "docker"
        return len((tmp_path / "asked").read_text().splitlines())

    assert [asked(), asked()] == [1, 2], "without an engine's process, nothing is kept"
    pid.write_text(str(os.getpid()))
    assert [asked(), asked()] == [3, 3]
    os.utime(pid, (1, 1))  # restarted
    assert [asked(), asked()] == [4, 4]
    pid.write_text("999999999")  # crashed
    assert asked() == 5
