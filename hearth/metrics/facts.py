"""The state of the metrics' service on a host."""

from __future__ import annotations

from collections.abc import Iterable

from typing_extensions import override

from hearth.metrics.rules import PACKAGES, MetricsState
from hearth.paths import METRICS_PROGRAM, METRICS_SCRIPT, METRICS_SERVICE, METRICS_UNIT
from hearth.runtime.sections import parse_digests, parse_sections
from hearth.runtime.state_fact import StateFact
from hearth.runtime.systemd import parse_service, service_section


class Metrics(StateFact[MetricsState]):
    """Packages, files and service, in one round trip. Only collected if there are metrics."""

    @override
    def command(self) -> str:
        format_ = "'${db:Status-Status} ${Package}\\n'"
        return "; ".join(
            [
                f"echo @@packages; dpkg-query -W -f {format_} {' '.join(PACKAGES)} 2>/dev/null",
                f"echo @@files; sha256sum {METRICS_SCRIPT} {METRICS_PROGRAM} {METRICS_UNIT} 2>/dev/null",
                service_section(METRICS_SERVICE),
                "true",
            ]
        )

    @override
    def process(self, output: Iterable[str]) -> MetricsState:
        sections = parse_sections(output)
        packages = (line.split() for line in sections.get("packages", []))
        service = parse_service(sections)
        return MetricsState(
            packages=frozenset(words[1] for words in packages if words[0] == "installed"),
            files=parse_digests(sections.get("files", [])),
            active=service.active,
            enabled=service.enabled,
        )
