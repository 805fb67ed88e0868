"""The GPU, before and after the containers."""

from __future__ import annotations

from pyinfra.api import deploy

from hearth.gpu import operations
from hearth.settings.model import Settings


@deploy("GPU")
def gpu(settings: Settings) -> None:
    """Before the containers, which need it to start."""
    if settings.ollama_gpu == "nvidia":
        operations.install_toolkit(
            name="Give containers access to the GPU",
            apt_url=settings.ollama_gpu_apt_url,
            timeout=settings.docker_apt_timeout,
        )


@deploy("Use of the GPU")
def gpu_use(settings: Settings) -> None:
    """After the release, whose test prompt proves the use of the GPU: a GPU that was lost later is no new release."""
    if settings.ollama_gpu != "off":
        operations.use_gpu(
            name="Use the GPU",
            models=settings.trial_models,
            timeout=settings.docker_health_timeout,
            drain_timeout=settings.docker_drain_timeout,
        )
