"""The user's own daemon.json on a real engine: what Hearth works with, works; what it refuses, does not."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hearth.docker.daemon_keys import JUDGED, daemon_obstacles
from hearth.docker.trial import TRIAL as TRIAL_SCRIPT
from hearth.preflight.checks import find_obstacles, images_dir, paths_to_check
from hearth.preflight.facts import HostFacts, HostFactsState
from hearth.preflight.machine import Machine
from hearth.releases.operations import SCRIPT as RELEASE_SCRIPT
from hearth.runtime.shell import quote
from hearth.settings.model import Settings
from hearth.stack.image_facts import Images
from hearth.stack.image_operations import pull_script
from lab import artefacts
from lab.progress import Stages
from tests.proxy.engine import Engine, lab_settings

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="a separate engine needs root")
# Another computer on the host's network; it has no route to containers.
_LAN = """ip netns add lan
ip link add lan0 type veth peer name lan1
ip link set lan1 netns lan
ip address add 203.0.113.1/24 dev lan0
ip link set lan0 up
ip netns exec lan ip address add 203.0.113.2/24 dev lan1
ip netns exec lan ip link set lan1 up
"""
_PAGE = (
    "timeout 5 ip netns exec lan bash -c 'exec 3<>/dev/tcp/203.0.113.1/85 && "
    'printf "GET / HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n" >&3 && head -n 1 <&3\''
)
_OLLAMA = (
    "docker exec hearth-httpd timeout 5 bash -c 'exec 3<>/dev/tcp/ollama/11434 && "
    'printf "GET /api/version HTTP/1.0\\r\\n\\r\\n" >&3 && head -n 1 <&3\''
)
# Nothing listens there: a refusal shows that packets go there and come back.
_OUT = "docker exec hearth-ollama timeout 5 bash -c 'exec 3<>/dev/tcp/203.0.113.2/99' 2>&1"
BRIDGE = "com.docker.network.bridge."
# A release's test without a prompt.
TRIAL = f"""root=/opt/hearth httpd=hearth-httpd ollama=hearth-ollama services=httpd
conf=x patience=60 prompt_patience=60 keep=2 by=
{TRIAL_SCRIPT}
{RELEASE_SCRIPT.read_text()}
works 85 '' '' ''"""


@pytest.fixture(scope="module")
def parts() -> artefacts.Paths:
    """The lab's artefacts."""
    with Stages() as stages:
        return artefacts.build(("engine", "images", "tools"), stages)


@pytest.fixture(scope="module")
def settings(parts: artefacts.Paths) -> Settings:
    return lab_settings(parts, ollama_models=[], docker_images_gb=0.1)


@contextmanager
def deployed(parts: artefacts.Paths, tmp_path: Path, settings: Settings, daemon: Mapping[str, Any]) -> Iterator[Engine]:
    with Engine(parts, tmp_path, daemon) as engine:
        done = engine.run(_LAN)
        assert done.code == 0, done.output
        engine.write(settings)
        engine.bring_up(settings)
        yield engine


def effects(engine: Engine) -> set[str]:
    """What works: `page` from another computer, `ollama` from httpd, `out` from Ollama."""
    found = set()
    if "200 OK" in engine.execute(_PAGE).output:
        found.add("page")
    if "200 OK" in engine.execute(_OLLAMA).output:
        found.add("ollama")
    if "refused" in engine.execute(_OUT).output:
        found.add("out")
    return found


def host_facts(engine: Engine, settings: Settings) -> HostFactsState:
    done = engine.run(HostFacts().command(paths=paths_to_check(settings), models_dir=""))
    assert done.code == 0, done.output
    # The engine has no systemd, and its root is in memory, both of which preflight refuses.
    return replace(HostFacts().process(done.output.splitlines()), machine=Machine())


