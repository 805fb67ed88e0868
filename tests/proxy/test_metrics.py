"""Metrics: a real engine with the stack, the service's program, and a real Prometheus that scrapes the gateway."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import pytest
import yaml
from typing_extensions import override

from hearth.metrics.rules import render_files
from hearth.paths import METRICS_PROGRAM, METRICS_SCRIPT, METRICS_UNIT, ROOT
from hearth.releases.release import Release, dump_release
from hearth.settings.model import Settings
from hearth.stack.container_operations import converge_script
from hearth.stack.containers import Drift
from lab import artefacts, models
from lab.progress import Stages
from tests.acceptance.api import bearer, call
from tests.proxy.conftest import Serve
from tests.proxy.credentials import KEY, MOUNT, SETTINGS, write_files
from tests.proxy.engine import ADDRESS, Engine, lab_settings
from tests.support.prometheus import Prometheus
from tests.support.proxy_rules.behaviour import wait_until
from tests.support.self_signed import self_signed
from tests.support.shipped import PROJECT, shipped_settings

needs_engine = pytest.mark.skipif(os.getuid() != 0, reason="a separate engine needs root")
SLOTS = 2
URL = f"https://{ADDRESS}"
SECRET_WORD = "zanzibar"  # in prompts; must appear nowhere
DASHBOARD: dict[str, Any] = json.loads((PROJECT / "docs/grafana/dashboard.json").read_text())
ALERTS = PROJECT / "docs/grafana/alerts.yaml"
QUERIES = [
    pytest.param(target["expr"].replace("$instance", ".*"), id=f"{panel['title']} {target['refId']}")
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
]
RULES = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


@dataclass
class Deployed:
    """The deployed stack with metrics, and the Prometheus that scrapes it."""

    engine: Engine
    settings: Settings
    prometheus: Prometheus
    promtool: Path

    def outside(self, *words: str) -> list[str]:
        """The command line that runs a program of this machine in the engine's network."""
        return ["nsenter", f"--net={self.engine.network}", *words]

    def curl(self, *words: str, key: str = KEY) -> subprocess.Popen[str]:
        login = ["-H", f"Authorization: Bearer {key}"] if key else []
        words = ("curl", "-sk", "-m", "60", *login, *words)
        return subprocess.Popen(self.outside(*words), stdout=subprocess.PIPE, text=True)

    def fetch(self, *words: str, key: str = KEY) -> str:
        return self.curl(*words, key=key).communicate()[0]

    def prompt(self, words: int, *options: str) -> subprocess.Popen[str]:
        body = {"model": "tinystory", "prompt": SECRET_WORD, "options": {"num_predict": words, "num_thread": 1}}
        return self.curl(*options, f"{URL}/api/ollama", "-d", json.dumps(body))


