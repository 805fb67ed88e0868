"""Make a bundle: `hearth bundle INVENTORY --to FILE`. No host is contacted.

What is downloaded is kept in a directory next to the file until that is complete, so an interrupted run can be resumed.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from hearth.backup.manifest import BackupError
from hearth.backup.model_store import blobs_of, list_models
from hearth.backup.writer import Writer
from hearth.bundle import packages as debian_packages
from hearth.bundle.manifest import INDEX, BundledImage, BundleManifest, Needs, debian, find_needs
from hearth.bundle.packages import Apt, PackageError, find_mirrors
from hearth.bundle.registry import Registry, RegistryError, repositories, sleep
from hearth.docker.packages import docker_source
from hearth.host.platform import Platform
from hearth.runtime.checkout import current_commit
from hearth.runtime.pyinfra_process import failure_reason, resolve_inventory, run_pyinfra, select_hosts
from hearth.runtime.ssh_address import network_address
from hearth.settings.house import HouseError, known_address, resolve_house
from hearth.settings.load import SettingsError, load_settings
from hearth.settings.model import Settings
from hearth.settings.model_names import manifest_path, manifest_url

_MB = 1e6
_REPORT = 5.0  # seconds between two lines of progress


class BundleError(Exception):
    """A bundle can't be made; the message gives the reason."""


@dataclass(frozen=True)
class Options:
    """The command line of `hearth bundle`.

    Attributes:
        release, architecture: of the hosts.
        mirror: URL of Debian's archive; "" for that of this computer's apt.
    """

    inventory: str
    to: Path
    release: str
    architecture: str
    limit: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    mirror: str = ""


@dataclass(frozen=True)
class Blob:
    """A file to download: its URL, its bytes, and what it is part of."""

    url: str
    size: int
    title: str


