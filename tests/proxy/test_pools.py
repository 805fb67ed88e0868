"""Pools: one httpd in front of two real Ollamas, each on a machine of its own that can be off, refuse, or come back.

docs/scaling.md describes what these tests show.
"""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import pytest

from hearth.paths import METRICS_PUBLIC
from hearth.usage.facts import PROGRAM
from lab import artefacts
from tests.acceptance.api import Answer, call
from tests.proxy.conftest import Serve
from tests.proxy.httpd import Httpd
from tests.proxy.machine_on_lan import MachineOnLan
from tests.proxy.ollama import Ollama
from tests.proxy.test_tls import Site
from tests.support.proxy_rules.behaviour import wait_until

PROMPT = {"model": "tinyllama", "prompt": "hi", "stream": False}
# Answered at once, with 404, by the backend that a prompt would go to.
PROBE = PROMPT | {"model": "missing"}
ENDLESS = {"model": "tinystory", "prompt": "go", "options": {"num_predict": 100000, "num_thread": 1}, "stream": True}
# Health checks: every second, and a second for a machine that does not answer; then what a busy computer adds.
NOTICED = 15.0
# Without an answer from a machine: `connectiontimeout` of one second.
QUICK = 0.9
Backends = dict[str, tuple[MachineOnLan, Ollama]]


@pytest.fixture(scope="module")
def backends(parts: artefacts.Paths, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backends]:
    with ExitStack() as stack:
        found = {}
        for name in ("strong", "small"):
            machine = stack.enter_context(MachineOnLan())
            ollama = Ollama(
                parts["roots"] / "ollama",
                tmp_path_factory.mktemp(name),
                parts["models"],
                machine.address,
                environment={"OLLAMA_NUM_PARALLEL": "4", "OLLAMA_MAX_LOADED_MODELS": "2"},
                network=machine.name,
            )
            found[name] = (machine, stack.enter_context(ollama))
        for _, ollama in found.values():
            assert call(ollama.url, "POST", "/api/generate", PROMPT).status == 200, ollama.log()[-2000:]
        yield found


@pytest.fixture(autouse=True)
def _all_on(backends: Backends) -> None:
    for machine, _ in backends.values():
        machine.come_back()


Members = list[dict[str, object]]


def members(backends: Backends, **second: object) -> Members:
    """The strong one, and the small one with further keys; one slot each."""
    strong, small = ({"host": name, "url": ollama.url, "slots": 1} for name, (_, ollama) in backends.items())
    return [strong, small | second]


@pytest.fixture
def prioritised(serve: Serve, backends: Backends) -> Httpd:
    """The strong one first; a request waits for two seconds."""
    return serve(ollama_pools={"default": members(backends, priority=2)}, proxy_queue_timeout=2)


@pytest.fixture
def equal(serve: Serve, backends: Backends) -> Httpd:
    return serve(ollama_pools={"default": members(backends)}, proxy_queue_timeout=2)


def backend_of(answer: Answer) -> str:
    """The backend in the response header; the status without one."""
    return "".join(answer.all("x-hearth-backend")) or str(answer.status)


def ask(web: Httpd, path: str = "/api/ollama") -> tuple[str, float]:
    """Which backend answers (or the status), and after how many seconds."""
    begun = time.monotonic()
    answer = call(web.url, "POST", path, PROBE)
    return backend_of(answer), time.monotonic() - begun


class Stream:
    """A response that streams for as long as the test wants."""

    def __init__(self, web: Httpd) -> None:
        self._connection = http.client.HTTPConnection(web.address, web.port, timeout=60)
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", "/api/ollama", json.dumps(ENDLESS).encode(), headers)
        self._answer = self._connection.getresponse()
        self.status = self._answer.status
        self.backend = self._answer.getheader("X-Hearth-Backend") or str(self.status)

    def goes_on(self) -> bool:
        """Whether ten more lines arrive, all of them whole."""
        lines = [self._answer.readline() for _ in range(10)]
        return all(b'"done":false' in line for line in lines)

    def close(self) -> None:
        self._answer.close()
        self._connection.close()


