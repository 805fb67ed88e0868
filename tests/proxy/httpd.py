"""A real httpd with a configuration rendered from settings, on a separate loopback address."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from hearth.paths import HTTPD_CONF
from hearth.render.compose import render_compose
from hearth.render.stack_files import render_tree
from hearth.settings.model import Settings
from lab import shell
from tests.proxy.address import free_address, responds
from tests.proxy.container import Contained, Container, Done
from tests.support.proxy_rules.behaviour import wait_until

PREFIX = "/usr/local/apache2"
OLLAMA_PORT = 11434
# Each process of httpd: its pid, its parent's pid, and its sockets; the image has neither ps nor awk.
_PROCESSES = (
    'for process in /proc/[0-9]*; do [ "$(cat $process/comm)" = httpd ] || continue; '
    "read -r pid _ _ parent _ <$process/stat; echo $pid $parent $(readlink $process/fd/*); done 2>/dev/null"
)


class Httpd(Contained):
    """httpd of the lab's image, run as in compose.yaml, with files rendered from the settings, until the block ends.

    Args:
        image: the image's root directory.
        directory: an empty directory for it.
        settings: what to render.
        ollama: the address that the name `ollama` resolves to; its own by default, where a test may listen.
        volumes: further mounts: path in the container → directory.
        address: the loopback address to listen at; a free one by default.
        network: the network namespace that has the address; "" for the machine's.

    Attributes:
        address: the loopback address at which it listens, on the configured port.
        url: of the chat page, without a trailing slash.
        tree: the directory with `httpd/` and `htdocs/`, as /opt/hearth on a host.
    """

    def __init__(
        self,
        image: Path,
        directory: Path,
        settings: Settings,
        ollama: str | None = None,
        volumes: Mapping[str, Path] | None = None,
        address: str = "",
        network: str = "",
    ) -> None:
        assert settings.proxy_port > 1023, "httpd does not run as root, so it can't use ports below 1024"
        self.settings = settings
        self.address = address or free_address(settings.proxy_port, self._port("443"), OLLAMA_PORT)
        self.port = settings.proxy_port
        self.url = f"http://{self.address}:{self.port}"
        self.tree = directory / "tree"
        self._hosts = directory / "hosts"
        self.set_names({"ollama": ollama or self.address, "host.docker.internal": self.address})
        self.write(settings)
        service = yaml.safe_load(render_compose(settings))["services"]["httpd"]
        self._container = Container(
            image,
            directory,
            "httpd",
            # As Compose reads it, with a shorter wait than on a host.
            tuple(word.replace("$$", "$").replace("sleep 20", "sleep 1") for word in service["command"]),
            {"/etc/hosts": self._hosts} | self._mounts(service) | dict(volumes or {}),
            {},
            lambda: responds(self.address, self.port),
            service["user"],
            service["read_only"],
            network,
        )

    def _mounts(self, service: Mapping[str, Any]) -> dict[str, Path | str]:
        """The service's bind mounts and tmpfs, by path in the container."""
        found: dict[str, Path | str] = {}
        for volume in service["volumes"]:
            if volume["type"] == "bind":
                source = self.tree / volume["source"].lstrip("/")
                source.mkdir(parents=True, exist_ok=True)
                found[volume["target"]] = source
        for words in service["tmpfs"]:
            target, _, options = words.partition(":")
            found[target] = options
        return found

    def write(self, settings: Settings) -> None:
        """Write the files rendered from the settings; active after a `reload`, those of the page immediately."""
        for name, content in render_tree(settings).items():
            path = self.tree / name
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
            path.write_bytes(self.adapted(content.decode()).encode() if name == "httpd/httpd.conf" else content)

    def adapted(self, conf: str) -> str:
        """The configuration with this httpd's address, and ports that need no root: the published one, 8443 for 443."""
        conf, listens = re.subn(r"(?m)^Listen (\d+)$", lambda m: f"Listen {self.address}:{self._port(m[1])}", conf)
        assert listens, "httpd.conf has no Listen directive of the expected form"
        return re.sub(r"(?m)^(\s*<VirtualHost [^>]*:)(\d+)>", lambda m: f"{m[1]}{self._port(m[2])}>", conf)

    def _port(self, inside: str) -> int:
        port = int(inside)
        return self.port if port == 80 else port + 8000 if port < 1024 else port

    def set_names(self, names: Mapping[str, str]) -> None:
        """Set what names resolve to (name → address), like Docker's name server; other names do not resolve."""
        lines = [f"{address} {name}\n" for name, address in {"localhost": "127.0.0.1", **names}.items()]
        self._hosts.write_text("".join(lines))  # in place: the file is mounted

    def execute(self, command: str) -> Done:
        """Run a line of shell in the container, as `docker exec` would."""
        return self._container.execute(command)

    def reload(self) -> Done:
        """Reload httpd.conf like a deploy."""
        return self.execute(f"httpd -k graceful -f {PREFIX}/{HTTPD_CONF}")

    def apply(self) -> None:
        """Reload httpd.conf, and wait until only the new worker accepts connections. A reload returns before that."""
        before = self._accepting()
        done = self.reload()
        assert done.code == 0, done.output
        wait_until(lambda: bool(now := self._accepting()) and not now & before, 20)

    def _accepting(self) -> set[int]:
        """The workers with a listening socket."""
        sockets = [line.split() for line in self.execute("cat /proc/net/tcp").output.splitlines()]
        listening = {f"socket:[{fields[9]}]" for fields in sockets if fields[3] == "0A"}
        processes = [line.split() for line in self.execute(_PROCESSES).output.splitlines()]
        pids = {pid for pid, *_ in processes}
        return {int(pid) for pid, parent, *files in processes if parent in pids and listening & set(files)}


def check_configuration(image: Path, conf: Path, *arguments: str) -> Done:
    """Check a file with the real `httpd -t`, in the image's root; `arguments` are passed on (`-D DUMP_VHOSTS`)."""
    words = [*shell.sudo(), "chroot", str(image), f"{PREFIX}/bin/httpd", "-t", *arguments, "-f", "/dev/stdin"]
    with conf.open("rb") as content:
        done = subprocess.run(words, stdin=content, capture_output=True, timeout=60, check=False)
    return Done(done.returncode, (done.stdout + done.stderr).decode(errors="replace"))
