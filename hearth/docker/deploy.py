"""Docker on the host."""

from __future__ import annotations

from pyinfra.api import deploy

from hearth.docker import operations as engine
from hearth.docker.packages import DockerSource
from hearth.settings.model import Settings


@deploy("Docker")
def docker(settings: Settings, source: DockerSource, codename: str) -> None:
    engine.configured(name="Configure the engine", settings=settings, source=source)
    engine.installed(
        name="Install the engine and Compose",
        source=source,
        codename=codename,
        keep_existing=settings.docker_source == "auto",
        timeout=settings.docker_apt_timeout,
    )