@contextmanager
def streams(web: Httpd, count: int) -> Iterator[list[Stream]]:
    found = [Stream(web) for _ in range(count)]
    try:
        yield found
    finally:
        for one in found:
            one.close()


def until(web: Httpd, name: str) -> None:
    wait_until(lambda: ask(web)[0] == name, NOTICED)


def test_the_strong_one_comes_first_and_the_log_names_it(prioritised: Httpd) -> None:
    answer = call(prioritised.url, "POST", "/api/ollama", PROMPT)
    assert (answer.status, backend_of(answer)) == (200, "strong")
    assert [ask(prioritised)[0] for _ in range(3)] == ["strong"] * 3
    wait_until(lambda: len(re.findall(r'/api/ollama HTTP/1.1" \d+ .* strong$', prioritised.log(), re.M)) == 4, 10)
    summed = subprocess.run(
        ["awk", PROGRAM.read_text()], input=prioritised.log(), capture_output=True, text=True, check=True
    )
    [line] = summed.stdout.splitlines()
    assert line.split("\t")[1:4] == ["address", "127.0.0.1", "4"]


def test_a_full_one_spills_over_at_once(prioritised: Httpd) -> None:
    with streams(prioritised, 1) as [first]:
        assert first.backend == "strong"
        name, seconds = ask(prioritised)
        assert name == "small"
        assert seconds < 2, "waits for much longer than a quarter of a second"
    until(prioritised, "strong")


@pytest.mark.parametrize("is_equal", [pytest.param(True, marks=pytest.mark.long), False])
@pytest.mark.parametrize("strong_is_off", [pytest.param(True, marks=pytest.mark.long), False])
def test_the_wait_is_that_of_the_setting_for_any_number_of_backends(
    serve: Serve, backends: Backends, is_equal: bool, strong_is_off: bool
) -> None:
    pool = members(backends, priority=1 if is_equal else 2)
    web = serve(ollama_pools={"default": pool}, proxy_queue_timeout=3)
    if strong_is_off:
        backends["strong"][0].vanish()
        wait_until(lambda: "DISABLING" in web.log(), NOTICED)
    with streams(web, 1 if strong_is_off else 2) as held:
        assert sorted(one.backend for one in held) == (["small"] if strong_is_off else ["small", "strong"])
        with ThreadPoolExecutor(3) as pool_of_threads:
            refused = [one.result() for one in [pool_of_threads.submit(ask, web) for _ in range(3)]]
        for name, seconds in refused:
            assert name == "503"
            # Of equal ones, each has its share of the wait.
            least = 1 if is_equal and strong_is_off else 2
            assert least < seconds < 6, "not about the three seconds of proxy_queue_timeout"
        begun = time.monotonic()
        assert call(web.url, "GET", "/api/tags").status == 200, "a busy pool does not list its models"
        assert time.monotonic() - begun < 2
    wait_until(lambda: ask(web)[0] == ("small" if strong_is_off else "strong"), NOTICED)


def test_a_waiting_request_gets_the_slot_that_becomes_free(equal: Httpd) -> None:
    with streams(equal, 2) as held, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask, equal)
        wait_until(lambda: waiting.running(), 5)
        held[0].close()
        assert waiting.result()[0] == held[0].backend


def test_equal_ones_share_the_streams(serve: Serve, backends: Backends) -> None:
    pool = [one | {"slots": 4} for one in members(backends)]
    with streams(serve(ollama_pools={"default": pool}), 4) as held:
        assert sorted(one.backend for one in held) == ["small", "small", "strong", "strong"]


