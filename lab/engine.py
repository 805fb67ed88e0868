"""A root directory with Debian's Docker: for an engine on this machine's own processors, in tests that measure time."""

from __future__ import annotations

PACKAGES = ("docker.io", "docker-cli", "docker-compose", "iptables", "iproute2", "mount", "ca-certificates")
