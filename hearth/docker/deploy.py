"""Docker on the host."""

from __future__ import annotations

from dataclasses import replace

from pyinfra.api import deploy

from hearth.docker import operations
from hearth.docker.facts import Engine
from hearth.docker.packages import docker_source
from hearth.host.platform import Platform
from hearth.runtime.fact_snapshot import Query
from hearth.settings.model import Settings


@deploy("Docker")
def docker(settings: Settings, platform: Platform, from_bundle: bool = False) -> None:
    """The engine's configuration and packages.

    Args:
        from_bundle: apt has the packages of a bundle, and Docker's own repository is not added.
    """
    source = docker_source(platform, settings.docker_source, settings.docker_apt_url)
    if from_bundle:
        source = replace(source, repository="")
    operations.configure_engine(name="Configure the engine", settings=settings, source=source)
    operations.install_engine(
        name="Install the engine and Compose",
        source=source,
        codename=platform.codename,
        keep_existing=settings.docker_source == "auto",
        timeout=settings.docker_apt_timeout,
    )


def docker_queries(settings: Settings, platform: Platform) -> list[Query]:
    """The facts that these operations ask for."""
    return [(Engine, {"packages": docker_source(platform, settings.docker_source, settings.docker_apt_url).packages})]
