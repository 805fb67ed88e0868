"""A deploy from a bundle: `pyinfra inventory/pi.py deploy.py --data x_bundle=house.hearth`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import gevent
from pyinfra import host, logger
from pyinfra.api import DeployError, deploy

from hearth.backup.manifest import BackupError
from hearth.backup.restore_operations import send_models
from hearth.bundle import operations
from hearth.bundle.manifest import Bundle, debian, extra_packages, find_missing, find_needs
from hearth.docker.packages import docker_source
from hearth.host.platform import Platform
from hearth.settings.model import Settings


@cache
def _load(path: Path) -> Bundle:
    # This reads gigabytes: yield meanwhile, so that the keepalives of other hosts don't time out.
    return Bundle.load(path, breathe=lambda: gevent.sleep(0))


def open_bundle() -> Bundle | None:
    """The bundle of this run, read and verified completely once; None for a deploy from the internet.

    Raises:
        DeployError: it is missing or damaged.
    """
    path = host.data.get("x_bundle")
    if not path:
        return None
    try:
        return _load(Path(str(path)).expanduser())
    except BackupError as error:
        raise DeployError(f"{error}; nothing was changed. Make it again, or copy it again:\n  {_command()}") from None


def check_bundle(settings: Settings) -> Settings:
    """The settings of a run with or without a bundle, before the host is touched.

    Raises:
        DeployError: the bundle is damaged, or lacks something that the settings ask for.
    """
    bundle = open_bundle()
    if bundle is None:
        return settings
    manifest = bundle.manifest
    try:
        missing = find_missing(manifest, find_needs([settings], debian(manifest.release, manifest.architecture)))
    except ValueError as error:
        raise DeployError(f"{host.name}: {error}; nothing was changed") from None
    if missing:
        raise DeployError(
            f"{host.name}: {bundle.path} lacks {' and '.join(missing)}, and nothing was changed. On a computer with "
            f"internet, run:\n  {_command(manifest.release, manifest.architecture)}"
        )
    size = sum(member.size for member in manifest.members.values())
    logger.info(f"{host.print_prefix}bundle from {manifest.created}, {size / 1e6:.0f} MB, intact")
    # The bundle's models are the ones to have; a registry can't be asked.
    return settings.model_copy(update={"ollama_update_models": False})


def check_platform(bundle: Bundle | None, platform: Platform) -> None:
    """Whether a bundle is for this host.

    Raises:
        DeployError: it is for another release or processor.
    """
    if bundle is None:
        return
    meant = (bundle.manifest.release, bundle.manifest.architecture)
    found = (platform.codename, platform.architecture)
    if platform.family != "debian" or found != meant:
        raise DeployError(
            f"{host.name}: {bundle.path} is for Debian {meant[0]} on {meant[1]}, and the host is {platform.pretty_name}"
            f" ({found[0]}) on {found[1]}; nothing was changed. On a computer with internet, run:\n  {_command(*found)}"
        )


def _command(release: str = "trixie", architecture: str = "arm64") -> str:
    to = host.data.get("x_bundle")
    return f"hearth bundle INVENTORY --to {to} --release {release} --arch {architecture}"


def apt_arguments(root: Mapping[str, Any]) -> dict[str, Any]:
    """`root`, with an environment in which apt reads only the bundle's packages."""
    return {**root, "_env": {"APT_CONFIG": operations.APT_CONFIG}}


@deploy("Bundle")
def bundled_packages(bundle: Bundle, settings: Settings, platform: Platform) -> None:
    operations.send_packages(
        name="Copy the packages",
        bundle=bundle,
        engine=docker_source(platform, settings.docker_source, settings.docker_apt_url).packages,
        others=extra_packages(settings),
        keep_existing=settings.docker_source == "auto",
    )


@deploy("Bundle")
def bundled_images(bundle: Bundle, settings: Settings) -> None:
    operations.load_images(name="Load the images", bundle=bundle, references=tuple(settings.images.values()))


@deploy("Bundle")
def bundled_models(bundle: Bundle, settings: Settings) -> None:
    send_models(
        name="Send the models",
        archive=bundle,
        models_dir=settings.ollama_models_dir,
        only=bundle.model_members(settings.pulled_models),
    )


@deploy("Bundle")
def remove_copies() -> None:
    operations.remove_packages(name="Remove the copied packages")
