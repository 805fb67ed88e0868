"""A backup put onto a host: the same parts as in a deploy, with the backup's settings, files, images and models."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import gevent
from pyinfra import host, logger
from pyinfra.api import DeployError, deploy

from hearth.backup import restore_operations as operations
from hearth.backup.manifest import BackupError, file_name
from hearth.backup.reader import Archive
from hearth.backup.restore_plan import image_references
from hearth.backup.selection import settings_to_use
from hearth.models import operations as model_operations
from hearth.releases import operations as releases
from hearth.runtime.checkout import deployer
from hearth.settings.load import SettingsError, load_settings
from hearth.settings.model import Settings
from hearth.stack import container_operations as project
from hearth.stack import file_operations as tree
from hearth.stack import image_operations as images
from hearth.tls import operations as certificate
from hearth.tls.local_files import Material

_STAMP = len("-20261122T035004Z.tar")


@cache
def _load(path: Path) -> Archive:
    # Gigabytes are read: connections to other hosts, which are watched meanwhile, must not look dead for that.
    return Archive.load(path, breathe=lambda: gevent.sleep(0))


def open_backup(path: Path, hosts: int) -> Archive:
    """The backup for this host, read whole once: damage is found before anything is asked of a host.

    Args:
        path: a file, or a directory of which each host gets its newest.
        hosts: how many the run is for.

    Raises:
        DeployError: there is none, or it can't be used.
    """
    try:
        if path.is_dir():
            return _load(_newest(path, host.name))
        if hosts != 1:
            raise BackupError(
                f"{path} is the backup of one host, and this run is for {hosts}; a directory with one for each, or "
                "`pyinfra … --limit` would be right"
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


def choose_settings(archive: Archive, inventory: Settings) -> Settings:
    """The backup's settings; says which of the inventory's are not used.

    Raises:
        DeployError: this version of Hearth can't use them.
    """
    of = archive.manifest
    logger.info(f"{host.print_prefix}backup of {of.host} from {of.created}, {len(of.members)} members, all whole")
    used, lines = settings_to_use(archive.settings, inventory.model_dump(mode="json"))
    for line in lines:
        logger.info(f"{host.print_prefix}{line}")
    try:
        return load_settings(used, host.name)
    except SettingsError as error:
        raise DeployError(f"settings in the backup can't be used by this version of Hearth:\n  {error}") from None


@deploy("Restore")
def restore(archive: Archive, settings: Settings, material: Material) -> None:
    files = archive.tree()
    references = image_references(files["compose.yaml"])
    known = {name: image for name, image in archive.manifest.images.items() if name in references.values()}
    operations.images_pulled(
        name="Pull the images that were backed up", images=known, timeout=settings.docker_pull_timeout
    )
    images.pulled(
        name="Pull the others",
        references=tuple(references.values()),
        timeout=settings.docker_pull_timeout,
        stall=settings.docker_pull_stall,
        retries=settings.docker_pull_retries,
    )
    if settings.proxy_tls != "off":  # secrets are in no backup
        certificate.provided(name="Put the certificate", settings=settings, material=material)
    # The image that will run tries httpd.conf, also where somebody had edited the host that was backed up.
    trying = settings.model_copy(update={"proxy_image": references["httpd"]})
    tree.synced(name="Put the files", files=files, settings=trying)
    project.up(
        name="Bring the containers up",
        images=references,
        timeout=settings.docker_health_timeout,
        on_failure=releases.refuse_script(settings, tuple(sorted(files)), deployer()),
        quiet_wait=settings.docker_quiet_wait,
        directories=(f"{settings.ollama_models_dir}/models",) if settings.ollama_models_dir else (),
    )
    operations.models_sent(name="Send the models", archive=archive, models_dir=settings.ollama_models_dir)
    model_operations.pulled(
        name="Pull the models that did not come with the backup",
        models=settings.ollama_models,
        registry=settings.ollama_model_registry,
        timeout=settings.ollama_pull_timeout,
        retries=settings.ollama_pull_retries,
        # Never newer ones, whatever the settings say: this is to be as it was.
        update=False,
        models_dir=settings.ollama_models_dir,
    )
    operations.verified(name="Compare with the backup", archive=archive, models_dir=settings.ollama_models_dir)
