"""A copy of the lab's image registry, to which images can be added: the original is shared by all checkouts.

Images are written directly in docker-registry's layout: an existing image with an additional layer.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path

from lab import artefacts, cache

_V2 = Path("docker/registry/v2")


def program_and_storage() -> tuple[Path, Path]:
    """The lab's docker-registry and its storage, which must not be changed."""
    keys = artefacts.keys()
    paths = {name: cache.path_of(name, keys[name]) for name in ("tools", "images")}
    return paths["tools"] / "docker-registry", paths["images"] / "storage"


def copy_storage(target: Path) -> None:
    """Copy the storage of the lab's images to `target`, which must not exist."""
    shutil.copytree(program_and_storage()[1], target)


def add_image(storage: Path, repository: str, base: str, tag: str, files: Mapping[str, bytes]) -> str:
    """Add `repository:tag`, which is `repository:base` with an additional layer of `files` (path → content).

    Returns:
        digest (`sha256:…`) of the new layer's blob.
    """
    manifest = json.loads(_read(storage, _link(storage, repository, base)))
    config = json.loads(_read(storage, manifest["config"]["digest"]))
    archive = _tar(files)
    layer = _write(storage, gzip.compress(archive, compresslevel=1, mtime=0))
    config["rootfs"]["diff_ids"].append(f"sha256:{hashlib.sha256(archive).hexdigest()}")
    config["history"].append({"created": config["created"], "created_by": f"layer of {tag}"})
    text = json.dumps(config).encode()
    manifest["config"] |= {"digest": _write(storage, text), "size": len(text)}
    kind = manifest["layers"][-1]["mediaType"]
    manifest["layers"].append({"mediaType": kind, "digest": layer, "size": _blob(storage, layer).stat().st_size})
    revision = _write(storage, json.dumps(manifest).encode())
    home = storage / _V2 / "repositories" / repository
    for digest in (layer, manifest["config"]["digest"]):
        _put(home / "_layers/sha256" / digest.removeprefix("sha256:") / "link", digest.encode())
    _put(home / "_manifests/revisions/sha256" / revision.removeprefix("sha256:") / "link", revision.encode())
    index = home / "_manifests/tags" / tag
    _put(index / "index/sha256" / revision.removeprefix("sha256:") / "link", revision.encode())
    _put(index / "current/link", revision.encode())
    return layer


def _tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _link(storage: Path, repository: str, tag: str) -> str:
    return (storage / _V2 / "repositories" / repository / "_manifests/tags" / tag / "current/link").read_text()


def _blob(storage: Path, digest: str) -> Path:
    plain = digest.removeprefix("sha256:")
    return storage / _V2 / "blobs/sha256" / plain[:2] / plain / "data"


def _read(storage: Path, digest: str) -> bytes:
    return _blob(storage, digest).read_bytes()


def _write(storage: Path, content: bytes) -> str:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    _put(_blob(storage, digest), content)
    return digest


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
