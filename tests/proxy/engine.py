"""A real Docker engine without emulation, in separate namespaces: see engine.sh."""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from hearth.render.stack_files import render_tree
from hearth.settings.model import Settings
from hearth.stack.container_operations import converge_script
from lab import images, registry
from tests.proxy.container import Done, Inside
from tests.support.shipped import shipped_settings

ADDRESS = "198.51.100.1"  # of engine.sh
_ENTER = Path(__file__).with_name("engine.sh")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DAEMON = {
    "registry-mirrors": ["http://127.0.0.1:5000"],
    "exec-opts": ["native.cgroupdriver=cgroupfs"],
    "cgroup-parent": "/hearth-tests",
    "live-restore": True,
}
_CLONE_NEWNET = 0x40000000  # sched.h


def lab_settings(parts: Mapping[str, Path], **changed: object) -> Settings:
    """The shipped settings with the lab's images, whose versions may differ."""
    tags = images.tags(parts["images"])
    return shipped_settings(ollama_image=tags["ollama"], proxy_image=tags["httpd"], **changed)


class Engine(Inside):
    """Docker, with the lab's images in its registry, until the end of the block. Needs root.

    Args:
        parts: paths of the lab's artefacts `engine`, `images` and `tools`.
        directory: an empty directory for it.
        daemon: settings for its daemon.json, in addition to DAEMON.

    Attributes:
        project: the directory that is its /opt/hearth.
    """

    def __init__(self, parts: Mapping[str, Path], directory: Path, daemon: Mapping[str, object] | None = None) -> None:
        work, self.project = directory / "work", directory / "project"
        work.mkdir()
        self.project.mkdir()
        config = directory / "registry.json"
        config.write_text(json.dumps(registry.configuration(Path("/srv/storage"), 5000, read_only=True)))
        words = [
            *("env", "-i", f"PATH={_PATH}", "HOME=/root", "unshare", "--net", "--"),
            *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--", "sh", str(_ENTER)),
            *(str(parts["engine"] / "root"), str(work), str(self.project)),
            *(str(parts["images"] / "storage"), str(parts["tools"] / "docker-registry"), str(config)),
            json.dumps(DAEMON | dict(daemon or {})),
        ]
        super().__init__(words, directory / "log", lambda: self.execute("docker info").code == 0, timeout=60)

    def write(self, settings: Settings) -> None:
        """Write the project's files, rendered from the settings."""
        for name, content in render_tree(settings).items():
            path = self.project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def run(self, script: str) -> Done:
        """Run a shell script in it, for at most 80 s."""
        (self.project / "script").write_text(script)
        return self.execute("sh /opt/hearth/script")

    def bring_up(self, settings: Settings) -> None:
        """Pull the images of these settings, and start the project's containers like a deploy."""
        for image in settings.images.values():
            pulled = self.execute(f"docker pull -q {image}")
            assert pulled.code == 0, pulled.output
        done = self.run(converge_script([], 60, "docker compose logs", 0, present=tuple(settings.images)))
        assert done.code == 0, done.output

    @property
    def network(self) -> str:
        """The file of its network namespace, for `nsenter --net=`."""
        # env and the first unshare exec the second one, so the process that we started is in the network.
        return f"/proc/{self._process.pid}/ns/net"

    def enter_network(self) -> None:
        """Move this thread's future sockets into the engine's network."""
        network = os.open(self.network, os.O_RDONLY)
        try:
            if ctypes.CDLL(None, use_errno=True).setns(network, _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "could not enter the engine's network")
        finally:
            os.close(network)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            # While the engine runs, which removes the containers' control groups.
            self.execute("docker ps -aq | xargs -r docker rm -f")
        finally:
            super().__exit__(kind, error, trace)
            for group in Path("/sys/fs/cgroup").glob("**/hearth-tests"):
                with suppress(OSError):  # left over from an engine that crashed
                    group.rmdir()
