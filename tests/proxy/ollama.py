"""A real Ollama server with the lab's tiny models, on a separate loopback address, and its number of requests."""

from __future__ import annotations

import hashlib
import json
import re
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from typing_extensions import override

from lab import models
from tests.proxy.address import free_address, responds
from tests.proxy.container import Contained, Container
from tests.proxy.httpd import OLLAMA_PORT

# On a busy machine, the threads of the tiny models wait for each other much longer than they compute.
ONE_THREAD = {"num_thread": 1}


class Ollama(Contained):
    """Ollama of the lab's image, with the models of `lab.models.NAMES`, until the end of the block.

    Args:
        image: the image's root directory.
        directory: an empty directory for it.
        weights: the directory with each model's `NAME.gguf`.
        at: the loopback address to listen at; a free one by default.
        names: models instead of those in `lab.models.NAMES`.
        volumes: path in the container → a path, or the options of a tmpfs.
        parameters: of every model, for prompts that set none.
        environment: more variables.
        network: the network namespace that has the address `at`; "" for the machine's.
    """

    def __init__(
        self,
        image: Path,
        directory: Path,
        weights: Path,
        at: str | None = None,
        names: Sequence[str] = models.NAMES,
        volumes: Mapping[str, Path | str] | None = None,
        parameters: Mapping[str, int] = ONE_THREAD,
        environment: Mapping[str, str] | None = None,
        network: str = "",
    ) -> None:
        self._names, self._parameters = names, dict(parameters)
        self.address = at or free_address(OLLAMA_PORT)
        self.url = f"http://{self.address}:{OLLAMA_PORT}"
        self._weights = weights
        self._container = Container(
            image,
            directory,
            "ollama",
            ("/bin/ollama", "serve"),
            volumes or {},
            {
                "OLLAMA_HOST": f"{self.address}:{OLLAMA_PORT}",
                "OLLAMA_NO_CLOUD": "1",
                "OLLAMA_KEEP_ALIVE": "-1",
                **(environment or {}),
            },
            lambda: responds(self.address, OLLAMA_PORT),
            network=network,
        )

    def requests(self) -> int:
        """The number of completed requests, from its log."""
        return len(re.findall(r"^\[GIN\]", self.log(), re.MULTILINE))

    def wait_for_requests(self, count: int, seconds: float = 10) -> int:
        """The number of requests, once it is `count` or more, or after `seconds`."""
        until = time.monotonic() + seconds
        while (number := self.requests()) < count and time.monotonic() < until:
            time.sleep(0.02)
        return number

    @override
    def __enter__(self) -> Self:
        super().__enter__()
        try:
            for name in self._names:
                self._add(name)
        except BaseException:
            self._container.stop()
            raise
        return self

    def _add(self, name: str) -> None:
        content = (self._weights / f"{name}.gguf").read_bytes()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self._post(f"/api/blobs/{digest}", content)
        files = {f"{name}.gguf": digest}
        body = {
            "model": name,
            "files": files,
            "template": models.TEMPLATE,
            "parameters": self._parameters,
            "stream": False,
        }
        response = self._post("/api/create", json.dumps(body).encode())
        assert b'"error"' not in response, response

    def _post(self, path: str, body: bytes) -> bytes:
        with urllib.request.urlopen(urllib.request.Request(self.url + path, body), timeout=60) as answer:
            content: bytes = answer.read()
        return content
