"""Pulling models: the operation, and the script that runs inside Ollama's container, against a server of our own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api.exceptions import FactPreconditionError

from hearth.facts.models import Models
from hearth.operations import models
from tests.operations.conftest import Result, Run
from tests.operations.shell import HOSTILE, Sandbox, check_syntax

SCRIPT = Path(models.__file__).with_name("pull_model.bash")
PRIVATE_SERVER = Path(__file__).with_name("private_server.py")


def pull(run: Run, present: Any, *wanted: str, registry: str = "") -> Result:
    return run(models.pulled, {Models: present}, models=wanted, registry=registry, timeout=60, retries=2)


def test_models_that_are_there_are_not_pulled(run: Run) -> None:
    result = pull(run, frozenset({"tinyllama:latest", "llama3.2:1b"}), "tinyllama", "llama3.2:1b")
    assert result.commands == []
    assert result.noop


def test_each_missing_model_is_pulled_by_itself(run: Run) -> None:
    scripts = pull(run, frozenset({"llama3.2:3b"}), "tinyllama", "llama3.2:1b").scripts
    assert [script.splitlines()[0] for script in scripts] == [
        "docker exec -i hearth-ollama bash -s -- tinyllama tinyllama 60 2 <<'HEARTH'",
        "docker exec -i hearth-ollama bash -s -- llama3.2:1b llama3.2:1b 60 2 <<'HEARTH'",
    ]


def test_an_ollama_that_does_not_answer_fails_with_a_sentence(run: Run) -> None:
    result = pull(run, FactPreconditionError(Models, "Ollama did not list its models: no such container"), "x")
    assert len(result.commands) == 1
    assert "did not list its models" in result.refusals[0]


@pytest.mark.parametrize(
    ("model", "registry", "source"),
    [
        ("tinyllama", "", "tinyllama"),
        ("tinyllama:x", "http://10.0.0.1:5000", "http://10.0.0.1:5000/library/tinyllama:x"),
        ("someone/model", "https://models.example", "https://models.example/someone/model"),
    ],
)
def test_where_a_model_is_pulled_from(model: str, registry: str, source: str) -> None:
    assert models.source_name(model, registry) == source


def test_the_pull_scripts_are_good_shell() -> None:
    check_syntax(models.pull_script(HOSTILE, HOSTILE, 60, 2))
    done = subprocess.run(["bash", "-n", str(SCRIPT)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_script_and_its_arguments_arrive_whole(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    sandbox.program("docker", "cat > received")
    assert sandbox.run(models.pull_script(HOSTILE, "", 60, 2)).returncode == 0
    assert sandbox.calls == [f"docker exec -i hearth-ollama bash -s -- {HOSTILE} {HOSTILE} 60 2"]
    assert (tmp_path / "received").read_text() == SCRIPT.read_text()
    assert not sandbox.pwned()


# --- pull_model.bash, against a server that says what we tell it ----------------------------------


def _private_network() -> bool:
    """Whether this user may make a network of its own, in which port 11434 is free."""
    try:
        return subprocess.run(["unshare", "-rn", "true"], capture_output=True, timeout=10).returncode == 0
    except OSError:
        return False


needs_private_network = pytest.mark.skipif(not _private_network(), reason="no right to make a network namespace")


@dataclass
class Pulled:
    """How the script ended, what it said, what the server was asked, and how often the script waited."""

    code: int
    out: str
    err: str
    requests: list[tuple[str, Any]]
    waits: int


def answer(*lines: dict[str, Any] | str, status: int = 200, end: str = "\n", then: str = "close") -> dict[str, Any]:
    """One answer of the server: its lines, and whether it then closes the connection or goes silent."""
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


def real(answers: list[dict[str, Any]], source: str = "tinyllama", patience: int = 5, retries: int = 2) -> Pulled:
    """Run the script in a network of its own."""
    job = {"answers": answers, "command": ["bash", str(SCRIPT), "tinyllama", source, str(patience), str(retries)]}
    done = subprocess.run(
        ["unshare", "-rn", sys.executable, str(PRIVATE_SERVER)],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    requests = [(line, json.loads(body)) for line, body in said["requests"]]
    return Pulled(said["code"], said["out"], said["err"], requests, said["waits"])


@needs_private_network
def test_a_model_is_pulled_with_every_tenth_percent_told() -> None:
    pulled = real([SUCCESS])
    assert pulled.code == 0, pulled.err
    assert pulled.requests == [
        ("POST /api/pull HTTP/1.0", {"model": "tinyllama", "insecure": False, "stream": True}),
    ]
    assert pulled.out.splitlines() == [
        "tinyllama: pulling manifest",
        "tinyllama: pulling aaaa: 0% of 200 MB",
        "tinyllama: pulling aaaa: 50% of 200 MB",
        "tinyllama: pulling aaaa: 100% of 200 MB",
        "tinyllama: verifying sha256 digest",
        "tinyllama: pulled",
    ]


@needs_private_network
def test_a_connection_that_ends_is_taken_up_again() -> None:
    pulled = real([answer({"status": "pulling manifest"}), SUCCESS])
    assert pulled.code == 0
    assert len(pulled.requests) == 2
    assert pulled.waits == 1
    assert "trying again (1 of 2)" in pulled.out


@needs_private_network
def test_a_registry_out_of_reach_is_tried_as_often_as_asked() -> None:
    pulled = real([answer({"error": "pull model manifest: dial tcp: i/o timeout"})] * 3)
    assert pulled.code == 1
    assert len(pulled.requests) == 3
    assert pulled.err.count("i/o timeout") == 3
    assert "Model tinyllama could not be had" in pulled.err
    assert "ollama_models" in pulled.err


@needs_private_network
@pytest.mark.parametrize(
    "reason", ["pull model manifest: file does not exist", "unauthorized", "write /x: no space left on device"]
)
def test_what_no_retry_can_cure_is_not_tried_again(reason: str) -> None:
    pulled = real([answer({"status": "pulling manifest"}, {"error": reason})])
    assert pulled.code == 1
    assert pulled.waits == 0
    assert len(pulled.requests) == 1
    assert f"tinyllama: {reason}" in pulled.err


@needs_private_network
def test_an_error_without_a_newline_is_an_error_too() -> None:
    """As Ollama sends it when it refuses at once."""
    pulled = real([answer({"error": "invalid model name"}, status=400, end="")])
    assert pulled.code == 1
    assert pulled.waits == 0
    assert len(pulled.requests) == 1
    assert "tinyllama: invalid model name" in pulled.err


@needs_private_network
def test_silence_is_given_up_after_the_patience_asked_for() -> None:
    pulled = real([answer({"status": "pulling manifest"}, then="silence"), SUCCESS], patience=1)
    assert pulled.code == 0
    assert "nothing came for 1 s" in pulled.err


@needs_private_network
def test_a_pull_that_talks_and_does_not_move_is_given_up() -> None:
    stuck = answer({"status": "pulling aaaa", "total": 100, "completed": 5}, then="repeat")
    pulled = real([stuck, SUCCESS], patience=1)
    assert pulled.code == 0, pulled.err
    assert "no progress for 1 s" in pulled.err


@needs_private_network
def test_a_model_from_a_registry_of_ones_own_gets_its_plain_name() -> None:
    source = "http://10.0.0.1:5000/library/tinyllama"
    pulled = real([SUCCESS, answer(), answer()], source=source)
    assert pulled.code == 0, pulled.err
    assert pulled.requests == [
        ("POST /api/pull HTTP/1.0", {"model": source, "insecure": True, "stream": True}),
        ("POST /api/copy HTTP/1.0", {"source": "10.0.0.1:5000/library/tinyllama", "destination": "tinyllama"}),
        ("DELETE /api/delete HTTP/1.0", {"model": "10.0.0.1:5000/library/tinyllama"}),
    ]


@needs_private_network
def test_a_renaming_that_fails_fails_the_pull() -> None:
    pulled = real([SUCCESS, answer(status=404)], source="https://models.example/library/tinyllama")
    assert pulled.code == 1
    assert "could not be renamed" in pulled.err
    assert pulled.requests[0][1]["insecure"] is False
    assert "tinyllama: pulled" not in pulled.out


@needs_private_network
def test_a_server_that_is_not_there_is_tried_again_and_then_named() -> None:
    pulled = real([], retries=1)
    assert pulled.code == 1
    assert pulled.waits == 1
    assert "Model tinyllama could not be had" in pulled.err


@needs_private_network
def test_the_last_word_does_not_call_the_model_its_own_source() -> None:
    pulled = real([answer({"error": "not found"})])
    assert "from tinyllama" not in pulled.err
