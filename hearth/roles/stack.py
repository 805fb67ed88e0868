"""Ollama and httpd: images, files, containers."""

from __future__ import annotations

from pyinfra.api import deploy

from hearth.checkout import deployer
from hearth.operations import images, project, releases, tree
from hearth.render import render_tree
from hearth.settings import Settings


@deploy("Stack")
def stack(settings: Settings) -> None:
    references = {"ollama": settings.ollama_image, "httpd": settings.proxy_image}
    images.pulled(
        name="Pull the images",
        references=tuple(references.values()),
        timeout=settings.docker_pull_timeout,
        stall=settings.docker_pull_stall,
        retries=settings.docker_pull_retries,
    )
    files = render_tree(settings)
    tree.synced(name="Put the files", files=files, settings=settings)
    project.up(
        name="Bring the containers up",
        images=references,
        timeout=settings.docker_health_timeout,
        on_failure=releases.refuse_script(settings, tuple(sorted(files)), deployer()),
        quiet_wait=settings.docker_quiet_wait,
        directories=(f"{settings.ollama_models_dir}/models",) if settings.ollama_models_dir else (),
    )
