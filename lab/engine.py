"""A root directory with Debian's Docker, for tests that measure time: its engine runs without emulation."""

from __future__ import annotations

PACKAGES = (
    *("docker.io", "docker-cli", "docker-compose", "iptables", "iproute2", "mount", "ca-certificates"),
    *("mtail", "jq", "curl", "openssl"),  # of the metrics
)
