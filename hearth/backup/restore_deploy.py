"""Restore a backup to a host: the steps of a deploy, with the backup's settings, files, images and models."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import gevent
from pyinfra import host, logger, state
from pyinfra.api import DeployError, deploy

from hearth.backup.manifest import BackupError, file_name
from hearth.backup.reader import Archive
from hearth.backup.restore_operations import pull_saved_images, send_models, verify_restore
from hearth.backup.restore_plan import image_references
from hearth.backup.selection import settings_to_use
from hearth.models.deploy import pull_listed_models
from hearth.models.local_files import LocalFile, ModelFileError, load_model_files
from hearth.models.operations import create_variants
from hearth.runtime.options import read_required
from hearth.settings.load import SettingsError, load_settings
from hearth.settings.model import Settings
from hearth.stack.deploy import install_stack
from hearth.tls.local_files import TlsInputs

_STAMP = len("-20261122T035004Z.tar")


@cache
def _load(path: Path) -> Archive:
    # This reads gigabytes: yield meanwhile, so that the keepalives of other hosts don't time out.
    return Archive.load(path, breathe=lambda: gevent.sleep(0))


def open_backup() -> Archive:
    """The backup for this host, read completely once: damage is detected before any host is contacted.

    `x_restore_from` names a file, or a directory in which each host has its own newest backup.

    Raises:
        DeployError: it is missing or unusable.
    """
    path = Path(read_required("x_restore_from", host.data.get("x_restore_from"), "backups/….tar"))
    hosts = sum(1 for one in state.inventory if state.is_host_in_limit(one))
    try:
        if path.is_dir():
            return _load(_newest(path, host.name))
        if hosts != 1:
            raise BackupError(
                f"{path} is the backup of one host, but this run has {hosts}; use a directory with one backup per "
                "host, or `pyinfra … --limit`"
            )
        return _load(path)
    except BackupError as error:
        raise DeployError(f"{host.name}: {error}; nothing was changed") from None


def _newest(directory: Path, name: str) -> Path:
    prefix = file_name(name, 0)[:-_STAMP]
    found = sorted(path for path in directory.glob("*.tar") if path.name[:-_STAMP] == prefix)
    if not found:
        raise BackupError(f"there is no backup of {name} in {directory}")
    return found[-1]


def choose_settings(inventory: Settings) -> Settings:
    """The backup's settings; logs which of the inventory's are not used.

    Raises:
        DeployError: they are invalid in this version of Hearth.
    """
    archive = open_backup()
    manifest = archive.manifest
    logger.info(
        f"{host.print_prefix}backup of {manifest.host} from {manifest.created}, "
        f"{len(manifest.members)} members, all intact"
    )
    used, lines = settings_to_use(archive.settings, inventory.model_dump(mode="json"))
    for line in lines:
        logger.info(f"{host.print_prefix}{line}")
    try:
        return load_settings(used, host.name)
    except SettingsError as error:
        raise DeployError(f"settings in the backup are invalid in this version of Hearth:\n  {error}") from None


def _model_files(settings: Settings) -> dict[str, LocalFile]:
    """The GGUF files that are on this computer: those of variants in the backup are not needed."""
    try:
        return load_model_files(settings, missing_ok=True)
    except ModelFileError as error:
        raise DeployError(f"{host.name}: {error}") from None


@deploy("Restore")
def restore(archive: Archive, settings: Settings, tls_inputs: TlsInputs) -> None:
    files = archive.tree()
    references = image_references(files["compose.yaml"])
    known = {name: image for name, image in archive.manifest.images.items() if name in references.values()}
    pull_saved_images(name="Pull the backed-up images", images=known, timeout=settings.docker_pull_timeout)
    # The image in the backup validates httpd.conf, even if the host was edited before the backup.
    restored = settings.model_copy(update={"proxy_image": references.get("httpd", settings.proxy_image)})
    install_stack(restored, tls_inputs, files, references)
    send_models(name="Send the models", archive=archive, models_dir=settings.ollama_models_dir)
    # Never update models, regardless of the settings: restore the previous state.
    pull_listed_models(settings, update=False, title="Pull models that are not in the backup")
    if settings.ollama_model_variants:
        create_variants(
            name="Create model variants that are not in the backup",
            variants=settings.ollama_model_variants,
            files=_model_files(settings),
            only_missing=True,
        )
    verify_restore(name="Compare with the backup", archive=archive, models_dir=settings.ollama_models_dir)
