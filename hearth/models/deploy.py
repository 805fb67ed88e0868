"""The models that the settings list."""

from __future__ import annotations

from pyinfra.api import deploy

from hearth.models.operations import create_variants, prune_models, pull_models
from hearth.settings.model import Settings


@deploy("Models")
def models(settings: Settings) -> None:
    if not settings.runs_ollama:
        return
    pull_listed_models(settings, update=settings.ollama_update_models)
    if settings.ollama_model_variants:
        create_variants(name="Create the model variants", variants=settings.ollama_model_variants)
    # A setting, not a fact: if it is off there is no operation, and so no query of the host.
    if settings.ollama_prune_models:
        prune_models(name="Remove unlisted models", models=(*settings.pulled_models, *settings.ollama_model_variants))


def pull_listed_models(settings: Settings, update: bool, title: str = "Pull the models") -> None:
    """The operation that pulls missing models.

    Args:
        update: also pull models that have changed in the registry.
        title: name of the operation.
    """
    if not settings.runs_ollama:
        return
    pull_models(
        name=title,
        models=settings.pulled_models,
        registry=settings.ollama_model_registry,
        timeout=settings.ollama_pull_stall_timeout,
        retries=settings.ollama_pull_retries,
        update=update,
        models_dir=settings.ollama_models_dir,
    )
