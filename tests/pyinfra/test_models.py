"""Pulling models: the operation, and the script that runs inside Ollama's container, against a test server."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api.exceptions import FactPreconditionError

from hearth.models.disk import ModelDisk, parse_record
from hearth.models.facts import ModelFiles, ModelFilesState, Models, ModelsState
from hearth.models.operations import create_variants, prune_models, pull_models, pull_script, record_script
from hearth.models.plan import Task
from hearth.paths import CHECKOUT
from hearth.settings.model_names import source_name
from hearth.settings.variant import Variant
from tests.pyinfra.conftest import Result, Run
from tests.pyinfra.shell import HOSTILE, Sandbox, check_syntax

SCRIPT = CHECKOUT / "hearth/models/pull.bash"
PRIVATE_SERVER = Path(__file__).with_name("private_server.py")


DISK = ModelDisk("/mnt/ssd/ollama", "4f68-11", "/dev/sda1", "/mnt/ssd")


def pull(run: Run, state: Any, *wanted: str, registry: str = "", update: bool = False, models_dir: str = "") -> Result:
    return run(
        pull_models,
        {Models: state},
        models=wanted,
        registry=registry,
        timeout=60,
        retries=2,
        update=update,
        models_dir=models_dir,
    )


def having(*names: str, **more: Any) -> ModelsState:
    return ModelsState(present=frozenset(names), **more)


def exec_line(script: str) -> str:
    """The line that starts the pull."""
    (line,) = [line for line in script.splitlines() if line.startswith("docker exec")]
    return line


def test_present_models_are_not_pulled(run: Run) -> None:
    result = pull(run, having("tinyllama:latest", "llama3.2:1b"), "tinyllama", "llama3.2:1B")
    assert result.commands == []
    assert result.noop


def test_all_missing_models_are_pulled_by_one_script(run: Run) -> None:
    (script,) = pull(run, having("llama3.2:3b"), "tinyllama", "llama3.2:1b").scripts
    assert exec_line(script) == (
        "docker exec -i hearth-ollama bash -s -- 60 2 tinyllama tinyllama pull llama3.2:1b llama3.2:1b pull <<'HEARTH'"
    )


def test_interrupted_pulls_are_verified_and_changed_models_updated(run: Run) -> None:
    state = having("a:latest", "b:latest", "c:latest", interrupted=frozenset({"b", "gone"}), changed=frozenset({"a"}))
    result = pull(run, state, "a", "b", "c", update=True)
    (script,) = result.scripts
    assert any("a has changed in the registry" in one for one in result.said)
    assert any("the pull of b was interrupted" in one for one in result.said)
    assert exec_line(script) == (
        "docker exec -i hearth-ollama bash -s -- 60 2 gone gone check b b repair a a update <<'HEARTH'"
    )


def test_unreachable_registry_fails_the_run_after_missing_models_are_pulled(run: Run) -> None:
    state = having("a:latest", unknown={"a": "no response within 20 s"})
    result = pull(run, state, "a", "b", update=True)
    assert exec_line(result.scripts[0]).endswith(" b b pull <<'HEARTH'")
    (refusal,) = result.refusals
    assert "ollama_update_models = True" in refusal
    assert "a (no response within 20 s)" in refusal
    assert pull(run, state, "a", update=True).noop is None


def test_disk_is_recorded_once(run: Run) -> None:
    first = pull(run, having("a:latest", disk=DISK), "a", models_dir="/mnt/ssd/ollama")
    assert len(first.commands) == 1
    assert "/opt/hearth/models-disk" in str(first.commands[0])
    assert "uuid=4f68-11" in str(first.commands[0])
    assert first.noop is None
    moved = replace(DISK, directory="/mnt/other")
    again = pull(run, having("a:latest", disk=moved, recorded_disk=DISK), "a", models_dir="/mnt/other")
    assert len(again.commands) == 1, "another directory in the settings is an intended move"
    known = having("a:latest", disk=DISK, recorded_disk=replace(DISK, source="/dev/sdb1"))
    assert pull(run, known, "a", models_dir="/mnt/ssd/ollama").commands == []


def test_unresponsive_ollama_fails_with_a_message(run: Run) -> None:
    unknown = FactPreconditionError(Models, "Ollama did not list its models: no such container")
    for result in (pull(run, unknown, "x"), run(prune_models, {Models: unknown}, models=("x",))):
        assert len(result.commands) == 1
        assert "did not list its models" in result.refusals[0]


def test_only_unlisted_models_are_removed(run: Run) -> None:
    state = having("tinyllama:latest", "Old:1b", "10.0.0.1:5000/library/x:latest")
    result = run(prune_models, {Models: state}, models=("TinyLlama", "missing"))
    (script,) = result.scripts
    assert "Old:1b" in result.said[0]
    assert result.said[0].endswith("not listed in ollama_models, and ollama_prune_models = True; removing them")
    long = "10.0.0.1:5000/library/x:latest"
    assert exec_line(script) == (
        f"docker exec -i hearth-ollama bash -s -- 0 0 {long} {long} remove Old:1b Old:1b remove <<'HEARTH'"
    )
    result = run(prune_models, {Models: having("tinyllama:latest")}, models=("tinyllama",))
    assert (result.commands, result.noop) == ([], "no unlisted models")


def test_an_empty_list_removes_nothing(run: Run) -> None:
    result = run(prune_models, {Models: having("tinyllama:latest")}, models=())
    assert not result.scripts
    assert result.refusals


@pytest.mark.parametrize(
    ("model", "registry", "source"),
    [
        ("tinyllama", "", "tinyllama"),
        ("tinyllama:x", "http://10.0.0.1:5000", "http://10.0.0.1:5000/library/tinyllama:x"),
        ("someone/model", "https://models.example", "https://models.example/someone/model"),
    ],
)
def test_source_name(model: str, registry: str, source: str) -> None:
    assert source_name(model, registry) == source


HOSTILE_TASKS = [Task(HOSTILE, "pull"), Task("b", "repair")]


def test_scripts_have_valid_syntax() -> None:
    check_syntax(pull_script(HOSTILE_TASKS, HOSTILE, 60, 2))
    check_syntax(record_script(replace(DISK, directory=HOSTILE)))
    done = subprocess.run(["bash", "-n", str(SCRIPT)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_script_and_arguments_arrive_unchanged(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    sandbox.program("docker", "cat > received")
    assert sandbox.run(pull_script(HOSTILE_TASKS, "", 60, 2)).returncode == 0
    assert sandbox.calls == [f"docker exec -i hearth-ollama bash -s -- 60 2 {HOSTILE} {HOSTILE} pull b b repair"]
    assert (tmp_path / "received").read_text() == SCRIPT.read_text()
    assert not sandbox.pwned()


@pytest.mark.parametrize(("code", "stays"), [(0, False), (1, False), (2, True), (137, True)])
def test_mark_is_kept_unless_the_script_finished(tmp_path: Path, code: int, stays: bool) -> None:
    """Killed containers and a lost engine make `docker exec` exit with other codes."""
    sandbox = Sandbox(tmp_path)
    mark = sandbox.root / ".pulling-models"
    sandbox.program("docker", f"cp {mark} copy; exit {code}")
    sandbox.root.mkdir()
    mark.write_text("earlier\n")
    assert sandbox.run(pull_script(HOSTILE_TASKS, "", 60, 2)).returncode == code
    assert (tmp_path / "copy").read_text() == f"earlier\n{HOSTILE}\nb\n"
    assert mark.exists() is stays


def test_disk_record_is_complete(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    assert sandbox.run(record_script(DISK)).returncode == 0
    assert parse_record((sandbox.root / "models-disk").read_text().splitlines()) == DISK


# --- pull.bash, against a scripted server ---------------------------------------------------


def _private_network() -> bool:
    """Whether this user may create a network namespace, in which port 11434 is free."""
    try:
        return subprocess.run(["unshare", "-rn", "true"], capture_output=True, timeout=10).returncode == 0
    except OSError:
        return False


needs_private_network = pytest.mark.skipif(not _private_network(), reason="no permission to create a network namespace")


@dataclass
class Pulled:
    """Exit code and output of the script, the requests to the server, and the seconds of each wait."""

    code: int
    out: str
    err: str
    requests: list[tuple[str, Any]]
    waits: list[int]


def answer(*lines: dict[str, Any] | str, status: int = 200, end: str = "\n", then: str = "close") -> dict[str, Any]:
    """One response of the server: its lines, and whether it then closes the connection or goes silent."""
    texts = [line if isinstance(line, str) else json.dumps(line, separators=(",", ":")) for line in lines]
    return {"status": status, "body": "\n".join(texts) + end if texts else "", "then": then}


SUCCESS = answer(
    {"status": "pulling manifest"},
    {"status": "pulling aaaa", "digest": "sha256:aaaa", "total": 200000000},
    {"status": "pulling aaaa", "digest": "sha256:aaaa", "total": 200000000, "completed": 100000000},
    {"status": "pulling aaaa", "digest": "sha256:aaaa", "total": 200000000, "completed": 101000000},
    {"status": "pulling aaaa", "digest": "sha256:aaaa", "total": 200000000, "completed": 200000000},
    {"status": "verifying sha256 digest"},
    {"status": "success"},
)


def real(
    answers: list[dict[str, Any]], *tasks: str, timeout: int = 5, retries: int = 2, store: Path | None = None
) -> Pulled:
    """Run the script in its own network namespace; `tasks` are its arguments for each model."""
    words = tasks or ("tinyllama", "tinyllama", "pull")
    place = ["env", f"OLLAMA_MODELS={store}"] if store else []
    job = {"answers": answers, "command": [*place, "bash", str(SCRIPT), str(timeout), str(retries), *words]}
    done = subprocess.run(
        ["unshare", "-rn", sys.executable, str(PRIVATE_SERVER)],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    requests = [(line, json.loads(body)) for line, body in result["requests"]]
    return Pulled(result["code"], result["out"], result["err"], requests, result["waits"])


@needs_private_network
def test_pull_with_progress() -> None:
    pulled = real([SUCCESS])
    assert pulled.code == 0, pulled.err
    assert pulled.requests == [
        ("POST /api/pull HTTP/1.0", {"model": "tinyllama", "insecure": False, "stream": True}),
    ]
    assert pulled.out.splitlines() == [
        "tinyllama: pulling manifest",
        "tinyllama: pulling aaaa: 0 kB of 200 MB (0%)",
        "tinyllama: pulling aaaa: 100 MB of 200 MB (50%)",
        "tinyllama: pulling aaaa: 200 MB of 200 MB (100%)",
        "tinyllama: verifying sha256 digest",
        "tinyllama: pulled",
    ]


@needs_private_network
def test_slow_pull_shows_rate_and_time_left() -> None:
    """Only of data from this run: the first 100 MB existed before."""
    pieces = [
        {"status": "pulling aaaa", "total": 200_000_000, "completed": mb * 1_000_000} for mb in range(100, 180, 20)
    ]
    pulled = real([answer(*pieces, {"status": "success"}) | {"pause": 1.2}])
    assert pulled.code == 0, pulled.err
    last = re.fullmatch(
        r"tinyllama: pulling aaaa: 160 MB of 200 MB \(80%\), (\d+) MB/s, (\d+) s left", pulled.out.splitlines()[-2]
    )
    assert last, pulled.out
    rate, left = int(last[1]), int(last[2])
    assert 10 <= rate <= 20, "60 MB in 3.6 s, of which whole seconds are counted"
    assert left == pytest.approx(40 / rate, abs=1.1)


@needs_private_network
def test_closed_connection_is_retried() -> None:
    pulled = real([answer({"status": "pulling manifest"}), SUCCESS])
    assert pulled.code == 0
    assert len(pulled.requests) == 2
    assert pulled.waits == [3]
    assert "retrying (1 of 2) in 3 s" in pulled.out


@needs_private_network
def test_unreachable_registry_is_retried_as_configured() -> None:
    pulled = real([answer({"error": "pull model manifest: dial tcp: i/o timeout"})] * 3)
    assert pulled.code == 1
    assert len(pulled.requests) == 3
    assert pulled.err.count("i/o timeout") == 3
    assert "Could not pull tinyllama from Ollama's library. Check the name" in pulled.err
    assert "ollama_models" in pulled.err


# --- Ollama's messages about registries ------------------------------------------------------------------------------
# Recorded from 0.17.4, except for texts by registries, permissions and quotas, and lookups behind Docker's resolver;
# "status 403" and MLX are from the source of 0.32.15.

MANIFEST = "pull model manifest: "
GET = MANIFEST + 'Get "https://registry.ollama.ai/v2/library/tinyllama/manifests/latest": '
TLS = GET + "tls: failed to verify certificate: x509: "
FILE = "/root/.ollama/models/blobs/sha256-0-partial"
CDN = 'max retries exceeded: Get "https://cdn.example:8443/x": '
UNKNOWN = (
    'certificate signed by unknown authority (possibly because of "x509: ECDSA verification failure" while trying to '
    'verify candidate authority certificate "r")'
)
EXPIRED = "certificate has expired or is not yet valid: current time 2026-11-28T07:08:26Z is after 2021-01-01T00:00:00Z"
NO_ADDRESS = "cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs"
OLD = "412: The model you are attempting to pull requires a newer version of Ollama that may be in pre-release."
REALM = 'realm host "huggingface.co" does not match original host "hf.co"'
GATED = '403: {"error":"Access to model x/y is restricted. See https://hf.co/x/y"}'
LIMITED = '429: {"error":"We had to rate limit your IP (192.0.2.1)."}'
NOT_GGUF = '400: {"error":"Repository is not GGUF or is not compatible with llama.cpp"}'
BAD_PAGE = "502: <h1>invalid, not found, x509: unknown authority</h1>"
MLX = "this model requires MLX support, but the MLX runtime is not available"


@needs_private_network
@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        (MANIFEST + OLD, "it requires a newer version of Ollama. Set ollama_image to a newer version and deploy again"),
        (MANIFEST + "412: ", "it requires a newer version of Ollama"),
        (MANIFEST + "file does not exist", "the registry does not have it. Check the name (ollama_models)"),
        (MANIFEST + "410: gone", "the registry does not have it"),
        ("file does not exist", "the registry lacks one of its files. Choose another tag (ollama_models)"),
        ("410: ", "the registry lacks one of its files"),
        (MANIFEST + "unauthorized: access denied", "it requires a login. The model is private or gated"),
        (MANIFEST + "401", "it requires a login"),
        (MANIFEST + REALM, "it requires a login"),
        (MANIFEST + GATED, "access is denied. The model is private or gated, or a firewall or proxy blocks"),
        ("403: ", "access is denied. The model is private or gated"),
        (MANIFEST + "451: x", "access is denied"),
        (
            MANIFEST + NOT_GGUF,
            "the registry refused the request, and a retry won't change that. Check the name",
        ),
        (MANIFEST + "407: ", "the registry refused the request"),
        (MANIFEST + "416: ", "the registry refused the request"),
        ("unexpected status code 301", "the registry refused the request"),
        (MANIFEST + 'Get "/v2/x": stopped after 10 redirects', "the registry refused the request"),
        ("http: no Location header in response", "its responses lack the Location header that Ollama needs. Add the"),
        (MANIFEST + "invalid character '<' looking for beginning of value", "the response is not a model but"),
        (MANIFEST + "json: cannot unmarshal array into Go value of type manifest.Manifest", "the response is not a"),
        ("invalid model name", "Ollama does not accept this name. Correct it (ollama_models)"),
        (
            TLS + UNKNOWN,
            "the certificate of registry.ollama.ai is signed by an unknown authority (x509), so",
        ),
        (CDN + "tls: failed to verify certificate: x509: " + UNKNOWN, "the certificate of cdn.example:8443 is signed"),
        (TLS + EXPIRED, "the certificate of registry.ollama.ai has expired or is not yet valid (x509). Check the host"),
        (TLS + NO_ADDRESS, "the certificate is not valid for registry.ollama.ai (x509). Check that address"),
        (TLS + "certificate is valid for a.example, not b.example", "the certificate is not valid for registry.oll"),
        (GET + "http: server gave HTTP response to HTTPS client", "registry.ollama.ai uses http, not https. Set"),
        (f"write {FILE}: no space left on device", "the disk is full. Free up space, or set ollama_models_dir"),
        (f"write {FILE}-0: disk quota exceeded", "the disk is full"),
        (f"open {FILE}: permission denied", "Ollama can't use its models directory. Check that disk and its mount"),
        (f"max retries exceeded: write {FILE}: input/output error", "Ollama can't use its models directory"),
        (MLX, "this variant runs on Apple's MLX only. Choose another tag (ollama_models)"),
        ("max retries exceeded: status 403", "access is denied"),
    ],
)
def test_permanent_errors_end_at_once_with_the_fix(reason: str, advice: str) -> None:
    pulled = real([answer({"status": "pulling manifest"}, {"error": reason})])
    assert (pulled.code, pulled.waits, len(pulled.requests)) == (1, [], 1)
    first, last = pulled.err.splitlines()
    assert first == f"tinyllama: {reason}"
    assert last.startswith(f"Could not pull tinyllama from Ollama's library: {advice}")


LOOKUP = "dial tcp: lookup registry.ollama.ai on 127.0.0.11:53: "
GENERAL = ". Check the name (ollama_models) and the host's internet access, then deploy again; downloaded data is kept."
DNS = ": the name registry.ollama.ai could not be resolved. Check that name and the host's DNS"
DOWN = ": the registry is temporarily unavailable. Deploy again later"
RATE = ": the registry limits the rate of pulls. Deploy again later"
SUM = "digest mismatch, file must be downloaded again: want sha256:a, got sha256:b"


@needs_private_network
@pytest.mark.parametrize(
    ("reason", "waits", "advice"),
    [
        (MANIFEST + "500: file does not exist", [3, 6], DOWN),
        (MANIFEST + BAD_PAGE, [3, 6], DOWN),
        ("503: ", [3, 6], DOWN),
        (MANIFEST + "408: slow", [3, 6], GENERAL),
        (GET + LOOKUP + "no such host", [3, 6], DNS),
        (GET + LOOKUP + "server misbehaving", [3, 6], DNS),
        (GET + LOOKUP + "i/o timeout", [3, 6], GENERAL),
        (GET.replace("tinyllama", "denied-unauthorized") + "EOF", [3, 6], GENERAL),
        (GET + "dial tcp 192.0.2.1:443: connect: connection refused", [3, 6], GENERAL),
        (GET + "dial tcp 192.0.2.1:443: connect: permission denied", [3, 6], GENERAL),
        (
            GET + "net/http: TLS handshake timeout",
            [3, 6],
            ": the TLS handshake with registry.ollama.ai timed out. Large packets",
        ),
        (CDN + "dial tcp 192.0.2.1:8443: connect: connection refused", [3, 6], GENERAL),
        ("max retries exceeded: EOF", [3, 6], GENERAL),
        ("context deadline exceeded", [3, 6], GENERAL),
        (SUM, [3, 6], ": the download does not match its checksum. Deploy again later; if that does not help"),
        (MANIFEST + LIMITED, [30, 60], RATE),
        ("429: ", [30, 60], RATE),
        (MANIFEST + "429: Retry-After: 45", [45, 45], RATE),
        (MANIFEST + '429: {"retry_after": 08}', [8, 8], RATE),
        (MANIFEST + "429: retry after 999999 s", [120, 120], RATE),
    ],
)
def test_temporary_errors_are_retried_after_a_suitable_pause(reason: str, waits: list[int], advice: str) -> None:
    pulled = real([answer({"error": reason})] * 3)
    assert (pulled.code, pulled.waits, len(pulled.requests)) == (1, waits, 3)
    assert pulled.err.splitlines()[-1].startswith(f"Could not pull tinyllama from Ollama's library{advice}")


@needs_private_network
def test_reason_of_one_attempt_does_not_affect_the_next() -> None:
    pulled = real([answer({"error": MANIFEST + "429: slow down"}), answer({"status": "x"}), SUCCESS])
    assert (pulled.code, pulled.waits) == (0, [30, 6])


@needs_private_network
@pytest.mark.parametrize(
    ("model", "source", "registry"),
    [
        ("hf.co/some/model:q4", "hf.co/some/model:q4", "hf.co"),
        ("10.0.0.1:5000/some/model", "10.0.0.1:5000/some/model", "10.0.0.1:5000"),
        ("some/model", "some/model", "Ollama's library"),
        ("registry.ollama.ai/library/x", "registry.ollama.ai/library/x", "Ollama's library"),
        ("x", "http://10.0.0.1:5000/library/x", "http://10.0.0.1:5000"),
        ("some/model", "https://[fd00::1]:5000/some/model", "https://[fd00::1]:5000"),
    ],
)
def test_message_names_the_models_registry(model: str, source: str, registry: str) -> None:
    pulled = real([answer({"error": MANIFEST + "file does not exist"})], model, source, "pull")
    assert f"Could not pull {model} from {registry}: the registry does not have it" in pulled.err


@needs_private_network
def test_registry_output_is_one_line_without_control_characters() -> None:
    body = '\n\nThe model requires a newer version of Ollama.\n\n\t{"see":"there"}\x1b[2J'
    pulled = real([answer({"error": MANIFEST + "412:" + body})])
    told = 'The model requires a newer version of Ollama. {"see":"there"}\\u001b[2J'
    assert pulled.err.splitlines()[0] == f"tinyllama: {MANIFEST}412: {told}"


@needs_private_network
def test_long_registry_output_is_truncated() -> None:
    pulled = real([answer({"error": MANIFEST + "404: " + "x" * 9000})])
    assert len(pulled.err) < 800


@needs_private_network
def test_error_without_a_newline() -> None:
    """Sent by Ollama when it refuses immediately."""
    pulled = real([answer({"error": "invalid model name"}, status=400, end="")])
    assert pulled.code == 1
    assert pulled.waits == []
    assert len(pulled.requests) == 1
    assert "tinyllama: invalid model name" in pulled.err


@needs_private_network
def test_silent_connection_times_out() -> None:
    pulled = real([answer({"status": "pulling manifest"}, then="silence"), SUCCESS], timeout=1)
    assert pulled.code == 0
    assert "no data arrived for 1 s" in pulled.err


@needs_private_network
def test_pull_without_progress_times_out() -> None:
    stuck = answer({"status": "pulling aaaa", "total": 100, "completed": 5}, then="repeat")
    pulled = real([stuck, SUCCESS], timeout=1)
    assert pulled.code == 0, pulled.err
    assert "no progress for 1 s" in pulled.err


@needs_private_network
def test_model_from_a_private_registry_gets_its_plain_name() -> None:
    source = "http://10.0.0.1:5000/library/tinyllama"
    pulled = real([SUCCESS, answer(), answer()], "tinyllama", source, "pull")
    assert pulled.code == 0, pulled.err
    assert pulled.requests == [
        ("POST /api/pull HTTP/1.0", {"model": source, "insecure": True, "stream": True}),
        ("POST /api/copy HTTP/1.0", {"source": "10.0.0.1:5000/library/tinyllama", "destination": "tinyllama"}),
        ("DELETE /api/delete HTTP/1.0", {"model": "10.0.0.1:5000/library/tinyllama"}),
    ]


@needs_private_network
def test_failed_rename_fails_the_pull() -> None:
    pulled = real([SUCCESS, answer(status=404)], "tinyllama", "https://models.example/library/tinyllama", "pull")
    assert pulled.code == 1
    assert "Could not rename" in pulled.err
    assert pulled.requests[0][1]["insecure"] is False
    assert "tinyllama: pulled" not in pulled.out


@needs_private_network
def test_unreachable_ollama_is_retried_and_then_reported() -> None:
    pulled = real([], retries=1)
    assert pulled.code == 1
    assert pulled.waits == [3]
    assert "Could not pull tinyllama from Ollama's library: Ollama does not respond. See its log" in pulled.err


@needs_private_network
def test_failed_pull_does_not_block_the_others() -> None:
    missing = answer({"error": "file does not exist"})
    words = ("a", "a", "pull", "b", "b", "pull", "c", "c", "pull")
    pulled = real([missing, SUCCESS, missing], *words)
    assert pulled.code == 1
    assert "b: pulled" in pulled.out
    assert "Failed models: a c." in pulled.err


@needs_private_network
def test_update_removes_the_old_files() -> None:
    source = "http://10.0.0.1:5000/library/tinyllama"
    pulled = real([SUCCESS, answer(), answer(), answer(), answer()], "tinyllama", source, "update")
    assert pulled.code == 0, pulled.err
    assert [(line.split()[1], body) for line, body in pulled.requests[1:]] == [
        ("/api/copy", {"source": "tinyllama", "destination": "10.0.0.1:5000/library/hearth-previous"}),
        ("/api/copy", {"source": "10.0.0.1:5000/library/tinyllama", "destination": "tinyllama"}),
        ("/api/delete", {"model": "10.0.0.1:5000/library/tinyllama"}),
        ("/api/delete", {"model": "10.0.0.1:5000/library/hearth-previous"}),
    ]


@needs_private_network
def test_removal_unloads_the_model_and_reports_failures() -> None:
    ok, gone = answer(), answer(status=500)
    pulled = real([ok, ok, ok, gone], "a", "a", "remove", "b", "b", "remove")
    assert pulled.code == 1
    assert pulled.requests[0] == ("POST /api/generate HTTP/1.0", {"model": "a", "keep_alive": 0, "stream": False})
    assert pulled.requests[1] == ("DELETE /api/delete HTTP/1.0", {"model": "a"})
    assert "a: removed" in pulled.out
    assert "Could not remove model b" in pulled.err


# --- after an interrupted pull ------------------------------------------------------------------


class Store:
    """Ollama's store as after a power failure."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "blobs").mkdir(parents=True)

    def blob(self, content: bytes, found: bytes | None = None) -> str:
        """A file; `found` is its content on disk."""
        digest = hashlib.sha256(content).hexdigest()
        (self.root / "blobs" / f"sha256-{digest}").write_bytes(content if found is None else found)
        return digest

    def model(self, place: str, *digests: str) -> Path:
        manifest = self.root / "manifests" / place
        manifest.parent.mkdir(parents=True, exist_ok=True)
        layers = [{"digest": f"sha256:{digest}", "size": 1} for digest in digests[1:]]
        text = {"config": {"digest": f"sha256:{digests[0]}"}, "layers": layers}
        manifest.write_text(json.dumps(text, separators=(",", ":")))
        return manifest

    @property
    def blobs(self) -> set[str]:
        return {path.name.removeprefix("sha256-") for path in (self.root / "blobs").iterdir()}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@needs_private_network