def eventually(value: Callable[[], float], expected: float, seconds: float = 20) -> None:
    """Wait until a value is reached; the last one is in the error."""
    until = time.monotonic() + seconds
    while (last := value()) != expected:
        assert time.monotonic() < until, f"{last} instead of {expected} after {seconds} s"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with Stages() as stages:
        parts = artefacts.build(("engine", "images", "tools", "models", "prometheus"), stages)
    directory = tmp_path_factory.mktemp("metrics")
    certificate = self_signed(directory / "server.pem", (ADDRESS,), days=30)
    settings = lab_settings(
        parts,
        **SETTINGS,
        proxy_access="users or api_keys",
        metrics_access="api_keys",
        proxy_max_streams=SLOTS,
        proxy_queue_timeout=60,
        proxy_extra_routes=[{"path": "/flask/", "to": "http://host.docker.internal:5001/", "methods": ["GET"]}],
        proxy_tls="files",
        proxy_tls_names=[ADDRESS],
        proxy_tls_certificate=str(certificate),
        proxy_tls_key={"file": str(certificate)},
    )
    with Engine(parts, directory) as engine:
        engine.write(settings)
        (engine.project / "secrets").mkdir()
        write_files(engine.project / "secrets/httpd")
        (engine.project / "tls/live").mkdir(parents=True)
        shutil.copy(certificate, engine.project / "tls/live/server.pem")
        for path in engine.project.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        release = Release(id="20261128T120000Z-abc", created="2026-11-28T12:00:00+00:00", commit="abc")
        (engine.project / "releases" / release.id).mkdir(parents=True)
        (engine.project / "releases" / release.id / "release.json").write_text(dump_release(release))
        (engine.project / "releases/accepted").write_text(f"{release.id}\n")
        engine.bring_up(settings)
        job = {
            "job_name": "hearth",
            "scheme": "https",
            "scrape_interval": "1s",
            "authorization": {"credentials": KEY},
            "tls_config": {"insecure_skip_verify": True},
            "static_configs": [{"targets": [ADDRESS]}],
        }
        network = ("nsenter", f"--net={engine.network}")
        one = Deployed(
            engine,
            settings,
            Prometheus(parts["prometheus"], directory, job, ALERTS, prefix=network),
            parts["prometheus"] / "promtool",
        )
        for name in models.NAMES:
            add_model(one, parts["models"] / f"{name}.gguf", name)
        start_collecting(one)
        with one.prometheus:
            eventually(lambda: one.prometheus.value('up{job="hearth"}'), 1, 30)
            # Prometheus must see the counters before they grow.
            for words in (1, 20):
                for option in ("--http1.1", "--http2"):
                    assert '"done":true' in one.prompt(words, option).communicate()[0]
                one.fetch(f"{URL}/api/tags")
                one.fetch(f"{URL}/", key="wrong")
                time.sleep(3)
            # Not mid-stream of Ollama, which that may block (ollama#17131).
            with backend(engine):
                one.fetch("-m", "1", f"{URL}/flask/endless")
                # Twice: the panel shows a rate.
                eventually(
                    lambda: one.prometheus.value(
                        'count_over_time(hearth_client_gone_total{route="/flask/"}[1m]) >= bool 2'
                    ),
                    1,
                )
                yield one


class Backend(BaseHTTPRequestHandler):
    """Somebody's own backend: /endless streams until the client goes away."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        with suppress(OSError):
            while self.path.endswith("/endless"):
                self.wfile.write(b"x\n")
                time.sleep(0.05)

    @override
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def backend(engine: Engine) -> Iterator[None]:
    """Run it on port 5001 of the engine's host."""
    started: Queue[ThreadingHTTPServer] = Queue()

    def serve() -> None:
        engine.enter_network()
        server = ThreadingHTTPServer(("0.0.0.0", 5001), Backend)
        started.put(server)
        server.serve_forever()

    Thread(target=serve, daemon=True).start()
    server = started.get(timeout=20)
    yield
    server.shutdown()
    server.server_close()


def add_model(one: Deployed, weights: Path, name: str) -> None:
    """Create a model in the engine's Ollama, through the port on its loopback."""
    digest = f"sha256:{hashlib.sha256(weights.read_bytes()).hexdigest()}"
    url = "http://127.0.0.1:11434/api"
    one.fetch(f"{url}/blobs/{digest}", "--data-binary", f"@{weights}", key="")
    body = {"model": name, "files": {weights.name: digest}, "template": models.TEMPLATE, "stream": False}
    created = one.fetch(f"{url}/create", "-d", json.dumps(body), key="")
    assert '"success"' in created, created


def start_collecting(one: Deployed) -> None:
    """Run the service's program as its unit does, but every second."""
    files = render_files(one.settings)
    for path in (METRICS_SCRIPT, METRICS_PROGRAM):
        target = one.engine.project / path.removeprefix(f"{ROOT}/")
        target.parent.mkdir(exist_ok=True)
        target.write_text(files[path])
    environment = re.findall(r"^Environment=(\w+)=(.*)$", files[METRICS_UNIT], re.MULTILINE)
    assignments = " ".join(f"{name}='{value}'" for name, value in [*environment, ("HEARTH_INTERVAL", "1")])
    command = f"{assignments} setsid bash {METRICS_SCRIPT} >/opt/hearth/collect.log 2>&1 </dev/null &"
    assert one.engine.execute(command).code == 0


@pytest.fixture(scope="module")
def page(deployed: Deployed) -> str:
    """What /metrics shows."""
    return deployed.fetch(f"{URL}/metrics")


