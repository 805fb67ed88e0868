"""Providers in the internet that a host may not reach."""

from __future__ import annotations

import socket
import subprocess

from hearth.preflight.providers import ProviderReachability, provider_addresses, provider_warnings
from tests.support.shipped import shipped_settings

SETTINGS = shipped_settings(
    proxy_access="networks",
    proxy_allowed_networks=["192.168.1.0/24"],
    proxy_providers={
        "openai": {"url": "https://api.openai.com/v1", "key": {"env": "A"}},
        "own": {"url": "https://llm.example:8443/v1", "key": {"env": "B"}},
    },
)


def test_what_is_not_reached_is_a_warning() -> None:
    assert provider_addresses(SETTINGS) == {"openai": "api.openai.com:443", "own": "llm.example:8443"}
    assert provider_warnings(SETTINGS, {"api.openai.com:443": "", "llm.example:8443": ""}) == []
    assert provider_warnings(SETTINGS, {"api.openai.com:443": "name", "llm.example:8443": "port"}) == [
        'proxy_providers["openai"]: this host can\'t resolve api.openai.com; check its DNS server, and the address',
        'proxy_providers["own"]: this host gets no connection to llm.example, port 8443; check its internet access, '
        "and firewalls",
    ]


def test_the_script_tells_what_fails() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        up, down = (f"localhost:{one.getsockname()[1]}" for one in (listening, closed))
        fact = ProviderReachability()
        script = fact.command((up, down, "name.invalid:443"))
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert fact.process(done.stdout.splitlines()) == {up: "", down: "port", "name.invalid:443": "name"}