def test_intact_model_is_not_pulled_again(store: Store) -> None:
    store.model("registry.ollama.ai/library/tinyllama/latest", store.blob(b"config"), store.blob(b"weights"))
    pulled = real([], "tinyllama", "tinyllama", "repair", store=store.root)
    assert (pulled.code, pulled.err) == (0, "")
    assert "tinyllama: intact" in pulled.out
    assert len(store.blobs) == 2


@needs_private_network
@pytest.mark.parametrize("found", [b"", b"\0" * 7])
def test_model_with_lost_weights_is_removed_and_pulled_again(store: Store, found: bytes) -> None:
    """Correct name and size, but zeros inside: Ollama would load it."""
    config, weights = store.blob(b"config"), store.blob(b"weights", found)
    manifest = store.model("registry.ollama.ai/library/tinyllama/latest", config, weights)
    other = store.model("registry.ollama.ai/library/other/1b", config, store.blob(b"unread", b"damaged"))
    pulled = real([SUCCESS], "tinyllama", "tinyllama", "repair", store=store.root)
    assert pulled.code == 0, pulled.err
    assert [line for line, _ in pulled.requests] == ["POST /api/pull HTTP/1.0"]
    assert "was damaged by an interrupted pull" in pulled.out
    assert not manifest.exists()
    assert weights not in store.blobs
    assert config in store.blobs
    assert other.exists(), "completely pulled models are not read again"


