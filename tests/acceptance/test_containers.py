"""Containers, networks and volume, in the engine's API."""

from __future__ import annotations

from typing import Any

import docker
import pytest
from docker.models.containers import Container

from hearth.paths import BACK, CONTAINERS, HTTPD_USER, MODELS_VOLUME, PROJECT, SERVICE_NETWORKS
from hearth.settings.model import Settings
from hearth.settings.origins import ollama_origins
from hearth.stack.container_operations import DEFAULT_MTU


@pytest.fixture(scope="module")
def containers(engine: docker.DockerClient) -> dict[str, Container]:
    """Our containers by service, running or not."""
    found = engine.containers.list(all=True, filters={"label": f"com.docker.compose.project={PROJECT}"})
    return {container.labels["com.docker.compose.service"]: container for container in found}


def test_services_are_healthy_with_the_configured_images(containers: dict[str, Container], settings: Settings) -> None:
    names = {service: container.name for service, container in containers.items()}
    assert names == {service: CONTAINERS[service] for service in settings.images}
    for service, image in settings.images.items():
        attributes = containers[service].attrs
        assert attributes["State"]["Status"] == "running", service
        assert attributes["State"]["Health"]["Status"] == "healthy", attributes["State"]["Health"]["Log"][-1:]
        assert attributes["Config"]["Image"] == image
        assert attributes["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"


def test_each_network_has_exactly_its_containers(
    engine: docker.DockerClient, containers: dict[str, Container], settings: Settings
) -> None:
    for name in frozenset.union(*(SERVICE_NETWORKS[service] for service in settings.images)):
        network = engine.networks.get(name)
        members = {CONTAINERS[service] for service in settings.images if name in SERVICE_NETWORKS[service]}
        assert {member["Name"] for member in network.attrs["Containers"].values()} == members
        assert network.attrs["Internal"] is (name == BACK), "the network between both is internal"
    for service, container in containers.items():
        assert set(container.attrs["NetworkSettings"]["Networks"]) == SERVICE_NETWORKS[service], container.name


def test_networks_with_a_way_out_have_the_configured_mtu(engine: docker.DockerClient, settings: Settings) -> None:
    if settings.docker_mtu != DEFAULT_MTU:
        names = frozenset.union(*(SERVICE_NETWORKS[service] for service in settings.images)) - {BACK}
        options = [engine.networks.get(name).attrs["Options"] for name in names]
        assert {one["com.docker.network.driver.mtu"] for one in options} == {str(settings.docker_mtu)}


@pytest.mark.needs("ollama")
def test_ollama_has_the_configured_environment(containers: dict[str, Container], settings: Settings) -> None:
    environment = dict(item.split("=", 1) for item in containers["ollama"].attrs["Config"]["Env"])
    assert environment["OLLAMA_ORIGINS"] == ollama_origins(settings.allowed_origins)
    assert environment["OLLAMA_KEEP_ALIVE"] == settings.ollama_keep_alive
    assert environment["OLLAMA_NUM_PARALLEL"] == str(settings.ollama_num_parallel)
    assert environment["OLLAMA_MAX_QUEUE"] == str(settings.ollama_max_queue)
    assert environment["OLLAMA_CONTEXT_LENGTH"] == str(settings.ollama_context_length)


def test_logs_are_bounded(containers: dict[str, Container], settings: Settings) -> None:
    for container in containers.values():
        assert container.attrs["HostConfig"]["LogConfig"]["Config"] == {
            "max-size": settings.docker_log_max_size,
            "max-file": str(settings.docker_log_max_files),
        }, container.name


@pytest.mark.needs("ollama")
def test_models_are_stored_in_the_configured_place(containers: dict[str, Container], settings: Settings) -> None:
    mounts = {mount["Destination"]: mount for mount in containers["ollama"].attrs["Mounts"]}
    store = mounts["/root/.ollama"]
    if settings.ollama_models_dir:
        assert (store["Type"], store["Source"]) == ("bind", settings.ollama_models_dir)
    else:
        assert (store["Type"], store["Name"]) == ("volume", MODELS_VOLUME)


def test_containers_have_no_access_to_the_engine(containers: dict[str, Container]) -> None:
    for container in containers.values():
        assert not container.attrs["HostConfig"]["Privileged"], container.name
        assert not [mount for mount in container.attrs["Mounts"] if "docker.sock" in mount.get("Source", "")]


def test_containers_have_minimal_privileges(
    engine: docker.DockerClient, containers: dict[str, Container], settings: Settings
) -> None:
    # Some containers of Proxmox have no such control group.
    limits_pids = engine.info()["PidsLimit"]
    allowed = {"ollama": {"DAC_OVERRIDE"} if settings.ollama_models_dir else set(), "httpd": set()}
    for service, container in containers.items():
        limits = container.attrs["HostConfig"]
        assert limits["ReadonlyRootfs"], service
        assert limits["CapDrop"] == ["ALL"], service
        # Docker may write them with or without their prefix.
        assert {name.removeprefix("CAP_") for name in limits["CapAdd"] or []} == allowed[service]
        assert any(option.startswith("no-new-privileges") for option in limits["SecurityOpt"] or []), service
        assert not limits_pids or limits["PidsLimit"] > 0, service
        assert (limits["PidMode"], limits["UsernsMode"], limits["Devices"] or []) == ("", "", []), service
        assert service != "httpd" or container.attrs["Config"]["User"] == HTTPD_USER


def test_processes_have_no_capabilities(host: Any, containers: dict[str, Container], settings: Settings) -> None:
    """The actual state of the processes, not the engine's configuration."""
    for service, container in containers.items():
        status = host.file(f"/proc/{container.attrs['State']['Pid']}/status").content_string
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        capabilities = 1 << 1 if service == "ollama" and settings.ollama_models_dir else 0
        assert int(fields["CapBnd"], 16) == int(fields["CapEff"], 16) == capabilities, service
        assert fields["NoNewPrivs"] == "1", service
