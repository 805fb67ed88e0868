"""Changed settings on a running host: responses continue, invalid configurations never go live."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from hearth.paths import ROOT
from tests.acceptance.api import Line, call, stream
from tests.lab.machine import HTTPD_IMAGE, deploy, on_guest, reboot, url, wait_until

pytestmark = [pytest.mark.scenario, pytest.mark.usefixtures("deployed")]
R = "/api/ollama"
ADDRESS = "sudo docker inspect -f '{{(index .NetworkSettings.Networks \"hearth-back\").IPAddress}}'"


class LongResponse(threading.Thread):
    """A client that reads one long response."""

    def __init__(self, words: int) -> None:
        super().__init__(daemon=True)
        self.words = words
        self.lines: list[Line] = []
        self.error: Exception | None = None

    def run(self) -> None:
        body = {"model": "tinystory", "prompt": "go", "options": {"num_predict": self.words}}
        try:
            self.lines = stream(url(), R, body, timeout=600)
        except Exception as error:  # reported by the test that joins this thread
            self.error = error


def test_graceful_reload_keeps_in_flight_responses() -> None:
    call(url(), "POST", R, {"model": "tinystory", "prompt": "", "stream": False}, timeout=300)  # load it
    assert call(url(), "GET", "/", headers={"Host": "new.example"}).status == 421
    client = LongResponse(words=1000)
    client.start()
    with ThreadPoolExecutor(1) as pool:
        # A setting that only affects httpd. (allowed_origins is also in Ollama's environment and would recreate it.)
        deploying = pool.submit(deploy, 'proxy_host_names=["new.example"]')
        new_name = {"Host": "new.example"}
        wait_until(lambda: call(url(), "GET", "/", headers=new_name).status == 200, 300, "httpd accepts the new name")
        still_streaming = client.is_alive()
        # The deploy ends later: its test prompt waits until the long response is complete.
        run = deploying.result()
    assert run.code == 0, run.output
    client.join(600)
    assert client.error is None
    last = json.loads(client.lines[-1].text)
    print(f"\nreload in the middle of {len(client.lines)} lines; deploy took {run.seconds:.1f} s")
    assert last["done"] is True
    assert still_streaming, "the response ended before the reload; request more tokens"


@pytest.fixture
def moved_ollama() -> Iterator[tuple[str, str]]:
    """Ollama with a new address, and another container at its old one: (old, new)."""
    old = on_guest(f"{ADDRESS} hearth-ollama")
    on_guest(
        "sudo docker rm -f hearth-ollama && "
        f"sudo docker run -d --name squatter --network hearth-back --ip {old} {HTTPD_IMAGE} 2>&1 || "
        # A network without a configured subnet does not accept --ip; then the first free address is the old one.
        f"{{ sudo docker rm -f squatter; sudo docker run -d --name squatter --network hearth-back {HTTPD_IMAGE}; }}"
    )
    on_guest(f"cd {ROOT} && sudo docker compose up -d --wait ollama", timeout=300)
    yield old, on_guest(f"{ADDRESS} hearth-ollama")
    on_guest("sudo docker rm -f squatter")


@pytest.mark.long
def test_new_address_of_ollama_is_used_immediately(moved_ollama: tuple[str, str]) -> None:
    old, new = moved_ollama
    squatter = on_guest(
        "sudo docker inspect -f '{{(index .NetworkSettings.Networks \"hearth-back\").IPAddress}}' squatter"
    )
    assert (old, old) != (new, squatter)
    assert squatter == old, "the squatter did not get the old address, so the test is void"
    answer = call(url(), "GET", "/api/tags")
    assert answer.status == 200, answer
    assert answer.json()["models"]


def test_configuration_refused_by_httpd_never_goes_live() -> None:
    before = on_guest(f"cat {ROOT}/httpd/httpd.conf | sha256sum")
    # The image lacks a module that the configuration needs: httpd -t in that image must detect it.
    on_guest(
        f"printf 'FROM {HTTPD_IMAGE}\\nRUN rm /usr/local/apache2/modules/mod_headers.so\\n' | "
        "sudo docker build -q -t httpd:0.0.1-broken - && "
        "sudo docker image inspect -f 'httpd:0.0.1-broken {{.Id}}' httpd:0.0.1-broken | "
        f"sudo tee -a {ROOT}/images.lock",
        timeout=300,
    )
    run = deploy('proxy_image="httpd:0.0.1-broken"', 'chat_title="New"', "proxy_timeout=1000")
    assert run.code != 0
    assert "mod_headers" in run.output, run.output
    assert on_guest(f"cat {ROOT}/httpd/httpd.conf | sha256sum") == before
    assert call(url(), "GET", "/").status == 200
    back = deploy()
    assert back.code == 0, back.output


@pytest.mark.long
def test_unavailable_model_fails_the_run_with_its_name() -> None:
    run = deploy('ollama_models=["tinyllama","nosuchmodel:1b"]', "ollama_pull_retries=1")
    assert run.code != 0
    assert "Could not pull nosuchmodel:1b from" in run.output, run.output
    assert call(url(), "POST", R, {"model": "tinyllama", "prompt": "hi", "stream": False}, timeout=300).status == 200


def test_invalid_settings_are_named_and_change_nothing() -> None:
    run = deploy('allowed_origins=["http://192.168.1.5:8080/"]', "proxy_prot=86")
    assert run.code != 0
    assert 'use "http://192.168.1.5:8080"' in run.output
    assert 'did you mean "proxy_port"?' in run.output
    assert "Traceback" not in run.output
    assert deploy().changed == ()


@pytest.mark.long
def test_taken_port_is_reported_with_its_process() -> None:
    on_guest(
        "sudo systemd-run --quiet --unit taken systemd-socket-activate --listen 0.0.0.0:8085 --inetd --accept /bin/true"
    )
    run = deploy("proxy_port=8085")
    assert run.code != 0
    assert "proxy_port = 8085: the port is held by systemd-socket-" in run.output or "held by systemd" in run.output
    assert call(url(), "GET", "/").status == 200


def test_stack_runs_again_after_a_reboot() -> None:
    reboot()
    wait_until(lambda: call(url(), "GET", "/api/tags", timeout=5).status == 200, 300, "the proxy responds")
    assert "tinyllama:latest" in str(call(url(), "GET", "/api/tags").body)
    wait_until(lambda: "starting" not in on_guest("sudo docker ps --format '{{.Status}}'"), 200, "all are healthy")
    run = deploy()
    assert (run.code, run.changed) == (0, ()), run.output