@needs_private_network
def test_damaged_orphans_are_removed_and_resumable_files_kept(store: Store) -> None:
    empty = store.model("10.0.0.1:5000/library/tinyllama/latest", "0" * 64)
    empty.write_text("")
    whole, damaged = store.blob(b"whole"), store.blob(b"orphan", b"zeros")
    for name, text in {
        "aa-partial": "data",
        "aa-partial-0": '{"N":0}\n',
        "bb-partial": "x",
        "bb-partial-0": "",
    }.items():
        (store.root / "blobs" / f"sha256-{name}").write_text(text)
    source = "http://10.0.0.1:5000/library/tinyllama"
    pulled = real([SUCCESS, answer(), answer(), answer(), answer()], "tinyllama", source, "repair", store=store.root)
    assert pulled.code == 0, pulled.err
    assert not empty.exists()
    assert damaged not in store.blobs
    assert store.blobs == {whole, "aa-partial", "aa-partial-0"}


@needs_private_network
def test_unlisted_model_is_only_verified(store: Store) -> None:
    manifest = store.model("hf.co/some/model/q4", store.blob(b"config", b"zeros"))
    pulled = real([], "hf.co/some/model:q4", "hf.co/some/model:q4", "check", store=store.root)
    assert pulled.code == 0, pulled.err
    assert not manifest.exists()
    assert pulled.requests == []


