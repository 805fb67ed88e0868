"""A backup of one host: a tar file on the control machine, whose last member is the manifest.

A bundle (`hearth.bundle`) is such a file, too, with other members.

settings.json           every setting of the host
files/…                 files of /opt/hearth
records/…               Hearth's records of images and the engine, for comparison
models/manifests/…      models by name
models/blobs/sha256-…   their data, if requested
manifest.json           metadata, and the SHA-256 of all of the above
"""

from __future__ import annotations

import re
import time
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from hearth.footprint.image import Image

FORMAT = 1
MANIFEST = "manifest.json"
SETTINGS = "settings.json"
_SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9._@:+-]*"
_MEMBER = re.compile(
    rf"settings\.json|files/{_SEGMENT}(?:/{_SEGMENT})*|records/{_SEGMENT}"
    rf"|models/manifests/{_SEGMENT}(?:/{_SEGMENT})+|models/blobs/sha256-[0-9a-f]{{64}}"
    # Of bundles.
    r"|packages/[A-Za-z0-9][A-Za-z0-9.+~_-]*|images/sha256-[0-9a-f]{64}"
)
# Members whose names have their digest.
_BY_DIGEST = ("models/blobs/", "images/")


class BackupError(ValueError):
    """A backup that can't be written or used; the message gives the reason."""


class Member(BaseModel):
    """One member: its size in bytes and its SHA-256 in hex."""

    model_config = ConfigDict(frozen=True)
    size: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Model(BaseModel):
    """A model: full name, digest of its manifest, bytes of its data."""

    model_config = ConfigDict(frozen=True)
    name: str
    digest: str
    size: int


class Contents(BaseModel):
    """The metadata of a backup or a bundle.

    Attributes:
        kind: which of the two. (Early backups do not have it.)
        format: increases when older versions of Hearth can't read it.
        created: UTC, ISO 8601.
        commit: of the Hearth that wrote it; "" if unknown.
        has_blobs: models can be installed without pulling them.
        members: name → size and digest, of all members but the manifest itself.
    """

    KIND: ClassVar[str] = "backup"
    REQUIRED: ClassVar[tuple[str, ...]] = ()

    model_config = ConfigDict(frozen=True)
    kind: str = "backup"
    format: int
    created: str
    commit: str
    models: tuple[Model, ...]
    has_blobs: bool
    members: dict[str, Member]


class Manifest(Contents):
    """The metadata of a backup.

    Attributes:
        host: its name in the inventory.
        images: service (`ollama`, `httpd`) or reference → the host's image.
        secrets: whether there were any.
    """

    REQUIRED: ClassVar[tuple[str, ...]] = (SETTINGS,)

    host: str
    images: dict[str, Image]
    secrets: str


def digest_in_name(name: str) -> str:
    """The SHA-256 (hex) that a member's name promises; "" if it promises none."""
    return name.rpartition("-")[2] if name.startswith(_BY_DIGEST) else ""


def check_member(name: str) -> str:
    """The name, if it is valid in a backup.

    Raises:
        BackupError: it is not (`../etc/passwd`, `/etc/passwd`, a hidden file).
    """
    if not _MEMBER.fullmatch(name):
        raise BackupError(f"{name!r} is not a valid name in a backup")
    return name


def file_name(host: str, created: float) -> str:
    """`pi.local-20261122T035004Z.tar`; unusual characters in the host's name become `_`."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(created))
    return f"{re.sub(r'[^A-Za-z0-9._-]', '_', host).lstrip('.')}-{stamp}.tar"
