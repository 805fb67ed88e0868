"""A backup put onto a host: the same parts as in a deploy, with the backup's settings, files, images and models."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import gevent
from pyinfra import host, logger, state
from pyinfra.api import DeployError, deploy

from hearth.backup import restore_operations as operations
from hearth.backup.manifest import BackupError, file_name
from hearth.backup.reader import Archive
from hearth.backup.restore_plan import image_references
from hearth.backup.selection import settings_to_use
from hearth.models.deploy import pull_listed_models
from hearth.runtime.options import read_required
from hearth.settings.load import SettingsError, load_settings
from hearth.settings.model import Settings
from hearth.stack.deploy import install_stack
from hearth.tls.local_files import TlsInputs

_STAMP = len("-20261122T035004Z.tar")


@cache
def _load(path: Path) -> Archive:
    # Gigabytes are read: connections to other hosts, which are watched meanwhile, must not look dead for that.
    return Archive.load(path, breathe=lambda: gevent.sleep(0))


def open_backup() -> Archive:
    """The backup for this host, read whole once: damage is found before anything is asked of a host.

    `x_restore_from` names a file, or a directory of which each host gets its newest.

    Raises:
        DeployError: there is none, or it can't be used.
    """
    path = Path(read_required("FROM", host.data.get("x_restore_from"), "backups/….tar"))
    hosts = sum(1 for one in state.inventory if state.is_host_in_limit(one))
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


def choose_settings(inventory: Settings) -> Settings:
    """The backup's settings; says which of the inventory's are not used.

    Raises:
        DeployError: this version of Hearth can't use them.
    """
    archive = open_backup()
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
def restore(archive: Archive, settings: Settings, tls_inputs: TlsInputs) -> None:
    files = archive.tree()
    references = image_references(files["compose.yaml"])
    known = {name: image for name, image in archive.manifest.images.items() if name in references.values()}
    operations.pull_saved_images(
        name="Pull the images that were backed up", images=known, timeout=settings.docker_pull_timeout
    )
    # The image that will run tries httpd.conf, also where somebody had edited the host that was backed up.
    trying = settings.model_copy(update={"proxy_image": references["httpd"]})
    install_stack(trying, tls_inputs, files, references)
    operations.send_models(name="Send the models", archive=archive, models_dir=settings.ollama_models_dir)
    # Never newer ones, whatever the settings say: this is to be as it was.
    pull_listed_models(settings, update=False, title="Pull the models that did not come with the backup")
    operations.verify_restore(name="Compare with the backup", archive=archive, models_dir=settings.ollama_models_dir)
