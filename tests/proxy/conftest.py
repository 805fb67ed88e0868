"""The real httpd in front of the real Ollama on this machine's loopback, without the lab's virtual machine.

Both are from the lab's unpacked images (`lab/image_roots.py`), which are built first if necessary. They run in separate
mount and process namespaces, so the machine must be able to build the lab: Debian, root or sudo.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from hearth.settings.model import Settings
from lab import artefacts
from lab.progress import Stages
from tests.proxy.engine import Engine, lab_settings
from tests.proxy.httpd import Httpd
from tests.proxy.ollama import Ollama
from tests.support.shipped import shipped_settings

Serve = Callable[..., Httpd]


@pytest.fixture(scope="session")
def parts() -> artefacts.Paths:
    """The lab's artefacts: `roots` has the images `httpd` and `ollama`, `models` the tiny models."""
    with Stages() as stages:
        return artefacts.build(("roots", "models"), stages)


@pytest.fixture(scope="session")
def engine_parts() -> artefacts.Paths:
    """The artefacts of an engine of its own, which needs root."""
    with Stages() as stages:
        return artefacts.build(("engine", "images", "tools"), stages)


@pytest.fixture(scope="session")
def engine_settings(engine_parts: artefacts.Paths) -> Settings:
    """The shipped settings with the images that this engine can pull."""
    return lab_settings(engine_parts)


@pytest.fixture(scope="module")
def engine(
    engine_parts: artefacts.Paths, engine_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """An engine with the containers of `engine_settings`."""
    with Engine(engine_parts, tmp_path_factory.mktemp("engine")) as one:
        one.write(engine_settings)
        one.bring_up(engine_settings)
        yield one


@pytest.fixture(scope="session")
def httpd_image(parts: artefacts.Paths) -> Path:
    """The root directory of httpd's image."""
    return parts["roots"] / "httpd"


@pytest.fixture(scope="module")
def ollama(parts: artefacts.Paths, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ollama]:
    """A real Ollama per module: tests that disconnect mid-stream can get it stuck forever (ollama#17131)."""
    directory = tmp_path_factory.mktemp("ollama")
    with Ollama(parts["roots"] / "ollama", directory, parts["models"]) as server:
        yield server


def serving(httpd_image: Path, directory: Callable[[], Path], stack: ExitStack) -> Serve:
    """Starts an httpd that ends with the stack. `upstream`: address that the name `ollama` resolves to."""

    def serve(
        upstream: str | None = None, volumes: dict[str, Path] | None = None, address: str = "", **values: Any
    ) -> Httpd:
        settings = shipped_settings(**{"ollama_models": ["tinyllama", "tinystory"], "proxy_port": 8085} | values)
        return stack.enter_context(Httpd(httpd_image, directory(), settings, upstream, volumes, address))

    return serve


@pytest.fixture
def serve(httpd_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Starts an httpd with the shipped settings and the given changes; it ends with the test.

    `serve(upstream=ollama.address, proxy_max_streams=2)`. It runs as in compose.yaml: not as root, so on port 8085.
    Without `upstream`, the name `ollama` resolves to httpd's own address. There a test may listen on port 11434 and do
    what a real Ollama can't be made to do. `volumes`: path in the container → directory.
    """
    with ExitStack() as stack:
        yield serving(httpd_image, lambda: tmp_path_factory.mktemp("httpd"), stack)


@pytest.fixture(scope="module")
def serve_module(httpd_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Like `serve`, for an httpd that serves all tests of a module."""
    with ExitStack() as stack:
        yield serving(httpd_image, lambda: tmp_path_factory.mktemp("httpd"), stack)