TUTOR = Variant(base="tinyllama", system="Be kind.")


def manifest(*layers: tuple[str, str]) -> str:
    shown = [{"mediaType": f"application/vnd.ollama.image.{kind}", "digest": digest} for kind, digest in layers]
    return json.dumps({"layers": shown})


def digest_of(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def with_prompt(text: str) -> ModelFilesState:
    """A host with the base model, and the variant with this system prompt."""
    weights = ("model", "sha256:1")
    return ModelFilesState(
        {"tinyllama:latest": manifest(weights), "Tutor:latest": manifest(weights, ("system", digest_of(text)))},
        {digest_of(text): text.encode()},
    )


def test_only_variants_that_differ_are_created(run: Run) -> None:
    same = run(create_variants, {ModelFiles: with_prompt("Be kind.")}, variants={"tutor": TUTOR}, files={})
    assert (same.commands, same.noop) == ([], "model variants up to date")
    other = run(create_variants, {ModelFiles: with_prompt("Be rude.")}, variants={"tutor": TUTOR}, files={})
    (script,) = other.scripts
    check_syntax(script)
    assert script.startswith("docker exec -i hearth-ollama bash -s <<'HEARTH'\n")
    assert other.said == ["tutor differs from ollama_model_variants in its system prompt; creating it again"]
    kept = run(
        create_variants, {ModelFiles: with_prompt("Be rude.")}, variants={"tutor": TUTOR}, files={}, only_missing=True
    )
    assert kept.commands == []
    absent = run(
        create_variants, {ModelFiles: ModelFilesState()}, variants={"tutor": TUTOR}, files={}, only_missing=True
    )
    assert absent.said == ["tutor is missing; creating it"]
    assert len(absent.scripts) == 1


def test_variants_are_unknown_if_ollama_does_not_respond(run: Run) -> None:
    unknown = FactPreconditionError(ModelFiles, "Ollama did not list its models: no such container")
    result = run(create_variants, {ModelFiles: unknown}, variants={"tutor": TUTOR}, files={})
    assert "did not list its models" in result.refusals[0]