@pytest.mark.parametrize("how", [MachineOnLan.vanish, pytest.param(MachineOnLan.refuse, marks=pytest.mark.long)])
def test_a_machine_that_is_off_costs_a_second_once_and_comes_back(
    prioritised: Httpd, backends: Backends, how: Callable[[MachineOnLan], None]
) -> None:
    until(prioritised, "strong")
    how(backends["strong"][0])
    name, seconds = ask(prioritised)
    assert name == "small"
    assert seconds < 5, "much longer than connectiontimeout"
    # After an error, httpd waits for a health check.
    names, times = zip(*(ask(prioritised) for _ in range(10)), strict=True)
    assert set(names) == {"small"}
    assert median(times) < QUICK, times
    backends["strong"][0].come_back()
    until(prioritised, "strong")


@pytest.mark.long
def test_an_idle_pool_notices_by_itself(prioritised: Httpd, backends: Backends) -> None:
    until(prioritised, "strong")
    backends["strong"][0].vanish()
    wait_until(lambda: len(re.findall("Health check DISABLING", prioritised.log())) == 2, NOTICED)
    name, seconds = ask(prioritised)
    assert (name, seconds < QUICK) == ("small", True)


@pytest.mark.long
def test_without_any_backend_503_and_the_first_one_back_serves(equal: Httpd, backends: Backends) -> None:
    for machine, _ in backends.values():
        machine.refuse()
    wait_until(lambda: equal.log().count("Health check DISABLING") >= 2, NOTICED)
    answer = call(equal.url, "POST", "/api/ollama", PROMPT)
    assert answer.status == 503
    assert answer.json()["error"] == "busy, or model server down"
    assert answer.all("x-hearth-backend") == []
    backends["small"][0].come_back()
    until(equal, "small")


def test_a_drained_backend_finishes_its_streams(serve: Serve, backends: Backends) -> None:
    """How a rolling deploy takes one out: a mark, and a graceful reload."""
    pool = [one | {"slots": 4} for one in members(backends, priority=2)]
    web = serve(ollama_pools={"default": pool})
    with streams(web, 2) as held:
        assert [one.backend for one in held] == ["strong", "strong"]
        mark = web.tree / "httpd/drained.conf"
        mark.write_text("Define DRAIN_strong +N\n")
        assert web.reload().code == 0
        until(web, "small")
        assert all(one.goes_on() for one in held)
        assert {ask(web)[0] for _ in range(5)} == {"small"}
    mark.unlink()
    assert web.reload().code == 0
    until(web, "strong")


def test_the_last_resort_is_drained_too(serve: Serve, backends: Backends) -> None:
    """It has another flag besides."""
    web = serve(ollama_pools={"default": members(backends, priority=2)})
    (web.tree / "httpd/drained.conf").write_text("Define DRAIN_small +N\n")
    web.apply()
    with streams(web, 1) as [first]:
        assert first.backend == "strong"
        wait_until(lambda: ask(web)[0] == "503", NOTICED)


def test_only_deploys_reach_one_backend_alone(prioritised: Httpd) -> None:
    """From inside the container, unlike here."""
    assert call(prioritised.url, "POST", "/hearth-backends/strong/api/generate", PROMPT).status == 403
    assert call(prioritised.url, "GET", "/hearth-backends?auto").status == 403
    for path in (
        "/hearth-backends/strong/api/delete",
        "/hearth-backends/strong/api/tags",
        "/hearth-backends/other/api/show",
    ):
        assert call(prioritised.url, "POST", path, PROMPT).status in (403, 404)


