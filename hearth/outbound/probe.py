"""Ask the proxy from the host, before anything is changed: whether it responds, and accepts the credentials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pyinfra import host, state

from hearth.runtime.byte_stream import ask
from hearth.runtime.shell import quote, script_without_comments
from hearth.settings.http_proxy import HttpProxy
from hearth.settings.model import Settings

_SCRIPT = script_without_comments(Path(__file__).with_name("probe.bash"))
# A server that is not a proxy: it does not know the method CONNECT, or its target.
_NOT_A_PROXY = ("400", "404", "405", "501")


def proxy_target(settings: Settings) -> str:
    """Host and port that the proxy is asked for: where models or images come from."""
    registry = settings.ollama_model_registry
    if settings.runs_ollama and registry.startswith("https://"):
        address = registry.removeprefix("https://")
        return address if ":" in address else f"{address}:443"
    return "registry.ollama.ai:443" if settings.runs_ollama else "registry-1.docker.io:443"


def probe_proxy(proxy: HttpProxy, target: str, root: dict[str, Any]) -> str:
    """What the proxy responds to the current host: the first line of its response, or bash's error message.

    The credentials are sent through standard input: arguments are visible to all users of the host.

    Raises:
        OSError: the host could not be asked.
    """
    lines = (proxy.host, str(proxy.port), target, proxy.authorization.get_secret_value())
    text = "".join(f"{line}\n" for line in lines).encode()
    return ask(state, host, quote("bash", "-c", _SCRIPT), root, text).decode(errors="replace").strip()


def proxy_obstacles(proxy: HttpProxy, answer: str) -> list[str]:
    """A sentence if the proxy can't be used. That it denies one target is for the pull to report.

    Args:
        answer: as from `probe_proxy`.
    """
    setting = f"host_http_proxy: {proxy.address}"
    version, _, rest = answer.partition(" ")
    status = rest[:3]
    if not version.startswith("HTTP/"):
        reason = " ".join(answer.rpartition(": ")[2].split())[:200] or "it sent nothing"
        return [
            f"{setting} does not respond to the host ({reason}); check its address, and whether the host may reach it, "
            'or use "" for no proxy'
        ]
    # tinyproxy refuses a wrong password with 401, and a missing one with 407.
    if status in ("401", "407"):
        return [
            f"{setting} refuses the user and password ({status}); correct them in their source"
            if proxy.user
            else f"{setting} requires a user and a password ({status}); use a source that has "
            'http://user:password@host:port as its first line, such as {"file": "~/.hearth/proxy"}'
        ]
    if status in _NOT_A_PROXY:
        return [f"{setting} is a web server, not a proxy (it responds with {status} to CONNECT); check its port"]
    return []
