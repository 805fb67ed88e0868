"""From your own chat page (containers `chatBot` and `ollama`) to Hearth and back, as in docs/takeover.md."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

import lab
from tests.acceptance.api import call, stream
from tests.lab.checks import refused, serves
from tests.lab.machine import deploy, on_guest, pyinfra, restore, url, wait_until
from tests.support.shipped import PROJECT

pytestmark = [pytest.mark.scenario, pytest.mark.long, pytest.mark.guest("trixie")]
_SETUP = Path(__file__).with_name("takeover.sh")
_PAGE = (PROJECT / "docs/takeover.md").read_text()
STORE = "/var/lib/docker/volumes/chatbot_ollama/_data"
ADOPT = f'ollama_models_dir="{STORE}"'
# tinyllama's files, with their ages: a second download would replace them.
MODEL = (
    f"sudo find {STORE}/models/manifests/registry.ollama.ai/library/tinyllama {STORE}/models/blobs -type f "
    "-printf '%p %i %T@\\n' | sort"
)


def from_page(command: str) -> str:
    """A command that the page tells people to run."""
    assert command in re.findall(r"(?m)^ {4,}(sudo .*)$", _PAGE), command
    return command


@pytest.fixture(scope="module", autouse=True)
def _own_page() -> None:
    restore("fresh")
    status = lab.status(must_run=True)
    given = (status.registry_mirror, status.model_registry, status.images["httpd"], status.images["ollama"])
    words = shlex.join(["sh", "-c", _SETUP.read_text(), "takeover", *given])
    on_guest(f"sudo {words}", timeout=1200)


def own_page_works() -> None:
    assert b"<title>chatBot</title>" in call(url(), "GET", "/").body
    lines = stream(url(), "/api/ollama", {"model": "tinyllama", "prompt": "go", "options": {"num_predict": 4}})
    assert json.loads(lines[-1].text).get("done") is True


def test_existing_containers_are_named_with_their_models() -> None:
    own_page_works()
    said = refused()
    assert "proxy_port = 85: the port is held by the container chatBot" in said, said
    assert "ollama_publish = '127.0.0.1:11434': the port is held by the container ollama" in said, said
    assert f"To keep using its models (tinyllama:latest): ollama_models_dir = '{STORE}'" in said, said
    assert "docs/takeover.md" in said
    said = refused(ADOPT, "proxy_port=8085", 'ollama_publish=""')
    assert "the container ollama is still running with these models" in said, said


def test_models_are_taken_over_without_another_download_and_back() -> None:
    before = set(on_guest(MODEL).splitlines())
    assert len(before) > 2
    on_guest(f"cd /home/pi/chatbot && {from_page('sudo docker compose down')}", timeout=300)
    first = deploy(ADOPT, timeout=1800)
    assert first.code == 0, first.output
    serves(tuple(lab.status().models))
    assert before <= set(on_guest(MODEL).splitlines()), "the model's files are the same"
    again = deploy(ADOPT, timeout=1800)
    assert (again.code, again.changed) == (0, ()), again.output
    print(f"\ntaken over in {first.seconds:.1f} s, quiet in {again.seconds:.1f} s")
    # And back.
    done = pyinfra("deploys/uninstall.py")
    assert done.code == 0, done.output
    on_guest(f"cd /home/pi/chatbot && {from_page('sudo docker compose up --detach')}", timeout=600)
    wait_until(
        lambda: on_guest("sudo docker exec ollama ollama list 2>&1") != "", 60, "the old Ollama lists its models"
    )
    own_page_works()
    assert before <= set(on_guest(MODEL).splitlines())
