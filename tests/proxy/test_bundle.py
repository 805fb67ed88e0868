"""A bundle's images and models: from the lab's real registries, into a real Docker engine that can't reach one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hearth.backup.model_store import list_models
from hearth.backup.writer import Writer
from hearth.bundle.create import find_images, find_models
from hearth.bundle.manifest import INDEX, Bundle, BundleManifest, debian, find_needs
from hearth.bundle.operations import image_entries, load_script
from hearth.bundle.registry import Registry
from hearth.runtime.tar import TarStream
from hearth.settings.model import Settings
from lab import artefacts, ports, process, registry
from lab.progress import Stages
from tests.proxy.engine import Engine, lab_settings

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="a separate engine needs root")


@pytest.fixture(scope="module")
def parts() -> artefacts.Paths:
    """The lab's artefacts."""
    with Stages() as stages:
        return artefacts.build(("engine", "images", "models", "tools"), stages)


@pytest.fixture(scope="module")
def settings(parts: artefacts.Paths, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings with the lab's registries, which run meanwhile."""
    directory = tmp_path_factory.mktemp("registries")
    numbers = dict(zip(("images", "models"), ports.free(2), strict=True))
    program = parts["tools"] / "docker-registry"
    pids = [registry.start(program, parts[name] / "storage", numbers[name], directory, name) for name in numbers]
    images, models = (f"http://{ports.LOOPBACK}:{numbers[name]}" for name in numbers)
    try:
        yield lab_settings(
            parts, docker_registry_mirrors=[images], ollama_model_registry=models, ollama_models=["tinyllama"]
        )
    finally:
        for pid in pids:
            process.end(pid, str(directory))


@pytest.fixture(scope="module")
def bundle(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle without packages, whose parts were downloaded from the registries."""
    directory = tmp_path_factory.mktemp("bundle")
    needs = find_needs([settings], debian("trixie", "amd64"))
    client = Registry()
    images, image_manifests, blobs = find_images(client, needs, settings, "amd64")
    models, model_blobs = find_models(client, needs, settings)
    with Writer(directory / "house.hearth") as writer:
        writer.add_bytes(INDEX, b"")
        for image, text in zip(images.values(), image_manifests, strict=True):
            writer.add_bytes(f"images/{image.manifest.replace(':', '-')}", text)
        for name, blob in (blobs | model_blobs).items():
            client.fetch(blob.url, directory / name, lambda _: None, lambda _: None)
            where = "models/blobs" if name in model_blobs else "images"
            with (directory / name).open("rb") as file:
                writer.add(f"{where}/{name}", blob.size, file)
        for path, text in models.items():
            writer.add_bytes(f"models/manifests/{path}", text)
        writer.finish_as(
            BundleManifest,
            created="2026-11-28T12:00:00+00:00",
            commit="",
            models=list_models(models),
            has_blobs=True,
            release="trixie",
            architecture="amd64",
            packages=needs.packages,
            images=images,
        )
    return Bundle.load(directory / "house.hearth")


def test_models_come_from_the_registry(bundle: Bundle) -> None:
    assert [model.name for model in bundle.manifest.models] == ["tinyllama:latest"]
    members = bundle.model_members(["tinyllama"])
    assert "models/manifests/registry.ollama.ai/library/tinyllama/latest" in members
    assert sum(bundle.manifest.members[name].size for name in members) > 1_000_000
    assert bundle.model_members(["another"]) == frozenset()


@pytest.mark.parametrize("store", ["docker", "containerd"])
def test_docker_loads_the_images(
    parts: artefacts.Paths, bundle: Bundle, settings: Settings, store: str, tmp_path: Path
) -> None:
    """Both kinds of image store, each with the reference that compose.yaml has, and an engine without a registry."""
    daemon = {"registry-mirrors": [], "features": {"containerd-snapshotter": store == "containerd"}}
    with Engine(parts, tmp_path, daemon) as engine:
        driver = engine.execute("docker info --format '{{.DriverStatus}}'").output
        assert ("io.containerd.snapshotter" in driver) == (store == "containerd"), driver
        for reference in (settings.proxy_image, settings.ollama_image):
            with (engine.project / "image.tar").open("wb") as file:
                stream = TarStream(image_entries(bundle, reference))
                while piece := stream.read(1 << 17):
                    file.write(piece)
            (engine.project / "script").write_text(load_script(reference))
            done = engine.execute("sh /opt/hearth/script < /opt/hearth/image.tar")
            assert done.code == 0, done.output
            identity = engine.execute(f"docker image inspect --format '{{{{.Id}}}}' {reference}").output.strip()
            image = bundle.manifest.images[reference]
            assert identity == (image.manifest if store == "containerd" else image.config)
            assert f"{reference} {identity}\n" in (engine.project / "images.lock").read_text()
            assert not (engine.project / ".pulling").exists()
        # From the log: `docker run` loses the output of a container that ends before Docker's client is attached.
        run = f"docker run --detach --network none --pull never {settings.proxy_image} httpd -v"
        ran = engine.execute(f"c=$({run}) && docker wait $c && docker logs $c")
        assert ran.code == 0, ran.output
        assert "Apache" in ran.output
