"""The doctor with the real httpd and the real Ollama, each with a fault."""

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
from tests.support.proxy_rules.behaviour import wait_until
from tests.support.shipped import PROJECT

UNLISTED = "http://192.168.1.20:8080"


def test_ollama_and_its_403_are_distinguished_from_hearth_and_its_403(ollama: Ollama, serve: Serve) -> None:
    native = f"http://{ollama.address}:11434"
    assert causes(native, patience=0) == ["ollama-itself"]
    # Ollama's 403 for an origin has no body; the proxy's contains a reason.
    assert call(native, "GET", "/api/tags", headers={"Origin": UNLISTED}).status == 403
    assert "ollama-refuses-origin" in causes(native, patience=0, origin=UNLISTED)
    behind = serve(upstream=ollama.address)
    assert causes(behind.url, patience=0, origin=UNLISTED) == ["origin-not-listed"]


def test_hearth_on_another_port(serve: Serve, ollama: Ollama) -> None:
    web = serve(upstream=ollama.address, proxy_port=8080)
    assert causes(f"http://{web.address}:81", patience=0) == ["wrong-port"]


def test_no_ollama_behind_the_proxy(serve: Serve) -> None:
    web = serve()
    assert causes(web.url, patience=0) == ["ollama-down"], "the container has no listener"
    web.set_names({})
    # There is no container. httpd keeps an address for a second.
    wait_until(lambda: causes(web.url, patience=0) == ["ollama-missing"], 20)


def test_the_concurrency_limit_is_reached(serve: Serve, ollama: Ollama) -> None:
    web = serve(upstream=ollama.address, proxy_max_streams=1, proxy_queue_timeout=1)
    with held(at=web.url):
        assert causes(web.url, patience=10, model="tinyllama") == ["busy"]
    assert causes(web.url, patience=60, model="tinyllama") == []


def test_a_missing_route(serve: Serve, ollama: Ollama) -> None:
    routes = [{"path": "/api/ollama", "to": "/api/generate", "methods": ["POST"]}]
    assert causes(serve(upstream=ollama.address, proxy_routes=routes).url, patience=0) == ["route-missing"]


def test_missing_models(serve: Serve, ollama: Ollama, parts: artefacts.Paths, tmp_path: Path) -> None:
    web = serve(upstream=ollama.address)
    assert causes(web.url, patience=10, model="llama3.2:1b") == ["model-missing"]
    with Ollama(parts["roots"] / "ollama", tmp_path, parts["models"]) as empty:
        for model in ("tinyllama", "tinystory"):
            call(f"http://{empty.address}:11434", "DELETE", "/api/delete", {"model": model})
        assert causes(serve(upstream=empty.address).url, patience=10) == ["no-models"]


def findings_with_hosts_file(names: Sequence[str], address: str, url: str, directory: Path) -> list[str]:
    """The doctor's findings on a machine whose hosts file maps the names to an address."""
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


def test_a_host_name_that_is_not_served(serve: Serve, ollama: Ollama, tmp_path: Path) -> None:
    """As in DNS rebinding: another domain's name resolves to this address."""
    web = serve(upstream=ollama.address, proxy_host_names=["pi.fritz.box"])
    host, port = urlsplit(web.url).hostname or "", urlsplit(web.url).port
    names = ["pi.fritz.box", "pi.evil.example"]
    assert findings_with_hosts_file(names, host, f"http://pi.fritz.box:{port}", tmp_path) == ["name-is-loopback"]
    assert findings_with_hosts_file(names, host, f"http://pi.evil.example:{port}", tmp_path) == [
        "host-name-not-served",
        "name-is-loopback",
    ]
