"""The user's own settings in `daemon.json`: which of them Hearth's containers work with.

Every documented key of the engine is either in HARMLESS or in _RULES; a test compares both with the engine's own list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hearth.docker.daemon_json import Config, merge_config, wanted_config
from hearth.paths import CDI_DIRS, DAEMON_JSON
from hearth.settings.model import Settings

# A rule gets a key's value, the settings, and what the kernel does (see `daemon_obstacles`). It returns the rest of a
# sentence, or "".
Rule = Callable[[Any, Settings, frozenset[str]], str]

HARMLESS = frozenset(
    {
        # Only Docker's default bridge, which Hearth's networks don't use (`ip`, `icc` and `ip-masq`, too).
        *("bip", "bip6", "default-gateway", "default-gateway-v6", "fixed-cidr", "fixed-cidr-v6", "icc", "ip"),
        *("ip-masq", "ipv6", "mtu"),
        # compose.yaml has a value of its own, or nothing in the containers depends on it.
        *("cgroup-parent", "cpu-rt-period", "cpu-rt-runtime", "default-cgroupns-mode", "default-ipc-mode"),
        *("default-shm-size", "init", "init-path", "log-driver", "log-opts", "no-new-privileges"),
        # Where the engine stores data; preflight finds the directories.
        *("containerd", "containerd-namespace", "containerd-plugin-namespace", "containerd-plugins-namespace"),
        *("data-root", "exec-root", "pidfile", "storage-driver", "storage-opts"),
        # Published ports work with and without Docker's proxy program.
        *("userland-proxy", "userland-proxy-path"),
        # Merged with Hearth's own, or only about pulls and names.
        *("live-restore", "registry-mirrors", "insecure-registries", "max-concurrent-downloads"),
        *("max-concurrent-uploads", "max-download-attempts", "allow-nondistributable-artifacts"),
        *("default-address-pools", "dns", "dns-opts", "dns-search", "host-gateway-ip", "host-gateway-ips"),
        # Docker's own packet filter, next to which Hearth has its own table.
        *("allow-direct-routing", "bridge-accept-fwmark", "ip-forward-no-drop", "ip6tables", "firewall-backend"),
        # The engine's log, API and programs.
        *("api-cors-header", "authorization-plugins", "builder", "cri-containerd", "debug"),
        *("add-runtime", "apparmor-profile", "default-runtime", "deprecated-key-path", "exec-opts", "experimental"),
        *("group", "labels", "log-format", "log-level", "metrics-addr", "network-control-plane-mtu"),
        *("network-diagnostic-port", "node-generic-resources", "oom-score-adjust", "raw-logs", "resolv-conf"),
        *("rootless", "runtimes", "seccomp-profile", "shutdown-timeout", "swarm-default-advertise-addr"),
        *("swarm-raft-election-tick", "swarm-raft-heartbeat-tick", "tls", "tlscacert", "tlscert", "tlskey"),
        *("default-init", "default-stop-timeout", "extension-dirs", "nri-opts", "tlsverify"),
    }
)


def _iptables(value: Any, _settings: Settings, _kernel: frozenset[str]) -> str:
    return "" if value is not False else "containers can't reach the internet, so no model can be pulled; remove it"


def _ip_forward(value: Any, _settings: Settings, kernel: frozenset[str]) -> str:
    if value is not False or "forwards" in kernel:
        return ""
    return (
        "the kernel does not forward packets, so containers can't be reached and can't pull models; remove it, or "
        "set net.ipv4.ip_forward = 1 in /etc/sysctl.d"
    )


def _bridge(value: Any, settings: Settings, _kernel: frozenset[str]) -> str:
    if value != "none" or not settings.needs_host_gateway:
        return ""
    return (
        "without Docker's default bridge, containers can't reach programs on the host (host.docker.internal in "
        "proxy_extra_routes); remove it, or use the host's address in proxy_extra_routes"
    )


def _userns_remap(value: Any, settings: Settings, _kernel: frozenset[str]) -> str:
    reasons = {
        "ollama_models_dir": bool(settings.ollama_models_dir),
        "passwords and API keys": settings.has_secrets,
        "proxy_tls": settings.proxy_tls != "off",
    }
    if not value or not any(reasons.values()):
        return ""
    what = ", ".join(name for name, applies in reasons.items() if applies)
    return (
        "root in containers is then another user, who may not read or write the host's files that Hearth mounts "
        f"({what}); remove it, or do without these settings"
    )


def _selinux(value: Any, _settings: Settings, kernel: frozenset[str]) -> str:
    if value is not True or "selinux" not in kernel:
        return ""
    return "SELinux keeps containers from reading files below /opt/hearth; remove it"


# Limits that a model's runner, or httpd's threads, exceed at any useful value.
_ULIMITS = ("as", "cpu", "data", "fsize", "nproc", "rss", "stack")
_FILES = 1024


def _ulimits(value: Any, _settings: Settings, _kernel: frozenset[str]) -> str:
    limits = value if isinstance(value, dict) else {}
    soft = {name: limit.get("Soft", -1) for name, limit in limits.items() if isinstance(limit, dict)}
    low = [name for name in _ULIMITS if isinstance(soft.get(name), int) and soft[name] >= 0]
    if isinstance(soft.get("nofile"), int) and 0 <= soft["nofile"] < _FILES:
        low.append("nofile")
    if not low:
        return ""
    return (
        f"the limit for {', '.join(sorted(low))} also applies to Ollama and httpd, which exceed it; remove it "
        f"(nofile: {_FILES} or more)"
    )


def _network_options(value: Any, settings: Settings, _kernel: frozenset[str]) -> str:
    bridge = value.get("bridge", {}) if isinstance(value, dict) else {}
    prefix = "com.docker.network."
    for key, bad, effect in (
        (
            "bridge.enable_ip_masquerade",
            ("false", "0"),
            "containers can't reach the internet, so no model can be pulled",
        ),
        ("bridge.enable_icc", ("false", "0"), "httpd can't reach Ollama"),
        ("bridge.inhibit_ipv4", ("true", "1"), "the host has no address in Hearth's networks"),
        (
            "bridge.gateway_mode_ipv4",
            ("routed", "isolated", "nat-unprotected"),
            "Hearth's ports are published differently",
        ),
    ):
        if str(bridge.get(prefix + key, "")).lower() in bad:
            return f"{prefix + key} applies to Hearth's networks, too: {effect}; remove it"
    if settings.needs_firewall and str(bridge.get(f"{prefix}enable_ipv6", "")).lower() in ("true", "1"):
        return (
            f"{prefix}enable_ipv6 applies to Hearth's networks, too, and requests over IPv6 would bypass "
            "firewall_allowed_networks; remove it"
        )
    return ""


def _hosts(value: Any, _settings: Settings, _kernel: frozenset[str]) -> str:
    sockets = value if isinstance(value, list) else []
    local = ("fd://", "unix:///var/run/docker.sock", "unix:///run/docker.sock", "unix://")
    if not sockets or any(str(one).startswith("fd://") or one in local for one in sockets):
        return ""
    return 'the command `docker` finds no socket; add "unix:///var/run/docker.sock"'


def _features(value: Any, settings: Settings, _kernel: frozenset[str]) -> str:
    if settings.ollama_gpu != "nvidia" or not isinstance(value, dict) or value.get("cdi") is not False:
        return ""
    return 'with "cdi": false, containers can\'t have the GPU that ollama_gpu asks for; remove "cdi"'


def _cdi_spec_dirs(value: Any, settings: Settings, _kernel: frozenset[str]) -> str:
    if settings.ollama_gpu != "nvidia" or not isinstance(value, list) or {*CDI_DIRS} <= {*value}:
        return ""
    return f"NVIDIA's container toolkit describes the GPU in {' or '.join(CDI_DIRS)}; add both, or remove it"


_RULES: Mapping[str, Rule] = {
    "features": _features,
    "cdi-spec-dirs": _cdi_spec_dirs,
    "iptables": _iptables,
    "ip-forward": _ip_forward,
    "bridge": _bridge,
    "userns-remap": _userns_remap,
    "selinux-enabled": _selinux,
    "default-ulimits": _ulimits,
    "default-network-opts": _network_options,
    "hosts": _hosts,
}
# Docker pulls through these, Ollama does not.
_PROXIES = frozenset({"proxies", "http-proxy", "https-proxy", "no-proxy"})
JUDGED = HARMLESS | _RULES.keys() | _PROXIES


def daemon_obstacles(config: Mapping[str, Any], settings: Settings, kernel: frozenset[str]) -> list[str]:
    """Settings in `daemon.json` that Hearth does not work with: a sentence each, with the fix.

    Args:
        config: the content of `daemon.json`.
        kernel: `forwards` if it forwards IPv4 packets already, `selinux` if it has SELinux.
    """
    found = ((key, rule(config[key], settings, kernel)) for key, rule in _RULES.items() if key in config)
    return [
        f'"{key}" in {DAEMON_JSON}: {reason}, run `sudo systemctl restart docker`, and deploy again'
        for key, reason in found
        if reason
    ]


def swarm_obstacles(config: Config, recorded: Config, settings: Settings) -> list[str]:
    """For a node of a swarm: whether its engine would start with the merged configuration, in a sentence.

    Args:
        config: the content of `daemon.json`.
        recorded: Hearth's own part of it.
    """
    merged, ours = merge_config(config, recorded, wanted_config(settings, config))
    if merged.get("live-restore") is not True:
        return []
    if "live-restore" in ours:
        return [
            "Docker is in swarm mode, in which its engine refuses to start with docker_live_restore = True; "
            "use docker_live_restore = False"
        ]
    return [
        f'Docker is in swarm mode, in which its engine refuses to start with "live-restore": true, as {DAEMON_JSON} '
        "says; remove it there, and use docker_live_restore = False"
    ]


def daemon_warnings(config: Mapping[str, Any]) -> list[str]:
    """Settings in `daemon.json` with a consequence that does not prevent a deploy."""
    used = sorted(key for key in _PROXIES - {"no-proxy"} if config.get(key))
    if not used:
        return []
    return [
        f'"{used[0]}" in {DAEMON_JSON}: Docker pulls images through this proxy, but Ollama pulls models directly; if '
        "the host has no other way to the internet, models can't be pulled"
    ]
