"""The user's own settings in daemon.json: every documented key is judged, and what does not work is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hearth.docker.daemon_keys import JUDGED, daemon_obstacles, daemon_warnings, swarm_obstacles
from hearth.settings.model import Settings

Make = Callable[..., Settings]
BRIDGE = "com.docker.network."
# Keys of dockerd's documentation, of versions 23 to 29. tests/proxy/test_daemon_keys.py asks a real engine for its own.
DOCUMENTED = [
    "allow-direct-routing",
    "allow-nondistributable-artifacts",
    "api-cors-header",
    "authorization-plugins",
    "bip",
    "bip6",
    "bridge",
    "bridge-accept-fwmark",
    "builder",
    "cdi-spec-dirs",
    "cgroup-parent",
    "containerd",
    "containerd-namespace",
    "containerd-plugin-namespace",
    "cpu-rt-period",
    "cpu-rt-runtime",
    "cri-containerd",
    "data-root",
    "debug",
    "default-address-pools",
    "default-cgroupns-mode",
    "default-gateway",
    "default-gateway-v6",
    "default-ipc-mode",
    "default-network-opts",
    "default-runtime",
    "default-shm-size",
    "default-ulimits",
    "dns",
    "dns-opts",
    "dns-search",
    "exec-opts",
    "exec-root",
    "experimental",
    "features",
    "firewall-backend",
    "fixed-cidr",
    "fixed-cidr-v6",
    "group",
    "host-gateway-ip",
    "host-gateway-ips",
    "hosts",
    "http-proxy",
    "https-proxy",
    "icc",
    "init",
    "init-path",
    "insecure-registries",
    "ip",
    "ip-forward",
    "ip-forward-no-drop",
    "ip-masq",
    "ip6tables",
    "iptables",
    "ipv6",
    "labels",
    "live-restore",
    "log-driver",
    "log-format",
    "log-level",
    "log-opts",
    "max-concurrent-downloads",
    "max-concurrent-uploads",
    "max-download-attempts",
    "metrics-addr",
    "mtu",
    "network-control-plane-mtu",
    "no-new-privileges",
    "no-proxy",
    "node-generic-resources",
    "oom-score-adjust",
    "pidfile",
    "proxies",
    "raw-logs",
    "registry-mirrors",
    "runtimes",
    "seccomp-profile",
    "selinux-enabled",
    "shutdown-timeout",
    "storage-driver",
    "storage-opts",
    "swarm-default-advertise-addr",
    "tls",
    "tlscacert",
    "tlscert",
    "tlskey",
    "tlsverify",
    "userland-proxy",
    "userland-proxy-path",
    "userns-remap",
]


def test_every_documented_key_is_judged() -> None:
    assert sorted(set(DOCUMENTED) - JUDGED) == []


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"iptables": False}, "no model can be pulled"),
        ({"ip-forward": False}, "net.ipv4.ip_forward = 1"),
        ({"selinux-enabled": True}, "SELinux"),
        ({"default-ulimits": {"nofile": {"Name": "nofile", "Soft": 64, "Hard": 64}}}, "nofile"),
        ({"default-ulimits": {"as": {"Name": "as", "Soft": 10**9, "Hard": 10**9}}}, "the limit for as"),
        ({"default-network-opts": {"bridge": {f"{BRIDGE}bridge.enable_icc": "false"}}}, "httpd can't reach Ollama"),
        ({"default-network-opts": {"bridge": {f"{BRIDGE}bridge.enable_ip_masquerade": "false"}}}, "no model"),
        ({"hosts": ["tcp://127.0.0.1:2375"]}, "unix:///var/run/docker.sock"),
    ],
)
def test_what_does_not_work_is_refused_with_the_fix(settings: Settings, config: dict[str, Any], words: str) -> None:
    (obstacle,) = daemon_obstacles(config, settings, frozenset({"selinux"}))
    assert obstacle.startswith(f'"{next(iter(config))}" in /etc/docker/daemon.json: ')
    assert words in obstacle
    assert "deploy again" in obstacle


@pytest.mark.parametrize(
    "config",
    [
        {"iptables": True},
        {"ip": "127.0.0.1", "icc": False, "ip-masq": False, "userland-proxy": False, "bridge": "none"},
        {"default-network-opts": {"bridge": {f"{BRIDGE}bridge.host_binding_ipv4": "127.0.0.1"}}},
        {"default-network-opts": {"bridge": {f"{BRIDGE}driver.mtu": "1400", f"{BRIDGE}enable_ipv6": "true"}}},
        {"default-network-opts": None, "default-ulimits": [], "hosts": "x"},  # the engine itself refuses these
        {"default-ulimits": {"nofile": {"Name": "nofile", "Soft": 4096, "Hard": 8192}, "memlock": {"Soft": 1}}},
        {"ip-forward": False, "selinux-enabled": True},  # forwarding is on, and the kernel has no SELinux
        {"userns-remap": "default"},
        {"hosts": ["fd://", "tcp://127.0.0.1:2375"]},
        {"a-key-of-tomorrow": True},
    ],
)
def test_what_works_is_no_failure(settings: Settings, config: dict[str, Any]) -> None:
    assert daemon_obstacles(config, settings, frozenset({"forwards"})) == []


def test_userns_remap_is_refused_where_hearth_mounts_files_that_only_root_may_use(make_settings: Make) -> None:
    config = {"userns-remap": "default"}
    (obstacle,) = daemon_obstacles(config, make_settings(ollama_models_dir="/mnt/ssd/ollama"), frozenset())
    assert "(ollama_models_dir)" in obstacle
    (obstacle,) = daemon_obstacles(
        config, make_settings(proxy_tls="local-ca", proxy_tls_names=["pi.local"]), frozenset()
    )
    assert "(proxy_tls)" in obstacle


def test_a_missing_default_bridge_is_refused_where_a_route_needs_it(make_settings: Make) -> None:
    routes = [{"path": "/api/mine", "to": "http://host.docker.internal:5001/mine", "methods": ["GET"]}]
    settings = make_settings(proxy_extra_routes=routes)
    (obstacle,) = daemon_obstacles({"bridge": "none"}, settings, frozenset())
    assert "host.docker.internal in proxy_extra_routes" in obstacle
    assert daemon_obstacles({"bridge": "br0"}, settings, frozenset()) == []


def test_ipv6_is_refused_with_a_firewall(make_settings: Make) -> None:
    config = {"default-network-opts": {"bridge": {f"{BRIDGE}enable_ipv6": "true"}}}
    (obstacle,) = daemon_obstacles(config, make_settings(firewall_allowed_networks=["192.0.2.0/24"]), frozenset())
    assert "bypass firewall_allowed_networks" in obstacle


def test_a_proxy_of_the_engine_gets_a_warning() -> None:
    (warning,) = daemon_warnings({"proxies": {"http-proxy": "http://192.0.2.1:3128"}})
    assert "Ollama pulls models directly" in warning
    assert daemon_warnings({"no-proxy": "example.org", "proxies": {}}) == []


def test_a_gpu_needs_cdi(make_settings: Make) -> None:
    nvidia = make_settings(ollama_gpu="nvidia")
    for daemon, words in (
        ({"features": {"cdi": False}}, 'with "cdi": false, containers can\'t have the GPU'),
        ({"cdi-spec-dirs": ["/srv/cdi"]}, "describes the GPU in /etc/cdi or /var/run/cdi; add both"),
    ):
        (obstacle,) = daemon_obstacles(daemon, nvidia, frozenset())
        assert words in obstacle
        assert daemon_obstacles(daemon, make_settings(), frozenset()) == []
    for harmless in ({"features": {"buildkit": True}}, {"cdi-spec-dirs": ["/etc/cdi", "/var/run/cdi", "/srv/cdi"]}):
        assert daemon_obstacles(harmless, nvidia, frozenset()) == []


OURS = {"live-restore": True}


@pytest.mark.parametrize(
    ("config", "recorded", "live_restore", "fix"),
    [
        # Before the first deploy.
        ({}, {}, True, "use docker_live_restore = False"),
        ({}, {}, False, ""),
        # The user's value stays, whatever the setting is.
        ({"live-restore": False}, {}, True, ""),
        ({"live-restore": True}, {}, False, "remove it there"),
        # Hearth's own value follows the setting.
        ({"live-restore": False}, {"live-restore": False}, True, "use docker_live_restore = False"),
        (OURS, OURS, False, ""),
    ],
)
def test_a_node_of_a_swarm_has_no_live_restore(
    make_settings: Make, config: dict[str, Any], recorded: dict[str, Any], live_restore: bool, fix: str
) -> None:
    found = swarm_obstacles(config, recorded, make_settings(docker_live_restore=live_restore))
    assert len(found) == bool(fix)
    assert fix in "".join(found)
