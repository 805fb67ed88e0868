"""The models that the settings list."""

from __future__ import annotations

from pyinfra.api import deploy

from hearth.models import operations
from hearth.settings.model import Settings


@deploy("Models")
def models(settings: Settings) -> None:
    operations.pulled(
        name="Pull the models",
        models=settings.ollama_models,
        registry=settings.ollama_model_registry,
        timeout=settings.ollama_pull_timeout,
        retries=settings.ollama_pull_retries,
        update=settings.ollama_update_models,
        models_dir=settings.ollama_models_dir,
    )
    # A setting, not a fact: no operation, and so no question to the host, where it is off.
    if settings.ollama_prune_models:
        operations.pruned(name="Remove the models that are not listed", models=settings.ollama_models)
