"""The models that the settings list."""

from __future__ import annotations

from collections.abc import Mapping

from pyinfra.api import deploy

from hearth.models.facts import ModelFiles, Models
from hearth.models.local_files import LocalFile
from hearth.models.operations import create_variants, prune_models, pull_models, variant_models
from hearth.runtime.fact_snapshot import Query
from hearth.settings.model import Settings


@deploy("Models")
def models(settings: Settings, files: Mapping[str, LocalFile]) -> None:
    if not settings.runs_ollama:
        return
    pull_listed_models(settings, update=settings.ollama_update_models)
    if settings.ollama_model_variants:
        create_variants(name="Create the model variants", variants=settings.ollama_model_variants, files=files)
    # A setting, not a fact: if it is off there is no operation, and so no query of the host.
    if settings.ollama_prune_models:
        listed = (*settings.pulled_models, *settings.file_models, *settings.ollama_model_variants)
        prune_models(name="Remove unlisted models", models=listed)


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


def model_queries(settings: Settings) -> list[Query]:
    """The facts that the operations of `models` ask for, except for those that need a registry."""
    queries: list[Query] = []
    if not settings.runs_ollama:
        return queries
    if not settings.ollama_update_models:
        queries.append((Models, {"models_dir": settings.ollama_models_dir, "manifests": ()}))
    if settings.ollama_model_variants:
        queries.append((ModelFiles, {"models": variant_models(settings.ollama_model_variants)}))
    return queries
