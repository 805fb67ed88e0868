"""A bundle: a tar file like a backup, whose last member is the manifest.

packages/…              Debian packages, and `Packages`, apt's index of them
images/sha256-…         container images: manifests, configurations and layers
models/manifests/…      models by name
models/blobs/sha256-…   their data
manifest.json           what it is for, and the SHA-256 of all of the above
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from hearth.backup.manifest import Contents
from hearth.backup.model_store import blobs_of
from hearth.backup.reader import ArchiveFile
from hearth.docker.packages import docker_source
from hearth.host.platform import Platform
from hearth.mdns.facts import PACKAGE as MDNS_PACKAGE
from hearth.metrics.rules import PACKAGES as METRICS_PACKAGES
from hearth.runtime.text import join_words
from hearth.settings.model import Settings
from hearth.settings.model_names import missing_models, name_from_manifest, name_key
from hearth.virtual_address.rules import PACKAGE as VIRTUAL_ADDRESS_PACKAGE

INDEX = "packages/Packages"
# Release → its version. Ubuntu's archive is not supported.
RELEASES = {"bookworm": 12, "trixie": 13}


class BundledImage(BaseModel):
    """A container image, by the digests (`sha256:…`) of its parts.

    Attributes:
        media_type: of the manifest.
        size: bytes of the manifest, the configuration and the layers.
    """

    model_config = ConfigDict(frozen=True)
    manifest: str
    media_type: str
    config: str
    layers: tuple[str, ...]
    size: int


class BundleManifest(Contents):
    """The metadata of a bundle.

    Attributes:
        release, architecture: of the hosts that it is for: `trixie`, `arm64`.
        packages: those that were asked for; the members include what they depend on.
        images: reference → image.
    """

    KIND: ClassVar[str] = "bundle"
    REQUIRED: ClassVar[tuple[str, ...]] = (INDEX,)

    kind: str = KIND
    release: str
    architecture: str
    packages: tuple[str, ...]
    images: dict[str, BundledImage]


class Bundle(ArchiveFile):
    """A verified bundle."""

    manifest_type = BundleManifest
    manifest: BundleManifest

    def model_members(self, models: Iterable[str]) -> frozenset[str]:
        """The members that these models consist of."""
        wanted = {name_key(model) for model in models}
        members = set()
        for name in self.names("models/manifests/"):
            if name_key(name_from_manifest(name.removeprefix("models/manifests/"))) in wanted:
                members |= {name, *(f"models/blobs/{blob}" for blob in blobs_of(self.read(name)))}
        return frozenset(members)


def debian(release: str, architecture: str) -> Platform:
    """The platform of hosts with that Debian."""
    version = RELEASES[release]
    return Platform("debian", version, release, architecture, f"Debian {version} ({release})")


@dataclass(frozen=True)
class Needs:
    """What hosts need from a bundle: names of packages, references of images, names of models."""

    packages: tuple[str, ...]
    images: tuple[str, ...]
    models: tuple[str, ...]


def extra_packages(settings: Settings) -> tuple[str, ...]:
    """Packages that some settings need, besides Docker's."""
    return (
        *(("nftables",) if settings.needs_firewall else ()),
        *((MDNS_PACKAGE,) if settings.host_local_name else ()),
        *((VIRTUAL_ADDRESS_PACKAGE,) if settings.host_virtual_address else ()),
        *(METRICS_PACKAGES if settings.metrics_access else ()),
    )


def find_needs(hosts: Iterable[Settings], platform: Platform) -> Needs:
    """What hosts with these settings need, each once.

    Raises:
        ValueError: a setting excludes a bundle; the message names it, its value and what to write instead.
    """
    packages: dict[str, None] = {}
    images: dict[str, None] = {}
    models: dict[str, str] = {}
    for settings in hosts:
        check_settings(settings)
        source = docker_source(platform, settings.docker_source, settings.docker_apt_url)
        packages |= dict.fromkeys([*source.packages, "ca-certificates", *extra_packages(settings)])
        images |= dict.fromkeys(settings.images.values())
        models |= {name_key(model): model for model in settings.pulled_models}
    return Needs(tuple(packages), tuple(images), tuple(models.values()))


def check_settings(settings: Settings) -> None:
    """Whether a host with these settings can do without internet.

    Raises:
        ValueError: it can't.
    """
    for name, service in (("ollama_image", "ollama"), ("proxy_image", "httpd")):
        image = settings.images.get(service, "")
        if "@" in image:
            raise ValueError(
                f"{name} = {image!r}: Docker does not keep an image's digest when it loads the image from a file; "
                f"use {image.partition('@')[0]!r} with a version. The bundle records the digest"
            )
    if settings.ollama_gpu == "nvidia":
        raise ValueError(
            'ollama_gpu = "nvidia": a bundle does not include NVIDIA\'s container toolkit; use "vulkan" or "off"'
        )
    if settings.proxy_tls == "acme":
        raise ValueError('proxy_tls = "acme": a public CA needs the internet; use "local-ca" or "files"')


def find_missing(manifest: BundleManifest, needs: Needs) -> list[str]:
    """What a bundle lacks, a phrase for each kind."""
    lacking = {
        "package": [name for name in needs.packages if name not in manifest.packages],
        "image": [name for name in needs.images if name not in manifest.images],
        "model": missing_models(needs.models, (model.name for model in manifest.models)),
    }
    return [
        f"the {kind}{'s' if len(names) > 1 else ''} {join_words(names)}" for kind, names in lacking.items() if names
    ]
