"""The service that collects the metrics: its files, and how a host differs from them. Pure rules."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from hearth.paths import (
    ACME_STORE,
    METRICS_PATH,
    METRICS_PROGRAM,
    METRICS_PUBLIC,
    METRICS_SCRIPT,
    METRICS_UNIT,
    TLS_LIVE,
)
from hearth.render.templates import FILES, render
from hearth.runtime.written_files import describe_differing
from hearth.settings.model import Settings

# Prints traces of the service on a host, a line each.
METRICS_TRACES = f"ls -d {METRICS_UNIT} {METRICS_SCRIPT} {METRICS_PROGRAM} 2>/dev/null"
# From the distribution: counts the access log's lines; parses JSON; talks to httpd and Ollama; reads certificates.
PACKAGES = ("mtail", "jq", "curl", "openssl")


@dataclass(frozen=True)
class MetricsState:
    """The state of the service on a host.

    Attributes:
        packages: those of `PACKAGES` that are installed.
        files: path → SHA-256 (hex) of the existing ones.
        active, enabled: from systemd.
    """

    packages: frozenset[str] = frozenset()
    files: dict[str, str] = field(default_factory=dict)
    active: bool = False
    enabled: bool = False


def render_files(settings: Settings) -> dict[str, str]:
    """The service's files: absolute path → content."""
    script = (FILES / "metrics/collect.bash").read_text(encoding="utf-8")
    program = render_program(settings)
    certificates = ""
    if settings.proxy_tls == "acme":
        certificates = f"{ACME_STORE}/domains/*/pubcert.pem"
    elif settings.proxy_tls != "off":
        certificates = f"{TLS_LIVE}/server.pem"
    unit = render(
        "hearth-metrics.service.j2",
        slots=settings.total_slots,
        runs_ollama=settings.runs_ollama,
        certificates=certificates,
        script=METRICS_SCRIPT,
        public=METRICS_PUBLIC,
    )
    return {METRICS_SCRIPT: script, METRICS_PROGRAM: program, METRICS_UNIT: unit}


def render_program(settings: Settings) -> str:
    """The program for mtail, which counts the lines of the access log."""
    return render("metrics/requests.mtail.j2", uses_credentials=settings.uses_credentials, labels=_labels(settings))


def _labels(settings: Settings) -> list[tuple[str, str]]:
    """(regular expression (RE2) for a path with its query, label) of each route; the last match wins."""
    # Shortest first, unlike httpd, which uses the first match. An exact path wins over a prefix of the same length.
    routes = sorted(settings.routes, key=lambda route: (len(route.path), not route.is_prefix))
    query = r"(?:\?\S*)?"
    files = r"\/(?:[A-Za-z0-9_-]+\.(?:html|js|css|svg))?"
    return [
        (files + query, "page"),
        *((_escape(route.path) + (r"\S*" if route.is_prefix else query), route.path) for route in routes),
        (_escape(METRICS_PATH) + query, METRICS_PATH),
    ]


def _escape(path: str) -> str:
    """For a regular expression between slashes."""
    return re.escape(path).replace("/", r"\/")


def missing_packages(state: MetricsState) -> tuple[str, ...]:
    return tuple(name for name in PACKAGES if name not in state.packages)


def find_differences(state: MetricsState, files: dict[str, str]) -> list[str]:
    """Differences from the settings, and how they are fixed, a sentence each; empty if there are none.

    Args:
        files: path → the text that the file should have.
    """
    found = []
    if missing := missing_packages(state):
        found.append(f"the metrics need {', '.join(missing)}; installing from the distribution")
    if not any(path in state.files for path in files):
        found.append("the metrics' service is missing; adding it")
        return found
    found += [
        f"{difference}; writing it and restarting the metrics' service"
        for difference in describe_differing(state.files, files)
    ]
    if not found and not state.active:
        found.append("the metrics' service is not running; starting it")
    if not found and not state.enabled:
        found.append("the metrics' service does not start with the host; enabling it")
    return found
