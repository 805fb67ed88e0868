"""Containers, network and volume, as the engine's API shows them."""

from __future__ import annotations

import docker
import pytest
from docker.models.containers import Container

from hearth.host_paths import CONTAINERS, MODELS_VOLUME, NETWORK, PROJECT
from hearth.origins import ollama_origins
from hearth.settings import Settings


@pytest.fixture(scope="module")
def containers(engine: docker.DockerClient) -> dict[str, Container]:
    """Our containers by service, running or not."""
    found = engine.containers.list(all=True, filters={"label": f"com.docker.compose.project={PROJECT}"})
    return {container.labels["com.docker.compose.service"]: container for container in found}


def test_both_services_run_healthy_from_the_images_asked_for(
    containers: dict[str, Container], settings: Settings
) -> None:
    assert {service: container.name for service, container in containers.items()} == CONTAINERS
    for service, image in (("ollama", settings.ollama_image), ("httpd", settings.proxy_image)):
        attributes = containers[service].attrs
        assert attributes["State"]["Status"] == "running", service
        assert attributes["State"]["Health"]["Status"] == "healthy", attributes["State"]["Health"]["Log"][-1:]
        assert attributes["Config"]["Image"] == image
        assert attributes["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"


def test_network_has_exactly_our_two_containers(engine: docker.DockerClient, containers: dict[str, Container]) -> None:
    network = engine.networks.get(NETWORK)
    assert {member["Name"] for member in network.attrs["Containers"].values()} == set(CONTAINERS.values())
    for container in containers.values():
        assert set(container.attrs["NetworkSettings"]["Networks"]) == {NETWORK}, container.name


def test_ollama_has_the_environment_asked_for(containers: dict[str, Container], settings: Settings) -> None:
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


def test_models_live_where_the_settings_say(containers: dict[str, Container], settings: Settings) -> None:
    mounts = {mount["Destination"]: mount for mount in containers["ollama"].attrs["Mounts"]}
    store = mounts["/root/.ollama"]
    if settings.ollama_models_dir:
        assert (store["Type"], store["Source"]) == ("bind", settings.ollama_models_dir)
    else:
        assert (store["Type"], store["Name"]) == ("volume", MODELS_VOLUME)


def test_no_container_can_reach_the_engine(containers: dict[str, Container]) -> None:
    for container in containers.values():
        assert not container.attrs["HostConfig"]["Privileged"], container.name
        assert not [mount for mount in container.attrs["Mounts"] if "docker.sock" in mount.get("Source", "")]
