"""Releases: accepted if they work, restored if the next one does not."""

from __future__ import annotations

import hashlib
import json
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from hearth.releases import operations
from hearth.releases.facts import Releases, ReleasesState
from hearth.releases.operations import accept_release, accept_script, refuse_script, roll_back
from hearth.releases.release import Release, dump_release
from hearth.runtime.commands import streamed_command
from hearth.settings.model import Settings
from tests.pyinfra.conftest import Run
from tests.pyinfra.shell import HOSTILE, Sandbox, check_syntax
from tests.support.shipped import shipped_settings

OLLAMA, HTTPD = shipped_settings().ollama_image, shipped_settings().proxy_image
FILES = {"compose.yaml": "new compose", "httpd/httpd.conf": "new conf", "htdocs/index.html": "new page"}
DIGESTS = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in FILES.items()}
IMAGES = {OLLAMA: "sha256:1", HTTPD: "sha256:2"}
PATHS = tuple(sorted(FILES))
NOW = Release(id="20261122T120000Z-abc", created="2026-11-22T12:00:00+00:00", commit="abc", by="anna@laptop")
BEFORE = "20261101T000000Z-old"
Make = Callable[..., Settings]


def accept(run: Run, settings: Settings, state: ReleasesState) -> list[str]:
    return run(accept_release, {Releases: state}, settings=settings, paths=PATHS, release=NOW).scripts


def test_accepted_release_is_not_tested_again(run: Run, make_settings: Make) -> None:
    accepted = Release(id="1", files=DIGESTS, images=IMAGES)
    assert accept(run, make_settings(), ReleasesState(accepted, DIGESTS, IMAGES)) == []


@pytest.mark.parametrize(
    ("change", "prompts"),
    [
        ({"htdocs/index.html": "other"}, False),
        ({"httpd/httpd.conf": "other"}, True),
        ({"compose.yaml": "other"}, True),
    ],
)
def test_prompt_is_sent_unless_only_the_page_changed(
    run: Run, make_settings: Make, change: dict[str, str], prompts: bool
) -> None:
    accepted = Release(id="1", files=DIGESTS | change, images=IMAGES)
    (script,) = accept(run, make_settings(), ReleasesState(accepted, DIGESTS, IMAGES))
    assert ("works 85 /api/ollama" in script) is prompts
    assert "works 85" in script


def test_first_release_and_new_image_need_a_prompt(run: Run, make_settings: Make) -> None:
    for accepted in (None, Release(id="1", files=DIGESTS, images=IMAGES | {OLLAMA: "sha256:old"})):
        (script,) = accept(run, make_settings(), ReleasesState(accepted, DIGESTS, IMAGES))
        assert "works 85 /api/ollama" in script


def test_release_scripts_have_valid_syntax(make_settings: Make) -> None:
    settings = make_settings(ollama_models=["llama3.2:1b"])
    hostile = Release(id="1", by=HOSTILE, images={HOSTILE: "sha256:1"}, files={f"htdocs/{HOSTILE}": "1"})
    for script in (
        accept_script(settings, hostile, True),
        refuse_script(settings, tuple(hostile.files), HOSTILE),
    ):
        check_syntax(script)
        # Also the inner script, which is only text for the outer shell.
        inner = script.partition("\n")[2].rpartition("\n")[0]
        checked = subprocess.run(["bash", "-n"], input=inner, capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr


# --- on a host ------------------------------------------------------------------------------------


class Proxy(BaseHTTPRequestHandler):
    """Responds like the deployed proxy and Ollama behind it; `said` is the body of the response to a prompt.

    `abilities`: capabilities in `/api/show`; none for other models, as with an old Ollama. `embedded`: the body of an
    embedding.
    """

    said = '{"response":"Hello","done":false}\n{"response":"","done":true}\n'
    abilities: Mapping[str, list[str]] = {}
    embedded = '{"embeddings":[[-0.5,0.5]]}'
    page = 200
    prompts: list[str]

    def do_GET(self) -> None:
        self._answer(self.page, "<html>")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/api/show":
            known = self.abilities.get(json.loads(body)["model"])
            # Like Ollama, without spaces.
            self._answer(
                200, json.dumps({"license": "…"} | ({"capabilities": known} if known else {}), separators=(",", ":"))
            )
            return
        type(self).prompts.append(body)
        self._answer(200, self.embedded if self.path == "/api/embed" else self.said)

    def _answer(self, status: int, body: str) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *values: object) -> None:
        pass