def main(options: Options) -> int:
    """Make the bundle; the exit code."""
    try:
        create(options, read_settings(options))
    except (BundleError, PackageError, RegistryError, BackupError) as error:
        print(f"no bundle was made: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"no bundle was made: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


def read_settings(options: Options) -> list[Settings]:
    """The settings of the inventory's hosts.

    Raises:
        BundleError: there are none, or they are invalid.
    """
    data = [word for one in options.data for word in ("--data", one)]
    done = run_pyinfra(resolve_inventory(options.inventory), "debug-inventory", "--json", *data, timeout=300)
    names = select_hosts(done.stdout, options.limit) if done.returncode == 0 else []
    if not names:
        no_match = done.returncode == 0 and options.limit
        problem = "no host of the inventory matches --limit" if no_match else failure_reason(done.stderr)
        raise BundleError(f"{options.inventory}: {problem or 'no hosts'}")
    hosts = {one["name"]: one["data"] for one in json.loads(done.stdout)}
    try:
        loaded = {name: load_settings(values, name) for name, values in hosts.items()}
        addresses = {name: known_address(network_address(name, hosts[name]), one) for name, one in loaded.items()}
        # All hosts, also those that --limit leaves out: a backend needs a firewall because a gateway uses it.
        resolved = resolve_house(loaded, addresses)
    except (SettingsError, HouseError) as error:
        raise BundleError(f"invalid settings:\n  {error}") from None
    return [resolved[name] for name in names]


def create(options: Options, hosts: Sequence[Settings], wait: Callable[[float], object] = sleep) -> BundleManifest:
    """Download what is missing, and write the file.

    Args:
        hosts: their settings.
        wait: sleeps that many seconds before a retry.

    Raises:
        BundleError, PackageError, RegistryError, BackupError, OSError: a download or the file failed.
    """
    begun = time.monotonic()
    platform = debian(options.release, options.architecture)
    try:
        needs = find_needs(hosts, platform)
    except ValueError as error:
        raise BundleError(str(error)) from None
    parts = options.to.with_name(f"{options.to.name}.parts")
    (parts / "blobs").mkdir(parents=True, exist_ok=True)
    print(f"for {platform.pretty_name} on {platform.architecture}:")
    apt = _apt(parts / "apt", platform, hosts[0], options.mirror)
    apt.update()
    count, package_bytes = apt.size(needs.packages)
    print(f"  {count} packages, {package_bytes / _MB:.0f} MB: {', '.join(needs.packages)} and what they need")
    registry = Registry()
    images, image_manifests, blobs = find_images(registry, needs, hosts[0], platform.architecture)
    model_manifests, model_blobs = find_models(registry, needs, hosts[0])
    blobs |= model_blobs
    total = package_bytes + sum(blob.size for blob in blobs.values())
    absent = {name: blob for name, blob in blobs.items() if not (parts / "blobs" / name).is_file()}
    partials = (parts / "blobs" / f"{name}.partial" for name in absent)
    left = sum(blob.size for blob in absent.values()) - sum(path.stat().st_size for path in partials if path.exists())
    print(f"{total / _MB:.0f} MB in total; {left / _MB:.0f} MB of images and models to download")
    _check_space(options.to, left + total)

    files = apt.download(needs.packages)
    progress = _Progress(left)
    for name, blob in absent.items():
        registry.fetch(blob.url, parts / "blobs" / name, partial(progress.add, blob.title), wait)

    print(f"writing {options.to} …")
    options.to.with_name(f".{options.to.name}.partial").unlink(missing_ok=True)  # of a run that was killed
    with Writer(options.to) as writer:
        writer.add_bytes(INDEX, debian_packages.index(files))
        for path in files:
            _add(writer, debian_packages.member_name(path), path)
        for image, text in zip(images.values(), image_manifests, strict=True):
            writer.add_bytes(f"images/{image.manifest.replace(':', '-')}", text)
        for name in blobs:
            _add(writer, f"{'models/blobs' if name in model_blobs else 'images'}/{name}", parts / "blobs" / name)
        for path_, text in model_manifests.items():
            writer.add_bytes(f"models/manifests/{path_}", text)
        manifest = writer.finish_as(
            BundleManifest,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            commit=current_commit(),
            models=list_models(model_manifests),
            has_blobs=True,
            release=options.release,
            architecture=options.architecture,
            packages=needs.packages,
            images=images,
        )
    shutil.rmtree(parts)
    size = options.to.stat().st_size / _MB
    print(f"{options.to}: {size:.0f} MB, in {time.monotonic() - begun:.0f} s. Deploy it with:")
    print(f"  hearth deploy {options.inventory} --bundle {options.to}")
    return manifest


def _apt(directory: Path, platform: Platform, settings: Settings, mirror: str) -> Apt:
    archive, security = (mirror, f"{mirror.rstrip('/')}-security") if mirror else find_mirrors()
    if not archive:
        raise BundleError(
            "this computer's apt has no Debian archive; give its address with --mirror (that of its security archive "
            "is assumed to be the same with -security at its end)"
        )
    source = docker_source(platform, settings.docker_source, settings.docker_apt_url)
    return Apt(directory.absolute(), platform, archive, security, source.repository)


def find_images(
    registry: Registry, needs: Needs, settings: Settings, architecture: str
) -> tuple[dict[str, BundledImage], list[bytes], dict[str, Blob]]:
    """Reference → image; their manifests, in this order; name of a blob → where it is."""
    images: dict[str, BundledImage] = {}
    manifests: list[bytes] = []
    blobs: dict[str, Blob] = {}
    for reference in needs.images:
        places, tag = repositories(reference, tuple(settings.docker_registry_mirrors))
        errors = []
        for place in places:
            try:
                image, text = registry.image(place, tag, architecture)
            except RegistryError as error:
                errors.append(str(error))
                continue
            break
        else:
            raise BundleError(f"could not get the image {reference}: {'; '.join(errors)}")
        images[reference] = image
        manifests.append(text)
        # A manifest lists the configuration like a layer, so its size is known, too.
        for name, size in blobs_of(text).items():
            blobs[name] = Blob(f"{place}/blobs/{name.replace('-', ':', 1)}", size, reference)
        print(f"  image {reference}, {image.size / _MB:.0f} MB: {image.manifest}")
    return images, manifests, blobs


def find_models(registry: Registry, needs: Needs, settings: Settings) -> tuple[dict[str, bytes], dict[str, Blob]]:
    """Path below `manifests/` → manifest; name of a blob → where it is."""
    manifests: dict[str, bytes] = {}
    blobs: dict[str, Blob] = {}
    for model in needs.models:
        url = manifest_url(model, settings.ollama_model_registry)
        try:
            text = registry.manifest(url)
            parts = blobs_of(text)
        except (RegistryError, ValueError) as error:
            raise BundleError(f"could not get the model {model} (ollama_models): {error}") from None
        manifests[manifest_path(model)] = text
        place = url.partition("/manifests/")[0]
        for name, size in parts.items():
            blobs[name] = Blob(f"{place}/blobs/{name.replace('-', ':', 1)}", size, model)
        digest = hashlib.sha256(text).hexdigest()
        print(f"  model {model}, {sum(parts.values()) / _MB:.0f} MB: sha256:{digest}")
    return manifests, blobs


def _check_space(to: Path, needed: int) -> None:
    free = shutil.disk_usage(to.parent).free
    if free < needed:
        raise BundleError(
            f"{to.parent} has {free / _MB:.0f} MB free, and {needed / _MB:.0f} MB are needed: for what is downloaded, "
            "and for the file that is written from it"
        )


def _add(writer: Writer, name: str, path: Path) -> None:
    with path.open("rb") as file:
        writer.add(name, path.stat().st_size, file)


class _Progress:
    """Prints how far a download is, at most every few seconds."""

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0
        self._begun = self._last = time.monotonic()

    def add(self, title: str, count: int) -> None:
        self._done += count
        now = time.monotonic()
        if now - self._last >= _REPORT:
            self._last = now
            rate = self._done / (now - self._begun) / _MB
            share = f"{self._done / _MB:.0f} of {self._total / _MB:.0f} MB ({self._done * 100 // (self._total or 1)}%)"
            print(f"  {share}, {rate:.1f} MB/s: {title}", flush=True)
