"""Metrics for Prometheus."""

from __future__ import annotations

from pyinfra.api import deploy

from hearth.metrics import operations
from hearth.metrics.facts import Metrics
from hearth.metrics.rules import render_files
from hearth.runtime.fact_snapshot import Query
from hearth.settings.model import Settings


@deploy("Metrics")
def metrics(settings: Settings, exists: bool) -> None:
    """Runs after the containers have started: httpd serves what the service writes.

    Args:
        exists: preflight found traces of the service. Nothing else in a deploy changes that.
    """
    if settings.metrics_access:
        operations.install_metrics(
            name="Collect the metrics", files=render_files(settings), timeout=settings.docker_apt_timeout
        )
    elif exists:
        operations.remove_metrics(name="Remove the metrics")


def metrics_queries(settings: Settings) -> list[Query]:
    """The facts that the operations of `metrics` ask for."""
    return [(Metrics, {})] if settings.metrics_access else []