def test_every_key_of_this_engine_is_judged(parts: artefacts.Paths, tmp_path: Path) -> None:
    """daemon.json takes the names of flags, in the plural for those that may be repeated."""
    with Engine(parts, tmp_path) as engine:
        flags = set(re.findall(r"(?m)^ +(?:-\w, )?--([\w-]+)", engine.execute("dockerd --help").output))
        assert len(flags) > 70
        not_keys = {"help", "version", "validate", "config-file"}
        plurals = {"add-runtime": "runtimes", "insecure-registry": "insecure-registries"}
        keys = {plurals.get(flag, flag) for flag in flags - not_keys}
        assert sorted(key for key in keys if key not in JUDGED and f"{key}s" not in JUDGED) == []


# Each needs an engine of its own, so most are left to `make test SUITE=proxy-long`.
@pytest.mark.parametrize(
    "daemon",
    [
        pytest.param(
            {"default-network-opts": {"bridge": {f"{BRIDGE}host_binding_ipv4": "127.0.0.1"}}},
            id="binding",
            marks=pytest.mark.long,
        ),
        pytest.param(
            {"ip": "127.0.0.1", "icc": False, "ip-masq": False, "userland-proxy": False},
            id="default-bridge",
        ),
        pytest.param(
            {"bridge": "none", "log-driver": "none", "init": True, "no-new-privileges": True},
            id="containers",
            marks=pytest.mark.long,
        ),
        pytest.param(
            {"default-cgroupns-mode": "host", "default-address-pools": [{"base": "10.99.0.0/16", "size": 24}]},
            id="pools",
            marks=pytest.mark.long,
        ),
    ],
)
def test_what_is_not_refused_works(
    parts: artefacts.Paths, tmp_path: Path, settings: Settings, daemon: dict[str, Any]
) -> None:
    assert daemon_obstacles(daemon, settings, frozenset()) == []
    with deployed(parts, tmp_path, settings, daemon) as engine:
        assert effects(engine) == {"page", "ollama", "out"}
        assert find_obstacles(settings, host_facts(engine, settings)) == [], "the next deploy"


@pytest.mark.long
@pytest.mark.parametrize(
    ("daemon", "fails"),
    [
        ({"iptables": False}, {"out"}),
        ({"ip-forward": False}, {"page", "out"}),
        ({"default-network-opts": {"bridge": {f"{BRIDGE}enable_ip_masquerade": "false"}}}, {"out"}),
        ({"default-network-opts": {"bridge": {f"{BRIDGE}enable_icc": "false"}}}, {"ollama"}),
    ],
    ids=["iptables", "ip-forward", "masquerade", "icc"],
)
def test_what_is_refused_does_not_work(
    parts: artefacts.Paths, tmp_path: Path, settings: Settings, daemon: dict[str, Any], fails: set[str]
) -> None:
    with deployed(parts, tmp_path, settings, daemon) as engine:
        assert effects(engine) == {"page", "ollama", "out"} - fails
        (obstacle,) = find_obstacles(settings, host_facts(engine, settings))
        assert f'"{next(iter(daemon))}" in /etc/docker/daemon.json' in obstacle


def test_an_older_network_that_hides_the_page_is_not_accepted(
    parts: artefacts.Paths, tmp_path: Path, settings: Settings
) -> None:
    """Compose leaves an existing network as it is, with the default under which it was created."""
    labels = "--label com.docker.compose.project=hearth --label com.docker.compose.network=front"
    option = f"-o {BRIDGE}host_binding_ipv4=127.0.0.1 -o {BRIDGE}name=hearth-front"
    trial = f"cd /opt/hearth && HOME=/root bash -c {quote(TRIAL)}"
    with Engine(parts, tmp_path) as engine:
        assert engine.run(f"{_LAN}docker network create {option} {labels} hearth-front").code == 0
        engine.write(settings)
        engine.bring_up(settings)
        assert "page" not in effects(engine)
        done = engine.run(trial)
        assert done.code == 1
        assert "Docker publishes the page on 127.0.0.1:85 only, so no other machine can open it" in done.output
        assert "sudo docker compose down" in done.output
        assert engine.run("cd /opt/hearth && docker compose down").code == 0
        engine.bring_up(settings)
        assert "page" in effects(engine)
        assert engine.run(trial).code == 0


