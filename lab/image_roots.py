"""The images that the guest's Docker pulls, unpacked to root directories, for tests that need no guest."""

from __future__ import annotations

import json
from pathlib import Path

from lab import images, shell
from lab.errors import LabError

RECIPE = "all layers in order, hosts and resolv.conf touched"


def build(made: Path, out: Path, log: Path) -> None:
    """Fill `out` with `httpd/` and `ollama/`, from the artefact with the images."""
    for name, image in images.tags(made).items():
        root = out / name
        root.mkdir()
        for layer in layers(made / "storage", image if "/" in image else f"library/{image}"):
            shell.run(["tar", "-xpf", layer, "-C", root, "--numeric-owner"], log, 120, root=True)
        if shell.read(["find", root, "-name", ".wh.*"], 60, root=True):
            raise LabError(f"{image} has a layer that deletes files of another, which is not supported here.")
        # Like an engine, which mounts its own files over these.
        shell.run(["touch", root / "etc/hosts", root / "etc/resolv.conf"], log, 10, root=True)


def layers(storage: Path, image: str) -> list[Path]:
    """The image's layers, the lowest first, as files of a docker-registry's storage directory."""
    registry = storage / "docker/registry/v2"
    repository, _, tag = image.partition(":")
    link = registry / "repositories" / repository / "_manifests/tags" / tag / "current/link"
    manifest = json.loads(_blob(registry, link.read_text()).read_bytes())
    return [_blob(registry, layer["digest"]) for layer in manifest["layers"]]


def _blob(registry: Path, digest: str) -> Path:
    kind, _, value = digest.strip().partition(":")
    return registry / "blobs" / kind / value[:2] / value / "data"
