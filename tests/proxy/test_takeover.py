"""From your own chat page to Hearth and back on a real engine, with the files of tests/lab/places/takeover.sh."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from hearth.preflight.checks import find_obstacles, paths_to_check
from hearth.preflight.facts import HostFacts, HostFactsState
from hearth.settings.model import Settings
from lab import artefacts, models
from lab.progress import Stages
from tests.proxy.engine import Engine, lab_settings
from tests.support.shipped import PROJECT

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="a separate engine needs root")
SCRIPT = (PROJECT / "tests/lab/places/takeover.sh").read_text()
STORE = "/var/lib/docker/volumes/chatbot_ollama/_data"
_FILES = f"find {STORE}/models -type f -printf '%P %i %T@\\n' | sort"
_PROMPT = '{"model": "tinyllama", "prompt": "go", "stream": false, "options": {"num_predict": 4}}'


def host_facts(engine: Engine, settings: Settings) -> HostFactsState:
    facts = HostFacts().command(paths=paths_to_check(settings), models_dir=settings.ollama_models_dir)
    done = engine.run(facts)
    assert done.code == 0, done.output
    return HostFacts().process(done.output.splitlines())


def run(engine: Engine, script: str) -> str:
    done = engine.run(f"set -e\n{script}")
    assert done.code == 0, done.output
    return done.output


def prompt(path: str) -> str:
    """A shell command that sends a prompt to port 85, and shows the response."""
    return (
        f"bash -c 'exec 3<>/dev/tcp/127.0.0.1/85; printf \"POST {path} HTTP/1.0\\r\\nHost: localhost\\r\\n"
        f'Content-Type: application/json\\r\\nContent-Length: {len(_PROMPT)}\\r\\n\\r\\n%s" "$1" >&3; cat <&3\' - '
        f"'{_PROMPT}'"
    )


def test_models_stay_on_the_way_to_hearth_and_back(tmp_path: Path) -> None:
    with Stages() as stages:
        parts = artefacts.build(("engine", "images", "tools", "models"), stages)
    with Engine(parts, tmp_path) as engine:
        settings = lab_settings(parts, ollama_models=["tinyllama"], docker_images_gb=0.1)
        shutil.copy(parts["models"] / "tinyllama.gguf", engine.project)
        (engine.project / "Modelfile").write_text(f'FROM ./tinyllama.gguf\nTEMPLATE """{models.TEMPLATE}"""\n')
        own = SCRIPT[SCRIPT.index("cd /home/pi/chatbot") : SCRIPT.index("docker exec ollama ollama pull")]
        engine.execute("mkdir -p /home/pi/chatbot/htdocs")
        run(engine, f"httpd={settings.proxy_image} ollama={settings.ollama_image}\n{own}")
        run(
            engine,
            "docker cp /opt/hearth/tinyllama.gguf ollama:/tmp/; docker cp /opt/hearth/Modelfile ollama:/tmp/\n"
            "docker exec -w /tmp ollama ollama create tinyllama -f Modelfile",
        )
        assert '"done":true' in run(engine, prompt("/api/ollama"))
        files = set(run(engine, _FILES).splitlines())
        assert len(files) > 2

        page, ollama = find_obstacles(settings, host_facts(engine, settings))
        assert "the port is held by the container chatBot; remove it" in page
        assert "the port is held by the container ollama; remove it" in ollama
        assert f"models (tinyllama:latest): ollama_models_dir = '{STORE}'" in ollama
        hearth = settings.model_copy(update={"ollama_models_dir": STORE})
        assert any(
            "is still running with these models" in one for one in find_obstacles(hearth, host_facts(engine, hearth))
        )

        run(engine, "cd /home/pi/chatbot; docker compose down")
        host = host_facts(engine, hearth)
        assert find_obstacles(hearth, host) == []
        assert host.models == {"tinyllama:latest"}, "nothing to download"
        engine.write(hearth)
        engine.bring_up(hearth)
        assert '"done":true' in run(engine, prompt("/api/ollama"))
        assert files <= set(run(engine, _FILES).splitlines())

        run(engine, "cd /opt/hearth; docker compose down; cd /home/pi/chatbot; docker compose up --detach")
        run(engine, "for i in $(seq 60); do docker exec ollama ollama list >/dev/null 2>&1 && break; sleep 1; done")
        assert '"done":true' in run(engine, prompt("/api/ollama"))
        assert files <= set(run(engine, _FILES).splitlines())