def test_a_named_pool_has_the_routes_below_its_name(serve: Serve, backends: Backends) -> None:
    strong, small = members(backends)
    web = serve(ollama_pools={"default": [strong], "big": [small]}, allowed_origins=["http://listed.example:8080"])
    assert ask(web)[0] == "strong"
    assert ask(web, "/big/api/ollama")[0] == "small"
    listed = call(web.url, "GET", "/big/v1/models", headers={"Origin": "http://listed.example:8080"})
    assert (listed.status, backend_of(listed)) == (200, "small")
    assert listed.all("access-control-allow-origin") == ["http://listed.example:8080"]
    assert backend_of(call(web.url, "GET", "/big/v1/models/tinyllama")) == "small"
    for path in ("/big/api/delete", "/big/v1/unknown", "/big/api"):
        missing = call(web.url, "GET", path)
        assert (missing.status, missing.all("content-type")) == (404, ["application/json"])
    assert call(web.url, "POST", "/big/api/ollama", PROMPT, {"Origin": "http://foreign.example"}).status == 403


def test_an_ollama_that_is_not_ours_accepts_what_the_gateway_sends(serve: Serve, backends: Backends) -> None:
    """Its Origin and Host rules are Ollama's own: OLLAMA_HOST is set there, and nothing else."""
    strong, _ = members(backends)
    web = serve(ollama_pools={"default": [{"url": strong["url"]}]}, allowed_origins=["http://listed.example:8080"])
    chat = {"model": "tinyllama", "messages": [], "stream": False}
    for origin in ("http://listed.example:8080", web.url):
        answer = call(web.url, "POST", "/api/chat", chat, {"Origin": origin})
        assert answer.status == 200, answer
    refused = call(str(strong["url"]), "GET", "/api/tags", headers={"Origin": "http://listed.example:8080"})
    assert refused.status == 403, "this Ollama has no origin rules, so the test shows nothing"


@pytest.mark.long
def test_over_tls_and_with_metrics_a_pool_is_the_same(serve: Serve, backends: Backends, tmp_path: Path) -> None:
    metrics = tmp_path / "metrics"
    metrics.mkdir()
    site = Site(
        serve,
        backends["small"][1],
        tmp_path,
        volumes={METRICS_PUBLIC: metrics},
        ollama_pools={"default": members(backends, priority=2)},
        metrics_access="anyone",
    )
    backends["strong"][0].vanish()
    # Of both balancers, and once for both virtual hosts.
    wait_until(lambda: site.web.log().count("Health check DISABLING") >= 2, NOTICED)
    answer = site.client.call("/api/tags")
    assert answer.status == 200
    assert backend_of(answer) == "small"
    backends["strong"][0].come_back()
    wait_until(lambda: backend_of(site.client.call("/api/tags")) == "strong", NOTICED)
    wait_until(lambda: bool(re.search(r"/api/tags HTTP/\S+ 200 .* strong \d+$", site.web.log(), re.M)), 10)


@pytest.mark.long
def test_a_model_that_one_backend_lacks_is_404_there(equal: Httpd, backends: Backends) -> None:
    """Why all backends of a pool must have its models."""
    created = call(
        backends["strong"][1].url, "POST", "/api/create", {"model": "only", "from": "tinyllama", "stream": False}
    )
    assert created.status == 200, created
    statuses = [call(equal.url, "POST", "/api/ollama", PROMPT | {"model": "only"}).status for _ in range(4)]
    assert sorted(set(statuses)) == [200, 404]


@pytest.mark.long
def test_a_stream_ends_with_its_backend_and_others_go_on(
    parts: artefacts.Paths, tmp_path: Path, serve: Serve, backends: Backends
) -> None:
    with MachineOnLan() as machine:
        dying = Ollama(
            parts["roots"] / "ollama", tmp_path, parts["models"], machine.address, ("tinystory",), network=machine.name
        )
        with dying:
            _, small = members(backends)
            web = serve(ollama_pools={"default": [{"host": "dying", "url": dying.url, "slots": 1}, small]})
            with streams(web, 2) as held:
                lost, kept = sorted(held, key=lambda one: one.backend)
                assert (lost.backend, kept.backend) == ("dying", "small")
                dying.__exit__(None, None, None)
                assert kept.goes_on()
                wait_until(lambda: not lost.goes_on(), 10)
                assert kept.goes_on()
