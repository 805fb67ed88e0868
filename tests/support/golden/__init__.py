"""What a host without pools gets, byte for byte: the rendered files of two sets of settings.

After a change of a template that is meant to change them, `python -m tests.support.golden` writes them again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hearth.render.stack_files import render_tree
from tests.support.shipped import shipped_settings

DIRECTORY = Path(__file__).parent
FILES = ("compose.yaml", "httpd/httpd.conf")
SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "everything": {
        "allowed_origins": ["http://192.168.1.20:8080"],
        "proxy_users": {"anna": {"env": "ANNA"}},
        "proxy_api_keys": {"notebook": {"env": "NOTEBOOK"}},
        "proxy_access": "networks and (users or api_keys)",
        "proxy_allowed_networks": ["192.168.1.0/24"],
        "proxy_trusted_proxies": ["192.168.1.189"],
        "proxy_max_streams_per_caller": 2,
        "proxy_tls": "local-ca",
        "proxy_tls_names": ["pi.local"],
        "metrics_access": "api_keys",
        "ollama_models_dir": "/mnt/ssd/ollama",
        "ollama_memory_limit": "3g",
        "proxy_extra_routes": [
            {"path": "/flask/", "to": "http://host.docker.internal:5001/", "methods": ["GET", "POST"]},
            {"path": "/api/pull", "to": "/api/pull", "methods": ["POST"], "access": "api_keys"},
        ],
    },
}


def rendered() -> dict[str, bytes]:
    """File name in this directory → content."""
    return {
        f"{name}.{Path(path).name}": render_tree(shipped_settings(**values))[path]
        for name, values in SETTINGS.items()
        for path in FILES
    }