@needs_engine
@pytest.mark.parametrize("expression", QUERIES)
def test_every_panel_shows_data(deployed: Deployed, expression: str) -> None:
    result = deployed.prometheus.query(expression)
    assert result, deployed.fetch(f"{URL}/metrics")
    assert any(one["value"][1] != "NaN" for one in result), result


@needs_engine
@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_no_alert_fires_on_a_healthy_host(deployed: Deployed, rule: dict[str, Any]) -> None:
    assert deployed.prometheus.query(rule["expr"]) == []


@needs_engine
def test_alerts_and_the_page_are_clean_for_promtool(deployed: Deployed, page: str) -> None:
    rules = subprocess.run(
        [deployed.promtool, "check", "rules", str(ALERTS)], capture_output=True, text=True, check=False
    )
    assert rules.returncode == 0, rules
    text = subprocess.run(
        [deployed.promtool, "check", "metrics"], input=page, capture_output=True, text=True, check=False
    )
    assert text.returncode == 0, text


@needs_engine
def test_requests_are_counted_by_route_status_and_caller(deployed: Deployed) -> None:
    requests = 'hearth_requests_total{route="/api/tags",status="200",caller="notebook"}'
    before = deployed.prometheus.value(requests)
    assert before > 0
    for _ in range(3):
        deployed.fetch(f"{URL}/api/tags?x=1")
    eventually(lambda: deployed.prometheus.value(requests), before + 3)
    # A backend, paths without a route, and the page.
    for path in ("/flask/a/b?c", "/flask/", "/nosuch", "/api/tags/x", "/chat.js", "/?x"):
        deployed.fetch(f"{URL}{path}")
    eventually(
        lambda: deployed.prometheus.value('hearth_requests_total{route="/flask/",status="200",caller="notebook"}'), 3
    )
    eventually(lambda: deployed.prometheus.value('sum(hearth_requests_total{route="other",status="404"})'), 2)
    eventually(lambda: deployed.prometheus.value('sum(hearth_requests_total{route="page",caller="notebook"})'), 2)
    refused = deployed.prometheus.query('hearth_requests_total{status="401"}')
    assert refused, "an invalid key"
    # Whoever fails to sign in is known by address.
    assert {one["metric"]["caller"] for one in refused} == {ADDRESS}


@needs_engine
def test_paths_get_the_label_of_their_route(deployed: Deployed) -> None:
    routes = [
        {"path": "/a-b~c.d_e/", "to": "http://backend.lan:80/", "methods": ["GET"]},
        {"path": "/a-b~c.d_e/x", "to": "/api/tags", "methods": ["GET"]},
    ]
    settings = shipped_settings(metrics_access="anyone", proxy_extra_routes=routes)
    labels = {
        "GET /a-b~c.d_e/z?q": "/a-b~c.d_e/",
        "GET /a-b~c.d_e/x": "/a-b~c.d_e/x",
        "GET /a-bXcXd_e/x": "other",
        "POST /api/chat/y": "other",
        "HEAD /": "page",
        'GET /?\\" 200 1 1 1 + \\"': "other",
    }
    # One status for each line, to tell them apart.
    line = '10.0.0.1 [28/Nov/2026:12:00:00 +0000] "{} HTTP/1.1" {} 1 1 1 + "-" "x" 5\n'
    text = "".join(line.format(request, 200 + number) for number, request in enumerate(labels))
    (deployed.engine.project / "routes.log").write_text(text)
    (deployed.engine.project / "routes.mtail").write_text(render_files(settings)[METRICS_PROGRAM])
    done = deployed.engine.execute(
        "cd /opt/hearth && mtail --one_shot --logs routes.log --progs routes.mtail 2>/dev/null | sed -n '/^{/,$p'"
    )
    [metric] = json.JSONDecoder().raw_decode(done.output)[0]["hearth_requests_total"]
    found = {one["Labels"][1]: one["Labels"][0] for one in metric["LabelValues"]}
    assert found == {str(200 + number): label for number, label in enumerate(labels.values())}, done.output


