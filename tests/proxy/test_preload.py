"""Models that are kept in memory: the real container with a real Docker engine loads them after each start."""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from hearth.models.operations import create_script
from hearth.models.variants import create_request
from hearth.settings.variant import Variant
from lab import artefacts, models
from lab.progress import Stages
from tests.proxy.engine import ADDRESS, Engine, lab_settings
from tests.proxy.stuck_host import OLLAMA, StuckHost

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="a separate engine needs root")
STORY, VARIANT = "tinystory", Variant(base="tinyllama", system="Answer like a pirate.")
PRELOADED = {STORY, models.EMBEDDING, "pirate"}
INSIDE = f"docker exec {OLLAMA}"


class PreloadHost(StuckHost):
    """With functions to see what is in memory."""

    def loaded(self) -> dict[str, bool]:
        """Models in memory, without the tag → whether they stay there."""
        found: list[dict[str, Any]] = self._call("GET", "/api/ps", self.address(), 11434)["models"]
        return {one["name"].lower().removesuffix(":latest"): one["expires_at"] > "2100" for one in found}

    def preloaded_after(self, names: set[str], seconds: float = 30) -> float:
        return self.wait_until(lambda: self.loaded() == dict.fromkeys(names, True), seconds)

    def generate(self, model: str, **more: object) -> float:
        """Seconds until the only token of a response through httpd."""
        begun = time.monotonic()
        body = {"model": model, "prompt": "go", "stream": False, "options": {"num_predict": 1}} | more
        assert self._call("POST", "/api/ollama", ADDRESS, 85, body)["done"] is True
        return time.monotonic() - begun

    def _call(self, method: str, path: str, address: str, port: int, body: object = None) -> Any:
        def call() -> Any:
            connection = http.client.HTTPConnection(address, port, timeout=60)
            connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
            content = connection.getresponse().read()
            connection.close()
            return json.loads(content)

        return self.client(call).result(70)

    def zombies(self) -> int:
        states = self.execute(f"{INSIDE} sh -c 'cat /proc/[0-9]*/stat'")
        return states.count(" (bash) Z ")

    def slowest_check(self) -> float:
        """Seconds, among the last five health checks."""

        def time_of(text: str) -> float:
            return datetime.fromisoformat(text[:26].rstrip("Z") + "+00:00").timestamp()

        checks = self.inspect()["State"]["Health"]["Log"]
        return max(time_of(one["End"]) - time_of(one["Start"]) for one in checks)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PreloadHost]:
    with Stages() as stages:
        parts = artefacts.build(("engine", "images", "tools", "models"), stages)
    settings = lab_settings(
        parts,
        ollama_models=[STORY, models.EMBEDDING],
        ollama_model_variants={"pirate": VARIANT.model_dump()},
        ollama_preload=["TinyStory", models.EMBEDDING, "pirate"],
        ollama_max_loaded_models=3,
    )
    with Engine(parts, tmp_path_factory.mktemp("engine")) as engine:
        host = PreloadHost(engine, parts["models"], patience=12)
        host.deploy(settings)
        try:
            host.client(host.add, models.EMBEDDING).result(60)
            yield host
        finally:
            engine.execute("docker ps -aq | xargs -r docker rm -f")
            host.close()


def test_models_are_loaded_once_they_exist(host: PreloadHost) -> None:
    print(f"\nloaded {host.preloaded_after({STORY, models.EMBEDDING}):.1f} s after they were installed")
    assert "pirate: created" in host.run(create_script("pirate", create_request("pirate", VARIANT)))
    host.preloaded_after(PRELOADED)
    assert "could not load" not in host.log()


@pytest.mark.parametrize("how", [f"docker restart -t 10 {OLLAMA}", f"{INSIDE} bash -c 'kill -TERM 1'"])
def test_models_are_loaded_again_after_a_restart(host: PreloadHost, how: str) -> None:
    before = host.inspect()["State"]["StartedAt"]
    host.execute(how)
    host.wait_until(lambda: host.inspect()["State"]["StartedAt"] != before and host.inspect()["State"]["Running"], 30)
    seconds = host.preloaded_after(PRELOADED)
    warm = host.generate(STORY)
    assert host.loaded() == dict.fromkeys(PRELOADED, True), "a prompt does not shorten the time that they stay"
    host.execute(f"{INSIDE} ollama stop {STORY}")
    host.wait_until(lambda: STORY not in host.loaded(), 30)
    cold = host.generate(STORY)
    # Not compared: with these tiny models, what else the machine does counts for more than the load.
    print(f"\nloaded {seconds:.1f} s after the start; first token: {cold:.2f} s cold, {warm:.2f} s warm")
    host.wait_until(lambda: host.container().health == "healthy", 30)
    slowest = host.slowest_check()
    print(f"slowest health check: {slowest:.2f} s")
    assert slowest < 5
    assert not host.alarms()


def test_a_deploy_has_them_loaded_again(host: PreloadHost) -> None:
    """And nothing else does: what callers unload stays unloaded until then."""
    host.generate(STORY, keep_alive=0)
    host.wait_until(lambda: STORY not in host.loaded(), 30)
    time.sleep(10)
    assert STORY not in host.loaded()
    host.run(create_script("pirate", create_request("pirate", VARIANT)))
    host.preloaded_after(PRELOADED)


def test_a_model_that_cannot_be_loaded_is_reported_and_given_up(host: PreloadHost) -> None:
    """The other ones are loaded, and the container is healthy."""
    store = "/root/.ollama/models"
    manifest = f"{store}/manifests/registry.ollama.ai/library/{STORY}/latest"
    damage = f'digest=$(grep -o \'"application/vnd.ollama.image.model","digest":"sha256:[0-9a-f]*\' {manifest})'
    script = f"{damage} && echo broken > {store}/blobs/sha256-${{digest##*:}}"
    host.run(f"{INSIDE} bash -c {json.dumps(script).replace('$', chr(92) + '$')}")
    host.execute(f"docker restart -t 10 {OLLAMA}")
    report = "could not load TinyStory (ollama_preload): HTTP status "
    before = host.log().count(report)
    host.wait_until(lambda: host.log().count(report) == before + 5, 60)
    time.sleep(10)
    assert host.log().count(report) == before + 5
    assert host.loaded() == dict.fromkeys(PRELOADED - {STORY}, True)
    assert host.container().health == "healthy"
    assert not host.alarms()
    assert host.zombies() <= 6
