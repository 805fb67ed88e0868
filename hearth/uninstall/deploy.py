"""Uninstall: remove Hearth from a host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyinfra import host, logger
from pyinfra.api import DeployError, deploy

from hearth.render.stack_files import render_tree
from hearth.settings.model import Settings
from hearth.uninstall import operations


def show_plan(settings: Settings, delete_models: bool, root: Mapping[str, Any]) -> None:
    """Show what will be removed and what is kept, before pyinfra prompts for confirmation.

    Args:
        root: pyinfra arguments with which commands run as root.

    Raises:
        DeployError: Hearth's part of the host is unknown.
    """
    try:
        _, removal = operations.read_footprint(_files(settings), settings.ollama_models_dir, delete_models, **root)
    except ValueError as error:
        raise DeployError(f"{host.name}: {error}") from None
    for line in removal.lines or ["nothing: Hearth is not installed on this host"]:
        logger.info(f"{host.print_prefix}will remove: {line}")
    for line in removal.kept:
        logger.info(f"{host.print_prefix}will keep: {line}")


@deploy("Uninstall")
def uninstall(settings: Settings, delete_models: bool) -> None:
    """Containers, networks and images first, the records that identify them last. Docker itself is kept."""
    files, models_dir = _files(settings), settings.ollama_models_dir
    operations.remove_stack(
        name="Remove containers, networks and images",
        files=files,
        models_dir=models_dir,
        delete_models=delete_models,
    )
    # First: while live-restore is still on, the restart of the engine stops no container.
    operations.remove_proxy(name="Remove the HTTP proxy", files=files, models_dir=models_dir)
    operations.restore_engine_config(name="Restore daemon.json", files=files, models_dir=models_dir)
    operations.restore_boot_config(name="Restore the boot configuration", files=files, models_dir=models_dir)
    operations.remove_files(name="Remove the files", files=files, models_dir=models_dir)


def _files(settings: Settings) -> frozenset[str]:
    return frozenset(render_tree(settings))
