"""Ollama and httpd: images, files, containers."""

from __future__ import annotations

from collections.abc import Mapping

from pyinfra.api import deploy

from hearth.boot.deploy import can_reboot
from hearth.boot.memory_cgroup import enforced_limits
from hearth.host.hardware import Hardware
from hearth.releases.operations import refuse_script
from hearth.render.stack_files import render_tree
from hearth.rollout.deploy import begin_turn
from hearth.runtime.checkout import deployer
from hearth.runtime.fact_snapshot import Query
from hearth.settings.model import Settings
from hearth.stack.container_facts import Project
from hearth.stack.container_operations import compose_up
from hearth.stack.file_facts import Tree
from hearth.stack.file_operations import sync_files
from hearth.stack.image_facts import Images
from hearth.stack.image_operations import pull_images
from hearth.tls.facts import Certificates
from hearth.tls.local_files import TlsInputs
from hearth.tls.operations import install_certificate


@deploy("Stack")
def stack(settings: Settings, tls_inputs: TlsInputs, hardware: Hardware) -> None:
    install_stack(
        settings,
        tls_inputs,
        render_tree(settings),
        settings.images,
        enforced_limits(settings, hardware, can_reboot(settings)),
    )


def install_stack(
    settings: Settings,
    tls_inputs: TlsInputs,
    files: Mapping[str, bytes],
    images: Mapping[str, str],
    limited: frozenset[str] | None = None,
) -> None:
    """The operations that make a host run these files and images.

    Args:
        files: path relative to /opt/hearth → content.
        images: service → reference.
        limited: services whose memory limits are in force; None if unknown.
    """
    pull_images(
        name="Pull the images",
        references=tuple(images.values()),
        timeout=settings.docker_pull_timeout,
        stall=settings.docker_pull_stall_timeout,
        retries=settings.docker_pull_retries,
    )
    begin_turn()
    # A setting, not a fact: without TLS there is no operation, and so no query of the host. Before the files, since
    # httpd.conf is validated with the certificate that it names.
    if settings.has_certificates:
        install_certificate(name="Install the certificate", settings=settings, tls_inputs=tls_inputs)
    sync_files(name="Write the files", files=files, settings=settings)
    compose_up(
        name="Start the containers",
        images=images,
        timeout=settings.docker_health_timeout,
        on_failure=refuse_script(settings, tuple(sorted(files)), deployer()),
        drain_timeout=settings.docker_drain_timeout,
        mtu=settings.docker_mtu,
        limited=limited,
        directories=(f"{settings.ollama_models_dir}/models",) if settings.ollama_models_dir else (),
    )


def stack_queries(settings: Settings) -> list[Query]:
    """The facts that the operations of `stack` ask for."""
    queries: list[Query] = [
        (Images, {"references": tuple(settings.images.values())}),
        (Tree, {"paths": tuple(sorted(render_tree(settings)))}),
        (Project, {}),
    ]
    if settings.has_certificates:
        queries.append(
            (Certificates, {"acme_name": settings.proxy_tls_names[0] if settings.proxy_tls == "acme" else ""})
        )
    return queries