@pytest.mark.long
def test_without_the_default_bridge_the_host_has_no_name(
    parts: artefacts.Paths, tmp_path: Path, settings: Settings
) -> None:
    routes = [{"path": "/api/mine", "to": "http://host.docker.internal:5001/mine", "methods": ["GET"]}]
    settings = lab_settings(parts, ollama_models=[], docker_images_gb=0.1, proxy_extra_routes=routes)
    with Engine(parts, tmp_path, {"bridge": "none"}) as engine:
        engine.write(settings)
        started = ""
        with suppress(AssertionError):  # newer engines refuse to start the container
            engine.bring_up(settings)
            started = engine.execute("docker exec hearth-httpd grep host.docker /etc/hosts").output
        assert "172." not in started
        (obstacle,) = find_obstacles(settings, host_facts(engine, settings))
        assert '"bridge" in /etc/docker/daemon.json' in obstacle


@pytest.mark.long
def test_userns_remap(parts: artefacts.Paths, tmp_path: Path, settings: Settings) -> None:
    daemon = {"userns-remap": "default"}
    with deployed(parts, tmp_path, settings, daemon) as engine:
        assert effects(engine) == {"page", "ollama", "out"}
        host = host_facts(engine, settings)
        assert find_obstacles(settings, host) == []
        own = settings.model_copy(update={"ollama_models_dir": "/srv/models"})
        assert daemon_obstacles(daemon, own, host.kernel)
        assert engine.execute("mkdir -p /srv/models/models").code == 0
        engine.write(own)
        with pytest.raises(AssertionError, match="permission denied"):
            engine.bring_up(own)


def test_ports_without_the_userland_proxy(parts: artefacts.Paths, tmp_path: Path, settings: Settings) -> None:
    with Engine(parts, tmp_path, {"userland-proxy": False}) as engine:
        image = settings.proxy_image
        done = engine.execute(f"docker pull -q {image} && docker run -d --name blog -p 85:80 {image}")
        assert done.code == 0, done.output
        (obstacle,) = find_obstacles(settings, host_facts(engine, settings))
        assert "proxy_port = 85: the port is held by the container blog; remove it" in obstacle


def test_images_are_found_in_containerds_store(parts: artefacts.Paths, tmp_path: Path, settings: Settings) -> None:
    """On a disk of their own, which is too small; then pulled, recorded and found again."""
    with Engine(parts, tmp_path, {"features": {"containerd-snapshotter": True}}) as engine:
        root = "/var/lib/docker/containerd/daemon"
        host = host_facts(engine, settings)
        assert host.image_store == "containerd"
        assert images_dir(settings, host) == "/var/lib/containerd"
        done = engine.run(f"mkdir -p {root}/small && mount -t tmpfs -o size=16m tmpfs {root}")
        assert done.code == 0, done.output
        host = host_facts(engine, settings)
        assert host.file_system == {"/var/lib/docker": "/var/lib/docker", "/var/lib/containerd": root}
        (obstacle,) = find_obstacles(settings, host)
        assert f"the disk at {root} has 0.0 GB free" in obstacle
        engine.execute(f"umount {root}")

        references = (settings.ollama_image, settings.proxy_image)
        done = engine.run(pull_script(references, 60, 60, 0))
        assert done.code == 0, done.output
        done = engine.run(Images().command(references=references))
        state = Images().process(done.output.splitlines())
        assert state.missing(references) == []
        assert state.present == state.pulled
        # Ids are digests of the index or manifest here. `docker tag` and `docker rmi` take them, as a rollback does.
        old = state.present[settings.proxy_image]
        done = engine.run(f"set -e; docker tag {old} kept:1; docker rmi {settings.proxy_image}; docker tag {old} x:2")
        assert done.code == 0, done.output
        assert engine.execute("docker rmi kept:1 x:2").code == 0
        assert engine.execute(f"docker image inspect {old}").code != 0, "the last name removes the image"