@pytest.fixture(name="proxy")
def _proxy() -> Iterator[tuple[type[Proxy], int]]:
    handler = type("Handler", (Proxy,), {"prompts": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield handler, server.server_address[1]
        server.shutdown()


DOCKER = """case "$1 $2" in
"image inspect") case "$5" in
  httpd:*|sha256:2) echo sha256:2;; ollama/*|sha256:1) echo sha256:1;;
  sha256:0) [ -e {gone} ] || echo sha256:0;; *) exit 1;; esac;;
esac"""


@pytest.fixture(name="host")
def _host(tmp_path: Path) -> Sandbox:
    """A host with new files and an older accepted release."""
    sandbox = Sandbox(tmp_path)
    sandbox.program("docker", DOCKER.replace("{gone}", str(tmp_path / "gone")))
    old = sandbox.root / "releases" / BEFORE
    for path, text in FILES.items():
        for place in (sandbox.root / path, old / "tree" / path):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text if place == sandbox.root / path else f"old {path}")
    (sandbox.root / "htdocs/added.js").write_text("only in the new release")
    (old / "release.json").write_text(dump_release(Release(id=BEFORE)))
    (old / "images").write_text(f"{OLLAMA} sha256:1\n{HTTPD} sha256:0\n")
    (old / "previous").touch()
    (sandbox.root / "releases/accepted").write_text(f"{BEFORE}\n")
    (sandbox.root / "images.lock").write_text(f"{OLLAMA} sha256:1\n{HTTPD} sha256:2\n")
    return sandbox


def release_of(settings: Settings) -> Release:
    return Release(
        **(
            vars(NOW)
            | {
                "files": DIGESTS | {"htdocs/added.js": "1"},
                "images": IMAGES,
                "settings": settings.model_dump(mode="json"),
            }
        )
    )


def test_working_release_is_recorded(host: Sandbox, proxy: tuple[type[Proxy], int], make_settings: Make) -> None:
    handler, port = proxy
    settings = make_settings(proxy_port=port)
    release = release_of(settings)
    done = host.run(accept_script(settings, release, True))
    assert done.returncode == 0, done.stderr
    assert (host.root / "releases/accepted").read_text().strip() == NOW.id
    kept = host.root / "releases" / NOW.id
    assert {path: (kept / "tree" / path).read_text() for path in FILES} == FILES
    assert json.loads((kept / "release.json").read_text())["settings"]["proxy_port"] == port
    assert (kept / "images").read_text() == f"{OLLAMA} sha256:1\n{HTTPD} sha256:2\n"
    assert (kept / "previous").read_text().strip() == BEFORE
    assert '"accepted"' in (host.root / "releases/log.jsonl").read_text()
    assert json.loads(handler.prompts[0])["model"] == settings.ollama_models[0]


# What can't be written, as on a full disk: a directory has the name.
FULL = {
    "the release": 'cp "$@" && mkdir -p {releases}/.new/release.json',
    "its acceptance": 'cp "$@" && mkdir -p {releases}/accepted.new',
}


@pytest.mark.parametrize("full", FULL.values(), ids=FULL)
def test_release_that_cannot_be_recorded_is_not_accepted(
    host: Sandbox, proxy: tuple[type[Proxy], int], make_settings: Make, full: str
) -> None:
    host.program("cp", f"/bin/{full}".replace("{releases}", str(host.root / "releases")))
    settings = make_settings(proxy_port=proxy[1])
    done = host.run(accept_script(settings, release_of(settings), False))
    assert done.returncode == 1
    assert "is accepted" not in done.stdout
    assert (host.root / "releases/accepted").read_text().strip() == BEFORE
    assert not (host.root / "releases/log.jsonl").exists()


def test_unreadable_release_does_not_count_as_running(host: Sandbox, make_settings: Make) -> None:
    host.program("find", "exit 1")
    done = host.run(refuse_script(make_settings(), PATHS, "anna@laptop"))
    assert done.returncode == 1
    assert f"Release {BEFORE} did not start either" in done.stderr
    assert "something else" not in done.stderr


GATED = {"proxy_access": "users", "proxy_users": {"anna": {"env": "HEARTH_ANNA"}}}
# `docker exec CONTAINER COMMAND …` runs the command here, with the test's server as the container's.
INSIDE = """if [ "$1 $3" = 'exec bash' ]; then
  script=$(printf '%s\\n' "$5" | sed 's/http 80/http {port}/; s,http [a-z0-9.]*/11434,http {port},')
  shift 5
  exec bash -c "$script" "$@"
fi
"""


def test_release_with_sign_in_is_tested_from_inside(
    host: Sandbox, proxy: tuple[type[Proxy], int], make_settings: Make
) -> None:
    """Also after a rollback: the test has no password."""
    host.program("docker", INSIDE.replace("{port}", str(proxy[1])) + DOCKER.replace("{gone}", "/no"))
    settings = make_settings(**GATED, proxy_port=1, ollama_models=["tinyllama"])
    done = host.run(accept_script(settings, release_of(settings), True))
    assert done.returncode == 0, done.stderr
    assert json.loads(proxy[0].prompts[0])["model"] == "tinyllama"
    assert any(call.startswith("docker exec hearth-httpd bash -c ") for call in host.calls)
    probe = (host.root / "releases" / NOW.id / "probe").read_text().splitlines()
    assert probe[0] == "inside"
    proxy[0].page = 401
    refused = host.run(accept_script(settings, release_of(settings), True))
    assert refused.returncode == 1
    assert "The chat page did not load: HTTP/1.0 401" in refused.stderr


@pytest.fixture(name="inside")
def _inside(host: Sandbox, proxy: tuple[type[Proxy], int]) -> Sandbox:
    """A host on which Ollama is reachable from httpd's container."""
    host.program("docker", INSIDE.replace("{port}", str(proxy[1])) + DOCKER.replace("{gone}", "/no"))
    return host


ABILITIES = {
    "minilm": ["embedding"],
    "hf.co/some/vectors:1b": ["embedding"],
    "llama3.2:1b": ["completion", "tools"],
    "picture": ["image"],
}


@pytest.mark.parametrize("models", [["minilm", "llama3.2:1b"], ["hf.co/some/vectors:1b", "llama3.2:1b", "minilm"]])
def test_first_chat_model_gets_the_prompt(
    inside: Sandbox, proxy: tuple[type[Proxy], int], make_settings: Make, models: list[str]
) -> None:
    handler, port = proxy
    handler.abilities = ABILITIES
    settings = make_settings(proxy_port=port, ollama_models=models)
    done = inside.run(accept_script(settings, release_of(settings), True))
    assert done.returncode == 0, done.stderr
    assert [json.loads(body)["model"] for body in handler.prompts] == ["llama3.2:1b"]
    assert "a test prompt was answered through the proxy" in done.stdout


def test_release_with_embedding_models_is_accepted_by_an_embedding(
    inside: Sandbox, proxy: tuple[type[Proxy], int], make_settings: Make, run: Run
) -> None:
    """Also after a rollback; without an embedding the release is not accepted."""
    handler, port = proxy
    handler.abilities = ABILITIES
    routes = [{"path": "/api/embed", "to": "/api/embed", "methods": ["POST"]}]
    settings = make_settings(proxy_port=port, ollama_models=["picture", "minilm"], proxy_routes=routes)
    done = inside.run(accept_script(settings, release_of(settings), True))
    assert done.returncode == 0, done.stderr
    assert "minilm returns embeddings. No model in ollama_models can chat" in done.stdout
    assert [json.loads(body) for body in handler.prompts] == [{"model": "minilm", "input": "hello"}]
    (inside.root / "releases" / BEFORE / "probe").write_text(f"{port}\n\n\nminilm\n")
    (script,) = run(roll_back, {}, settings=settings, by="anna@laptop").scripts
    assert "minilm returns embeddings" in inside.run(script).stdout
    handler.embedded = '{"error":"llama runner process has terminated"}'
    refused = inside.run(accept_script(settings, release_of(settings), True))
    assert refused.returncode == 1
    assert 'minilm did not return an embedding: HTTP/1.0 200 OK … {"error":"llama runner' in refused.stderr


def test_models_without_chat_and_embedding_are_not_tested(
    inside: Sandbox, proxy: tuple[type[Proxy], int], make_settings: Make
) -> None:
    proxy[0].abilities = ABILITIES
    settings = make_settings(proxy_port=proxy[1], ollama_models=["picture"])
    done = inside.run(accept_script(settings, release_of(settings), True))
    assert done.returncode == 0, done.stderr
    assert "none of picture can chat or create embeddings" in done.stdout
    assert proxy[0].prompts == []


@pytest.mark.parametrize("role", ["backend", "both"])
def test_a_host_in_a_pool_is_tested_by_its_own_ollama(
    inside: Sandbox, proxy: tuple[type[Proxy], int], make_settings: Make, role: str
) -> None:
    """Through the proxy, the prompt might go to another host; a backend has no proxy, and no page."""
    handler, port = proxy
    pools = {"default": [{"url": "http://192.168.1.20"}, {"host": "pi", "url": "http://ollama:11434"}]}
    settings = make_settings(proxy_port=port, host_role=role, ollama_pools=pools)
    done = inside.run(accept_script(settings, release_of(settings), True))
    assert done.returncode == 0, done.stderr
    assert "A test prompt was answered by Ollama on this host." in done.stdout
    assert [json.loads(body)["prompt"] for body in handler.prompts] == ["Say hello."]
    used = {"backend": "hearth-ollama", "both": "hearth-httpd"}[role]
    assert {call.split()[2] for call in inside.calls if call.startswith("docker exec ") and "http" in call} == {used}
    handler.said = '{"error":"model runner has unexpectedly stopped"}'
    refused = inside.run(accept_script(settings, release_of(settings), True))
    assert refused.returncode == 1
    assert "The test prompt to /api/generate did not complete" in refused.stderr


def test_a_gateway_alone_is_tested_by_its_page(
    host: Sandbox, proxy: tuple[type[Proxy], int], make_settings: Make
) -> None:
    """Its backends may be off."""
    handler, port = proxy
    pools = {"default": [{"url": "http://192.168.1.20"}]}
    settings = make_settings(proxy_port=port, host_role="gateway", ollama_pools=pools)
    done = host.run(accept_script(settings, release_of(settings), True))
    assert done.returncode == 0, done.stderr
    assert "The page loads. No test prompt" in done.stdout
    assert handler.prompts == []


@pytest.mark.parametrize(("keeps", "kept"), [("compose.yaml", True), ("release", True), ("", False)])
def test_credentials_are_removed_with_the_last_release_that_needs_them(
    host: Sandbox, proxy: tuple[type[Proxy], int], make_settings: Make, keeps: str, kept: bool
) -> None:
    secrets = host.root / "secrets/httpd"
    secrets.mkdir(parents=True)
    (secrets / "people").write_text("anna:hash")
    mount = "source: ./secrets/httpd\n"
    if keeps == "release":
        (host.root / "releases" / BEFORE / "tree/compose.yaml").write_text(mount)
    if keeps == "compose.yaml":
        (host.root / "compose.yaml").write_text(mount)
    settings = make_settings(proxy_port=proxy[1])
    done = host.run(accept_script(settings, release_of(settings), False))
    assert done.returncode == 0, done.stderr
    assert (secrets / "people").exists() is kept
    assert secrets.parent.exists() is kept


@pytest.mark.parametrize(
    "broken",
    [
        {"page": 503},
        {"said": '{"error":"llama runner has terminated"}\n'},
        {"said": '{"response":"He'},
        # A response that ends at once, or a model that was only loaded.
        {"said": '{"response":"","done":true}\n'},
        {"said": '{"message":{"content":""},"done":true}\n'},
    ],
)
def test_broken_release_is_rolled_back(
    host: Sandbox, proxy: tuple[type[Proxy], int], make_settings: Make, broken: dict[str, object]
) -> None:
    handler, port = proxy
    for name, value in broken.items():
        setattr(handler, name, value)
    settings = make_settings(proxy_port=port)
    done = host.run(accept_script(settings, release_of(settings), True))
    assert done.returncode == 1
    assert f"Release {BEFORE} is running again" in done.stderr
    assert {path: (host.root / path).read_text() for path in FILES} == {path: f"old {path}" for path in FILES}
    assert not (host.root / "htdocs/added.js").exists()
    assert f"docker tag sha256:0 {HTTPD}" in host.calls
    assert f"{HTTPD} sha256:0" in (host.root / "images.lock").read_text()
    assert any("compose" in call and "up --detach --wait" in call for call in host.calls)
    assert (host.root / "releases/accepted").read_text().strip() == BEFORE
    assert '"refused"' in (host.root / "releases/log.jsonl").read_text()
    assert any(" logs " in call for call in host.calls)


RESTARTING = """case "$*" in
*"--no-deps ollama") exec /bin/sleep 2;;
inspect*RestartCount*hearth-httpd*) n=$(cat {polls} 2>/dev/null || echo 0); echo $((n + 3)) > {polls}; echo "id $n";;
esac
"""


def test_crash_looping_httpd_does_not_block_the_rollback(host: Sandbox, make_settings: Make) -> None:
    """It is replaced last, so its restarts don't count while waiting for Ollama."""
    docker = RESTARTING.replace("{polls}", str(host.directory / "polls"))
    host.program("docker", docker + DOCKER.replace("{gone}", str(host.directory / "gone")))
    host.program("sleep", "exec /bin/sleep 0.05")
    done = host.run(refuse_script(make_settings(), PATHS, "anna@laptop"))
    assert f"Release {BEFORE} is running again" in done.stderr
    assert "three times" not in done.stderr


def test_no_rollback_to_an_image_that_is_gone(host: Sandbox, make_settings: Make) -> None:
    (host.directory / "gone").touch()
    done = host.run(refuse_script(make_settings(), PATHS, "anna@laptop"))
    assert done.returncode == 1
    assert f"docker pull {HTTPD}" in host.calls
    assert "now refers to a different image" in done.stderr
    assert "did not start either" in done.stderr
    assert (host.root / "compose.yaml").read_text() == "new compose", "half a rollback would be worse"


def test_pull_during_a_rollback_has_a_time_limit(host: Sandbox, make_settings: Make) -> None:
    (host.directory / "gone").touch()
    docker = DOCKER.replace("{gone}", str(host.directory / "gone"))
    host.program("docker", f"case $1 in pull) exec /bin/sleep 600;; esac\n{docker}")
    settings = make_settings(docker_pull_timeout=1, docker_pull_retries=0)
    done = host.run(refuse_script(settings, PATHS, "anna@laptop"))
    assert done.returncode == 1
    assert f"{HTTPD}: timed out after 1 s (docker_pull_timeout)" in done.stdout
    assert (host.root / "compose.yaml").read_text() == "new compose", "half a rollback would be worse"


def test_no_rollback_without_an_accepted_release(host: Sandbox, make_settings: Make) -> None:
    (host.root / "releases/accepted").unlink()
    done = host.run(refuse_script(make_settings(), PATHS, "anna@laptop"))
    assert done.returncode == 1
    assert "none to roll back to" in done.stderr
    assert (host.root / "compose.yaml").read_text() == "new compose"


def test_no_rollback_if_the_accepted_release_fails(host: Sandbox, make_settings: Make) -> None:
    old = host.root / "releases" / BEFORE
    for path, text in FILES.items():
        (old / "tree" / path).write_text(text)
    (old / "images").write_text(f"{OLLAMA} sha256:1\n{HTTPD} sha256:2\n")
    done = host.run(refuse_script(make_settings(), PATHS, "anna@laptop"))
    assert done.returncode == 1
    assert "something else on the host has changed" in done.stderr
    assert not any("tag" in call for call in host.calls)


def test_releases_kept(host: Sandbox, proxy: tuple[type[Proxy], int], make_settings: Make) -> None:
    settings = make_settings(proxy_port=proxy[1], releases_kept=1)
    done = host.run(accept_script(settings, release_of(settings), False))
    assert done.returncode == 0, done.stderr
    assert not (host.root / "releases" / BEFORE).exists()
    assert "docker rmi sha256:0" in host.calls
    assert "docker rmi sha256:1" not in host.calls, "the current release uses it"


# A response streams from Ollama through httpd, which lists it.
STREAMING = 'case "$*" in *State.Pid*) echo 4194305;; *hearth-requests*) echo 17-1;; esac\n'


def waits(host: Sandbox, script: str) -> int:
    """Run a script on a host with a response in flight: seconds until its containers change."""
    host.program("docker", STREAMING + DOCKER.replace("{gone}", str(host.directory / "gone")))
    host.program("sleep")
    (host.directory / "tcp").write_text("   0: 030012AC:D2F0 020012AC:2CAA 01 00000000:00000000\n")
    begun = len(host.calls)
    host.run(script.replace("/proc/$1/net", str(host.directory)))
    calls = host.calls[begun:]
    changed = next(index for index, call in enumerate(calls) if "RestartCount" in call)
    return calls[:changed].count("sleep 1")


def test_a_rollback_lets_responses_finish(
    host: Sandbox, proxy: tuple[type[Proxy], int], make_settings: Make, run: Run
) -> None:
    settings = make_settings(proxy_port=proxy[1], docker_drain_timeout=3)
    (host.root / "releases" / BEFORE / "probe").write_text(f"{proxy[1]}\n\n\n\n")
    assert host.run(accept_script(settings, release_of(settings), False)).returncode == 0
    (script,) = run(roll_back, {}, settings=settings, by="anna@laptop").scripts
    assert waits(host, script) == 3
    assert (host.root / "releases/accepted").read_text().strip() == BEFORE


def test_a_refused_release_is_replaced_at_once(host: Sandbox, make_settings: Make) -> None:
    assert waits(host, refuse_script(make_settings(), PATHS, "anna@laptop")) == 0
    assert (host.root / "compose.yaml").read_text() == "old compose.yaml"


@pytest.mark.parametrize(
    ("role", "waits_for_httpd"),
    [
        ({"host_role": "backend"}, False),  # gateways alone have connections, for which `leave_out` has waited
        ({"host_role": "backend", "ollama_publish_tls": True, "host_address": "192.168.1.20"}, True),
        ({"ollama_publish": "0.0.0.0:11434"}, True),
    ],
)
def test_a_rollback_in_a_pool_waits_for_what_its_own_httpd_lists(
    monkeypatch: pytest.MonkeyPatch, make_settings: Make, run: Run, role: dict[str, object], waits_for_httpd: bool
) -> None:
    monkeypatch.setattr(operations, "has_gateways", lambda: True)
    monkeypatch.setattr(operations, "leave_out", lambda drain_timeout: iter([streamed_command(f"out {drain_timeout}")]))
    settings = make_settings(docker_drain_timeout=7, **role)
    left_out, script = run(roll_back, {}, settings=settings, by="anna@laptop").scripts
    assert left_out == "out 7"
    assert f"\nrollback {7 if waits_for_httpd else 0}\n" in script


def test_rollback_to_the_previous_release_only_once(
    host: Sandbox, proxy: tuple[type[Proxy], int], make_settings: Make, run: Run
) -> None:
    settings = make_settings(proxy_port=proxy[1])
    (host.root / "releases" / BEFORE / "probe").write_text(f'{proxy[1]}\n/api/ollama\n{{"model":"m"}}\n')
    assert host.run(accept_script(settings, release_of(settings), False)).returncode == 0
    (script,) = run(roll_back, {}, settings=settings, by="anna@laptop").scripts
    done = host.run(script)
    assert done.returncode == 0, done.stderr
    assert (host.root / "compose.yaml").read_text() == "old compose.yaml"
    assert not (host.root / "htdocs/added.js").exists()
    assert (host.root / "releases/accepted").read_text().strip() == BEFORE
    again = host.run(script)
    assert again.returncode == 1
    assert "no release to roll back to" in again.stderr


def test_files_of_a_release_stay_readable_whatever_the_logins_umask(
    host: Sandbox, proxy: tuple[type[Proxy], int], make_settings: Make, run: Run
) -> None:
    settings = make_settings(proxy_port=proxy[1])
    (host.root / "releases" / BEFORE / "probe").write_text(f"{proxy[1]}\n\n\n\n")
    assert host.run(f"umask 077\n{accept_script(settings, release_of(settings), False)}").returncode == 0
    for recorded in (host.root / "releases" / BEFORE / "tree").rglob("*"):  # as an earlier Hearth did
        recorded.chmod(0o700 if recorded.is_dir() else 0o600)
    (script,) = run(roll_back, {}, settings=settings, by="anna@laptop").scripts
    assert host.run(f"umask 077\n{script}").returncode == 0
    for path in ("compose.yaml", "httpd/httpd.conf", "releases/accepted", f"releases/{NOW.id}/tree/compose.yaml"):
        assert (host.root / path).stat().st_mode & 0o044 == 0o044, path
    assert (host.root / "releases" / NOW.id).stat().st_mode & 0o055 == 0o055


def test_rollback_that_cannot_be_recorded_is_reported(
    host: Sandbox, proxy: tuple[type[Proxy], int], make_settings: Make, run: Run
) -> None:
    settings = make_settings(proxy_port=proxy[1])
    (host.root / "releases" / BEFORE / "probe").write_text(f'{proxy[1]}\n/api/ollama\n{{"model":"m"}}\n')
    assert host.run(accept_script(settings, release_of(settings), False)).returncode == 0
    (host.root / "releases/accepted.new").mkdir()
    (script,) = run(roll_back, {}, settings=settings, by="anna@laptop").scripts
    done = host.run(script)
    assert done.returncode == 1
    assert f"Release {BEFORE} is running, but " in done.stderr
    assert f"still names {NOW.id}" in done.stderr
    assert "rolled back" not in (host.root / "releases/log.jsonl").read_text()


def test_rollback_to_a_broken_release_is_undone(
    host: Sandbox, proxy: tuple[type[Proxy], int], make_settings: Make, run: Run
) -> None:
    handler, port = proxy
    settings = make_settings(proxy_port=port)
    (host.root / "releases" / BEFORE / "probe").write_text(f'{port}\n/api/ollama\n{{"model":"m"}}\n')
    assert host.run(accept_script(settings, release_of(settings), False)).returncode == 0
    handler.said = '{"error":"no"}'
    (script,) = run(roll_back, {}, settings=settings, by="anna@laptop").scripts
    done = host.run(script)
    assert done.returncode == 1
    assert f"Release {NOW.id} is running again" in done.stderr
    assert (host.root / "compose.yaml").read_text() == "new compose"
    assert (host.root / "htdocs/added.js").exists()
    assert (host.root / "releases/accepted").read_text().strip() == NOW.id


ACTIVE = 'case "$*" in *" input") printf "\\t\\ttcp dport 85 goto ask\\n";; esac'


@pytest.mark.parametrize(
    ("ports", "added"),
    [
        (
            ("127.0.0.1:11434:11434", "8085:80", "85:80"),
            "add rule inet hearth rollback ip daddr 127.0.0.1 tcp dport 11434 goto refuse; "
            "add element inet hearth pages { 8085 }; add rule inet hearth rollback tcp dport 8085 goto ask; "
            "add element inet hearth pages { 85 }",
        ),
        (("0.0.0.0:85:11434",), "add rule inet hearth rollback tcp dport 85 goto ask_ollama"),
        (("0.0.0.0:11434:443",), "add rule inet hearth rollback tcp dport 11434 goto ask_ollama"),
        (
            ("85:80", "443:443"),
            "add element inet hearth pages { 85 }; add element inet hearth pages { 443 }; "
            "add rule inet hearth rollback tcp dport 443 goto ask",
        ),
    ],
)
def test_rollback_protects_other_ports_by_the_firewall(
    host: Sandbox, make_settings: Make, ports: tuple[str, ...], added: str
) -> None:
    publish(host, *ports)
    host.program("nft", ACTIVE)
    assert host.run(refuse_script(make_settings(), PATHS, "anna@laptop")).returncode == 1
    change = f"nft flush chain inet hearth rollback; {added}"
    up = next(index for index, call in enumerate(host.calls) if "up --detach" in call)
    assert host.calls.index(change) < up


def test_rollback_opens_no_port_that_the_firewall_rejects(host: Sandbox, make_settings: Make) -> None:
    publish(host, "8085:80", "85:80")
    host.program("nft", f'case "$*" in flush*) exit 1;; esac; {ACTIVE}')
    done = host.run(refuse_script(make_settings(), PATHS, "anna@laptop"))
    assert done.returncode == 1
    assert f"Release {BEFORE} did not start either" in done.stderr
    assert not any("up --detach" in call for call in host.calls)


def publish(host: Sandbox, *ports: str, **settings: Any) -> None:
    """Let the earlier release have these ports, and be of these settings."""
    old = host.root / "releases" / BEFORE
    (old / "tree/compose.yaml").write_text("".join(f'      - "{one}"\n' for one in ports))
    (old / "release.json").write_text(dump_release(Release(id=BEFORE, settings=settings)))


@pytest.mark.parametrize("restricts", ["ollama_allowed_networks", "firewall_allowed_networks"])
def test_no_rollback_to_an_ollama_whose_firewall_is_gone(host: Sandbox, make_settings: Make, restricts: str) -> None:
    publish(host, "0.0.0.0:11434:11434", **{restricts: ["10.0.0.1"]})
    host.program("nft", "exit 1")
    done = host.run(refuse_script(make_settings(), PATHS, "anna@laptop"))
    assert done.returncode == 1
    assert f"Release {BEFORE} publishes Ollama's port 11434 for some machines only" in done.stderr
    assert not any("up --detach" in call for call in host.calls)
    assert (host.root / "compose.yaml").read_text() == "new compose", "nothing was changed"


@pytest.mark.parametrize(
    ("ports", "settings"),
    [
        (("8085:80", "127.0.0.1:11434:11434"), {"firewall_allowed_networks": ["10.0.0.0/8"]}),
        (("0.0.0.0:11434:11434",), {"firewall_allowed_networks": [], "ollama_allowed_networks": []}),
    ],
)
def test_rollback_without_firewall_adds_none(
    host: Sandbox, make_settings: Make, ports: tuple[str, ...], settings: dict[str, Any]
) -> None:
    publish(host, *ports, **settings)
    host.program("nft", "exit 1")
    assert host.run(refuse_script(make_settings(), PATHS, "anna@laptop")).returncode == 1
    assert any("up --detach" in call for call in host.calls)
    assert not any(call.startswith(("nft flush", "nft add")) for call in host.calls)
