"""Images for upgrades, served by a separate registry behind a connection with injected faults."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import ports, process, registry
from tests.lab import registry_copy
from tests.lab.machine import HTTPD_IMAGE
from tests.lab.registry_fault import FaultRegistry, Faults

# httpd with an additional layer: incompressible bytes, to interrupt their download; zeros, which are small on the
# network and large on the disk.
VERSION = HTTPD_IMAGE.partition(":")[2]
SECOND, LARGE = f"{VERSION}-second", f"{VERSION}-large"
SECOND_BYTES, LARGE_BYTES = 6_000_000, 400_000_000


@dataclass(frozen=True)
class Images:
    """The registry with the images for upgrades.

    Attributes:
        line: the faulty connection in front of it.
        second: digest of SECOND's additional layer.
    """

    line: FaultRegistry
    second: str

    @property
    def mirror(self) -> str:
        """The setting that makes the host use this registry instead of the lab's."""
        return f"docker_registry_mirrors={json.dumps([self.line.url])}"

    def upgrade(self, tag: str = SECOND) -> tuple[str, str]:
        """The settings of a deploy that upgrades httpd to an image of this registry."""
        return self.mirror, f'proxy_image="httpd:{tag}"'


@pytest.fixture(scope="session")
def image_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Images]:
    directory: Path = tmp_path_factory.mktemp("registry")
    storage = directory / "storage"
    registry_copy.copy_storage(storage)
    second = registry_copy.add_image(
        storage, "library/httpd", VERSION, SECOND, {"opt/second": os.urandom(SECOND_BYTES)}
    )
    registry_copy.add_image(storage, "library/httpd", VERSION, LARGE, {"opt/large": bytes(LARGE_BYTES)})
    [port] = ports.free(1)
    pid = registry.start(registry_copy.program_and_storage()[0], storage, port, directory, "registry-of-the-tests")
    try:
        with FaultRegistry(port) as line:
            yield Images(line, second)
    finally:
        process.end(pid, str(directory))


@pytest.fixture
def images(image_registry: Images) -> Images:
    """The registry, without faults and with counters at zero."""
    image_registry.line.faults = Faults()
    image_registry.line.sent.clear()
    image_registry.line.requests = 0
    return image_registry