@needs_engine
def test_metrics_need_their_credential_and_are_not_in_the_log(deployed: Deployed, page: str) -> None:
    assert "hearth_slots 2" in page
    status = ("-o", "/dev/null", "-w", "%{http_code}")
    assert deployed.fetch(f"{URL}/metrics", *status, key="") == "401"
    assert deployed.fetch(f"{URL}/metrics", *status, "-H", "Host: evil.example.com") == "421"
    assert deployed.fetch(f"{URL}/metrics", *status, "-H", "Origin: http://evil.example") == "403"
    # Without a body: see tls_client.py.
    assert deployed.fetch(f"{URL}/metrics", *status, "-X", "POST") == "405"
    assert deployed.fetch(f"{URL}/hearth-status", *status) == "403"
    log = deployed.engine.execute("docker logs hearth-httpd 2>/dev/null").output
    assert '"GET /metrics HTTP/2.0" 401' in log
    assert not re.search(r'"GET /metrics HTTP/[12.]+" 200', log)


@needs_engine
@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_slots_in_use_and_waiting(deployed: Deployed, version: str) -> None:
    eventually(lambda: deployed.prometheus.value("hearth_slots_in_use"), 0)
    streams = [deployed.prompt(1500, version) for _ in range(SLOTS + 3)]
    eventually(lambda: deployed.prometheus.value("hearth_slots_in_use"), SLOTS)
    if version == "--http1.1":
        eventually(lambda: deployed.prometheus.value("hearth_requests_waiting"), 3)
    for one in streams:
        one.communicate()
    eventually(lambda: deployed.prometheus.value("hearth_requests_waiting"), 0)
    eventually(lambda: deployed.prometheus.value("hearth_slots_in_use"), 0)


@needs_engine
def test_prompts_are_in_no_log_and_no_metric(deployed: Deployed, page: str) -> None:
    for container in ("hearth-httpd", "hearth-ollama"):
        log = deployed.engine.execute(f"docker logs {container} 2>&1").output
        assert "/api/" in log, log[-500:]
        assert SECRET_WORD not in log
    assert SECRET_WORD not in page


@needs_engine
def test_counting_goes_on_with_a_new_container(deployed: Deployed) -> None:
    requests = 'hearth_requests_total{route="/api/tags",status="200",caller="notebook"}'
    before = deployed.prometheus.value(requests)
    assert deployed.engine.execute("docker rm -f hearth-httpd").code == 0
    eventually(lambda: deployed.prometheus.value('up{job="hearth"}'), 0)
    done = deployed.engine.run(converge_script([Drift("hearth-httpd", "is missing", "up")], 60, "exit 1", 0))
    assert done.code == 0, done.output
    deployed.fetch(f"{URL}/api/tags")
    eventually(lambda: deployed.prometheus.value(requests), before + 1)
    eventually(lambda: deployed.prometheus.value('hearth_container_running{container="httpd"}'), 1)


def test_the_address_is_neither_logged_nor_counted_without_addresses(serve: Serve) -> None:
    web = serve(proxy_log="no-addresses", metrics_access="anyone")
    call(web.url, "GET", "/", headers={"User-Agent": "my-own-browser", "Host": "pi"})
    call(web.url, "GET", "/api/tags")  # the upstream is down, which is an error in the log
    line = re.compile(r'^- \[[^]]+\] "GET / HTTP/1.1" 200 \d+ \d+ \d+ \+ "-" "-" \d+$', re.MULTILINE)
    wait_until(lambda: line.search(web.log()) is not None, 10)  # httpd logs after it has responded
    log = web.log()
    assert "AH" in log
    assert "my-own-browser" not in log
    assert "[client" not in log


def test_no_access_log(serve: Serve) -> None:
    web = serve(proxy_log="off")
    assert call(web.url, "GET", "/").status == 200
    assert "GET" not in web.log()


def test_metrics_are_a_404_without_figures(serve: Serve, tmp_path: Path) -> None:
    web = serve(metrics_access="api_keys", **SETTINGS, proxy_access="users or api_keys",
                volumes={MOUNT: write_files(tmp_path / "secrets")})  # fmt: skip
    assert call(web.url, "GET", "/metrics").status == 401
    assert call(web.url, "GET", "/metrics", headers=bearer(KEY)).status == 404
