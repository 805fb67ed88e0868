"""The origin of images and models: Docker Hub and Ollama's library if they respond, else the lab's own builds.

Imports nothing but the standard library: the choice is made before anything is installed.
"""

from __future__ import annotations

import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

HUB, BUILT = "hub", "built"
AUTO = "auto"
MODES = (HUB, BUILT)
TIMEOUT = 5.0  # seconds for all requests together
KVM = Path("/dev/kvm")

# Some services refuse the user agent of Python's client.
_HEADERS = {"User-Agent": "hearth-lab", "Accept": "application/vnd.docker.distribution.manifest.v2+json, */*"}


@dataclass(frozen=True)
class Probe:
    """A GET request that shows whether a service is usable.

    Attributes:
        url: to request.
        status: of the expected response.
        matches: whether body and headers are those of the service; a captive portal responds as well.
    """

    url: str
    status: int
    matches: Callable[[bytes, Mapping[str, str]], bool]


def _challenges(_: bytes, headers: Mapping[str, str]) -> bool:
    return "auth.docker.io/token" in headers.get("www-authenticate", "")


def _object_with(key: str) -> Callable[[bytes, Mapping[str, str]], bool]:
    def matches(body: bytes, _: Mapping[str, str]) -> bool:
        try:
            return key in json.loads(body)
        except ValueError:
            return False

    return matches


# The first requests of a pull of the official images and of the lab's model.
PROBES = {
    "registry-1.docker.io": Probe("https://registry-1.docker.io/v2/", 401, _challenges),
    "auth.docker.io": Probe(
        "https://auth.docker.io/token?service=registry.docker.io&scope=repository:library/httpd:pull",
        200,
        _object_with("token"),
    ),
    "registry.ollama.ai": Probe(
        "https://registry.ollama.ai/v2/library/smollm2/manifests/135m", 200, _object_with("layers")
    ),
}


@dataclass(frozen=True)
class Choice:
    """A mode and the reason for it."""

    mode: str
    why: str


def choose(
    requested: str = AUTO,
    probe: Callable[[], dict[str, str]] | None = None,
    kvm: Callable[[], bool] = lambda: os.access(KVM, os.R_OK | os.W_OK),
) -> Choice:
    """The requested mode, or with "auto" the one that suits this machine.

    Args:
        requested: "auto" or one of MODES.
        probe: replaces `problems` in tests.
        kvm: whether this machine has KVM.
    """
    if requested != AUTO:
        return Choice(requested, "as requested")
    wrong = (probe or problems)()
    if wrong:
        names = {what: [name for name in wrong if wrong[name] == what] for what in wrong.values()}
        return Choice(BUILT, "; ".join(f"{', '.join(of)}: {what}" for what, of in names.items()))
    if not kvm():
        return Choice(
            BUILT, f"Docker Hub responds, but {KVM} is not usable, and an emulated guest unpacks images slowly"
        )
    return Choice(HUB, "Docker Hub and Ollama's library respond")


def problems(probes: Mapping[str, Probe] | None = None, timeout: float = TIMEOUT) -> dict[str, str]:
    """Why services are not usable, by name, after at most `timeout` seconds; empty if all are.

    Requests bypass this machine's HTTP proxy, since the guest has none.
    """
    probes = PROBES if probes is None else probes
    found = dict.fromkeys(probes, f"no response within {timeout:.0f} s")

    def run(name: str) -> None:
        found[name] = _problem(probes[name], timeout)

    # Daemon threads, since a name look-up has no timeout and must not keep the program running.
    threads = [threading.Thread(target=run, args=[name], daemon=True) for name in probes]
    until = time.monotonic() + timeout
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return {name: what for name, what in list(found.items()) if what}


def _problem(probe: Probe, timeout: float) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(probe.url, headers=_HEADERS), timeout=timeout) as response:
            status, headers, body = response.status, response.headers, response.read(1 << 20)
    except urllib.error.HTTPError as error:
        status, headers, body = error.code, error.headers, b""
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return str(getattr(reason, "strerror", "") or reason) or type(error).__name__
    if status != probe.status:
        return f"responded with {status}"
    received = {name.lower(): value for name, value in headers.items()}
    return "" if probe.matches(body, received) else "another server responded in its place"
