"""The doctor before the real httpd and the real Ollama, each with something wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from lab import artefacts
from tests.acceptance.api import call
from tests.lab.held import held
from tests.proxy.conftest import Serve
from tests.proxy.diagnosed import causes
from tests.proxy.ollama import Ollama
from tests.support.shipped import PROJECT

FOREIGN = "http://192.168.1.20:8080"


def test_an_ollama_itself_is_told_from_a_hearth_and_its_own_403_from_the_proxys(ollama: Ollama, serve: Serve) -> None:
    native = f"http://{ollama.address}:11434"
    assert causes(native, patience=0) == ["ollama-itself"]
    # Ollama's own refusal of an origin has no body; the proxy's says why.
    assert call(native, "GET", "/api/tags", headers={"Origin": FOREIGN}).status == 403
    assert "ollama-refuses-origin" in causes(native, patience=0, origin=FOREIGN)
    behind = serve(upstream=ollama.address)
    assert causes(behind.url, patience=0, origin=FOREIGN) == ["origin-not-listed"]


def test_another_port_than_hearths(serve: Serve, ollama: Ollama) -> None:
    web = serve(upstream=ollama.address, proxy_port=8080)
    assert causes(f"http://{web.address}:81", patience=0) == ["wrong-port"]


def test_no_ollama_behind_the_proxy(serve: Serve) -> None:
    web = serve()
    assert causes(web.url, patience=0) == ["ollama-down"], "a container without a listener"
    web.set_names({})
    assert causes(web.url, patience=0) == ["ollama-missing"], "no container"


def test_all_places_are_taken(serve: Serve, ollama: Ollama) -> None:
    web = serve(upstream=ollama.address, proxy_max_streams=1, proxy_queue_timeout=1)
    with held(at=web.url):
        assert causes(web.url, patience=10, model="tinyllama") == ["busy"]
    assert causes(web.url, patience=60, model="tinyllama") == []


def test_a_route_that_is_not_there(serve: Serve, ollama: Ollama) -> None:
    routes = [{"path": "/api/ollama", "to": "/api/generate", "methods": ["POST"]}]
    assert causes(serve(upstream=ollama.address, proxy_routes=routes).url, patience=0) == ["route-missing"]


def test_models_that_are_not_there(serve: Serve, ollama: Ollama, parts: artefacts.Paths, tmp_path: Path) -> None:
    web = serve(upstream=ollama.address)
    assert causes(web.url, patience=10, model="llama3.2:1b") == ["model-missing"]
    with Ollama(parts["roots"] / "ollama", tmp_path, parts["models"]) as empty:
        for model in ("tinyllama", "tinystory"):
            call(f"http://{empty.address}:11434", "DELETE", "/api/delete", {"model": model})
        assert causes(serve(upstream=empty.address).url, patience=10) == ["no-models"]


def in_own_hosts(names: Sequence[str], address: str, url: str, directory: Path) -> list[str]:
    """The doctor's findings on a machine whose hosts file leads the names to an address."""
    hosts = directory / "hosts"
    hosts.write_text("".join(f"{address} {name}\n" for name in names))
    script = f'mount --bind {hosts} /etc/hosts && exec {sys.executable} -m hearth.doctor "$1" --no-prompt --json'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "doctor", url],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return [finding["id"] for finding in json.loads(done.stdout)["findings"]]


def test_a_name_that_is_not_served(serve: Serve, ollama: Ollama, tmp_path: Path) -> None:
    """As DNS rebinding would bring a browser here: by a name of somebody else's."""
    web = serve(upstream=ollama.address, proxy_host_names=["pi.fritz.box"])
    host, port = urlsplit(web.url).hostname or "", urlsplit(web.url).port
    names = ["pi.fritz.box", "pi.evil.example"]
    assert in_own_hosts(names, host, f"http://pi.fritz.box:{port}", tmp_path) == ["name-is-loopback"]
    assert in_own_hosts(names, host, f"http://pi.evil.example:{port}", tmp_path) == [
        "host-name-not-served",
        "name-is-loopback",
    ]
