"""Figures for Prometheus: the service that collects what httpd serves at /metrics."""
