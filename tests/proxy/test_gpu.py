"""A GPU that is given to Ollama's container and not used: the release is refused, and the one before serves.

All is real but the GPU: the engine's CDI, Ollama, and the release. The device is /dev/null.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from hearth.gpu.facts import GpuUse, Toolkit
from hearth.gpu.operations import restart_script
from hearth.gpu.use import find_gpu_loss
from hearth.releases.operations import accept_script
from hearth.releases.release import Release
from hearth.render.stack_files import render_tree
from hearth.settings.model import Settings
from lab import artefacts
from lab.progress import Stages
from tests.proxy.container import Done
from tests.proxy.engine import Engine, lab_settings
from tests.proxy.stuck_host import OLLAMA, StuckHost

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="a separate engine needs root")
STORY = "tinystory"
# As `nvidia-ctk cdi generate` names it.
SPEC = {
    "cdiVersion": "0.5.0",
    "kind": "nvidia.com/gpu",
    "devices": [
        {
            "name": name,
            "containerEdits": {"deviceNodes": [{"path": "/dev/nvidia0", "hostPath": "/dev/null"}]},
        }
        for name in ("0", "all")
    ],
}


class GpuHost(StuckHost):
    """With releases."""

    def start(self, settings: Settings) -> None:
        """Containers as these settings want them, with the models that Ollama has."""
        self._engine.write(settings)
        self._engine.bring_up(settings)

    def release(self, settings: Settings, identity: str) -> tuple[int, str]:
        """Deploy settings as a release: the exit code of its acceptance, and the output."""
        self.start(settings)
        if identity == "first":
            self.client(self.add, STORY).result(60)
        paths = tuple(sorted(render_tree(settings)))
        images = {
            one: self.execute(f"docker image inspect --format '{{{{.Id}}}}' {one}").strip()
            for one in (settings.ollama_image, settings.proxy_image)
        }
        release = replace(Release(id=identity, by="anna@laptop"), files=dict.fromkeys(paths, ""), images=images)
        done = self.try_script(accept_script(settings, release, True))
        return done.code, done.output

    def try_script(self, script: str) -> Done:
        """A shell script that may fail."""
        return self._engine.run(f"export HOME=/root\n{script}")


@pytest.fixture(scope="module")
def settings(parts: artefacts.Paths) -> Settings:
    return lab_settings(parts, ollama_models=[STORY], docker_health_timeout=60)


@pytest.fixture(scope="module")
def parts() -> artefacts.Paths:
    with Stages() as stages:
        return artefacts.build(("engine", "images", "tools", "models"), stages)


@pytest.fixture(scope="module")
def host(parts: artefacts.Paths, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GpuHost]:
    with Engine(parts, tmp_path_factory.mktemp("engine"), {"features": {"cdi": True}}) as engine:
        host = GpuHost(engine, parts["models"])
        code, output = host.release(settings, "first")
        assert code == 0, output
        assert "GPU" not in output
        try:
            yield host
        finally:
            engine.execute("docker ps -aq | xargs -r docker rm -f")
            host.close()


def toolkit(host: GpuHost) -> tuple[bool, bool]:
    state = Toolkit().process(host.run(Toolkit().command()).splitlines())
    return state.is_described, state.is_current


def environment(host: GpuHost) -> list[str]:
    found: list[str] = host.inspect()["Config"]["Env"]
    return found


def gpu_loss(host: GpuHost) -> str:
    return find_gpu_loss(GpuUse().process(host.run(GpuUse().command()).splitlines()))


def test_a_release_that_computes_on_the_processor_is_refused(host: GpuHost, settings: Settings) -> None:
    host.execute("mkdir -p /etc/cdi")
    assert toolkit(host) == (False, False)
    # After the engine has started, as with a toolkit that is installed later.
    spec = json.dumps(SPEC)
    host.run(f"cat > /etc/cdi/nvidia.json <<'E'\n{spec}\nE")
    assert toolkit(host) == (True, True)
    code, output = host.release(settings.model_copy(update={"ollama_gpu": "nvidia"}), "with-gpu")
    assert code == 1
    assert f'ollama_gpu = "nvidia", but Ollama computes on the processor: nothing of {STORY} (' in output
    assert 'msg="inference compute" id=cpu' in output, "Ollama's own line"
    assert "Release first is running again" in output
    host.answered_after(30)
    assert not [one for one in environment(host) if one.startswith("HEARTH_GPU")]
    assert host.execute("cat /opt/hearth/releases/accepted").strip() == "first"
    assert gpu_loss(host) == ""


@pytest.mark.parametrize("keep_alive", ["5m", pytest.param("0", marks=pytest.mark.long)])
def test_a_gpu_that_is_lost_later_is_noticed(host: GpuHost, settings: Settings, keep_alive: str) -> None:
    """As drift and the doctor look at it; the restart by a deploy fails, since it is not found again. The container
    keeps its restrictions."""
    host.execute("mkdir -p /etc/cdi")
    spec = json.dumps(SPEC)
    host.run(f"cat > /etc/cdi/nvidia.json <<'E'\n{spec}\nE")
    changed = {"ollama_gpu": "nvidia", "ollama_gpu_devices": ("0",), "ollama_keep_alive": keep_alive}
    host.start(settings.model_copy(update=changed))
    status = host.execute(f"docker exec {OLLAMA} sh -c 'test -c /dev/nvidia0 && cat /proc/1/status && ! touch /x 2>&1'")
    assert "CapEff:\t0000000000000000" in status
    assert "Read-only file system" in status
    assert gpu_loss(host) == "Ollama found no usable GPU when it started"
    if keep_alive != "0":
        host.answered_after(30)
        assert gpu_loss(host) == f"{STORY}:latest is in memory, and nothing of it on the GPU"
    before = host.inspect()["State"]["StartedAt"]
    done = host.try_script(restart_script((STORY,), 60, 0))
    assert done.code == 1
    assert f"nothing of {STORY} (" in done.output
    assert host.inspect()["State"]["StartedAt"] != before
    assert host.container().health == "healthy"
