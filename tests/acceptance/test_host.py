"""The host itself: Docker's service and configuration, files, ports."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from hearth.host.ports import parse_listeners
from hearth.paths import DAEMON_JSON, RELOAD_PENDING, ROOT
from hearth.render.stack_files import render_tree
from hearth.settings.model import Settings


def test_docker_runs_and_starts_at_boot(host: Any) -> None:
    service = host.service("docker")
    assert service.is_running
    assert service.is_enabled
    assert host.run("docker compose version --short").rc == 0


def test_engine_has_the_configured_mirrors_and_log_limits(host: Any, settings: Settings) -> None:
    config = json.loads(host.file(DAEMON_JSON).content_string)
    assert set(settings.docker_registry_mirrors) <= set(config.get("registry-mirrors", []))
    assert config["live-restore"] is settings.docker_live_restore
    assert config["log-opts"] == {
        "max-size": settings.docker_log_max_size,
        "max-file": str(settings.docker_log_max_files),
    }


def test_engine_runs_with_its_configuration(host: Any, settings: Settings) -> None:
    info = json.loads(host.check_output("docker info --format '{{json .}}'"))
    in_force = {mirror.rstrip("/") for mirror in info["RegistryConfig"]["Mirrors"] or []}
    assert set(settings.docker_registry_mirrors) <= in_force
    assert info["LiveRestoreEnabled"] is settings.docker_live_restore


def test_files_match_the_settings(host: Any, settings: Settings) -> None:
    expected = {path: hashlib.sha256(content).hexdigest() for path, content in render_tree(settings).items()}
    names = " ".join(expected)
    # One command for all of them: each needs an ssh and a sudo.
    digests = host.check_output(f"cd {ROOT} && sha256sum {names}").splitlines()
    assert {path: digest for digest, path in (line.split() for line in digests)} == expected
    modes = host.check_output(f"cd {ROOT} && stat -c '%U %a' {names}").splitlines()
    assert set(modes) == {"root 644"}


def test_no_reload_is_pending(host: Any) -> None:
    assert not host.file(RELOAD_PENDING).exists


def test_only_declared_ports_are_published(host: Any, settings: Settings) -> None:
    listeners = parse_listeners(host.check_output("ss -H -ltnp").splitlines())
    published = {(one.address, one.port) for one in listeners if one.program == "docker-proxy"}
    # Without an address, Docker publishes a port over IPv6 as well.
    everywhere = {settings.proxy_port, settings.proxy_tls_port} if not settings.identifies_addresses else set()
    expected = settings.published_ports | {
        ("[::]", port) for address, port in settings.published_ports if address == "0.0.0.0" and port in everywhere
    }
    assert published == expected
