"""Changes of settings on a host that serves: what runs goes on, what is wrong never goes live."""

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


class Talker(threading.Thread):
    """A client that reads one long answer."""

    def __init__(self, words: int) -> None:
        super().__init__(daemon=True)
        self.words = words
        self.lines: list[Line] = []
        self.error: Exception | None = None

    def run(self) -> None:
        body = {"model": "tinystory", "prompt": "go", "options": {"num_predict": self.words}}
        try:
            self.lines = stream(url(), R, body, timeout=600)
        except Exception as error:  # shown by the test that waits for us
            self.error = error


def test_graceful_reload_keeps_in_flight_responses() -> None:
    call(url(), "POST", R, {"model": "tinystory", "prompt": "", "stream": False}, timeout=300)  # load it
    assert call(url(), "GET", "/", headers={"Host": "new.example"}).status == 421
    talker = Talker(words=1000)
    talker.start()
    with ThreadPoolExecutor(1) as pool:
        # A setting of httpd alone. (A change of allowed_origins recreates Ollama too, whose environment has them.)
        deploying = pool.submit(deploy, 'proxy_host_names=["new.example"]')
        new_name = {"Host": "new.example"}
        wait_until(lambda: call(url(), "GET", "/", headers=new_name).status == 200, 300, "httpd knows its new name")
        still_talking = talker.is_alive()
        # It ends later: the prompt with which a release is accepted waits for its turn behind the long answer.
        run = deploying.result()
    assert run.code == 0, run.output
    talker.join(600)
    assert talker.error is None
    last = json.loads(talker.lines[-1].text)
    print(f"\nreload in the middle of {len(talker.lines)} lines; deploy took {run.seconds:.1f} s")
    assert last["done"] is True
    assert still_talking, "the answer ended before the reload; ask for more words"


@pytest.fixture
def moved_ollama() -> Iterator[tuple[str, str]]:
    """Ollama on another address than before, and another container on its old one: (old, new)."""
    old = on_guest(f"{ADDRESS} hearth-ollama")
    on_guest(
        "sudo docker rm -f hearth-ollama && "
        f"sudo docker run -d --name squatter --network hearth-back --ip {old} {HTTPD_IMAGE} 2>&1 || "
        # A network without a subnet of its own takes no --ip: the first free address is the old one then.
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
    assert squatter == old, "the squatter did not get the old address, so this shows nothing"
    answer = call(url(), "GET", "/api/tags")
    assert answer.status == 200, answer
    assert answer.json()["models"]


def test_configuration_refused_by_httpd_never_goes_live() -> None:
    before = on_guest(f"cat {ROOT}/httpd/httpd.conf | sha256sum")
    # The image does not have what the configuration asks for: httpd -t in that image must find it.
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
    assert 'write "http://192.168.1.5:8080"' in run.output
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
    wait_until(lambda: call(url(), "GET", "/api/tags", timeout=5).status == 200, 300, "the proxy answers")
    assert "tinyllama:latest" in str(call(url(), "GET", "/api/tags").body)
    wait_until(lambda: "starting" not in on_guest("sudo docker ps --format '{{.Status}}'"), 200, "all are healthy")
    run = deploy()
    assert (run.code, run.changed) == (0, ()), run.output
