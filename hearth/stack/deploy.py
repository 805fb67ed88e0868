"""Ollama and httpd: images, files, containers."""

from __future__ import annotations

from pyinfra.api import deploy

from hearth.boot.deploy import can_reboot
from hearth.boot.memory_cgroup import limits_in_force
from hearth.host.hardware import Board
from hearth.releases import operations as releases
from hearth.render.stack_files import render_tree
from hearth.runtime.checkout import deployer
from hearth.settings.model import Settings
from hearth.stack import container_operations as project
from hearth.stack import file_operations as tree
from hearth.stack import image_operations as images
from hearth.tls import operations as certificate
from hearth.tls.local_files import Material


@deploy("Stack")
def stack(settings: Settings, material: Material, board: Board) -> None:
    references = {"ollama": settings.ollama_image, "httpd": settings.proxy_image}
    images.pulled(
        name="Pull the images",
        references=tuple(references.values()),
        timeout=settings.docker_pull_timeout,
        stall=settings.docker_pull_stall,
        retries=settings.docker_pull_retries,
    )
    # A setting, not a fact: no operation, and so no question to the host, where it is off. Before the files, since
    # httpd.conf is tried with the certificate that it names.
    if settings.proxy_tls != "off":
        certificate.provided(name="Put the certificate", settings=settings, material=material)
    files = render_tree(settings)
    tree.synced(name="Put the files", files=files, settings=settings)
    project.up(
        name="Bring the containers up",
        images=references,
        timeout=settings.docker_health_timeout,
        on_failure=releases.refuse_script(settings, tuple(sorted(files)), deployer()),
        quiet_wait=settings.docker_quiet_wait,
        limited=limits_in_force(settings, board, can_reboot(settings)),
        directories=(f"{settings.ollama_models_dir}/models",) if settings.ollama_models_dir else (),
    )
