"""The Docker engine: packages, service, daemon.json."""
