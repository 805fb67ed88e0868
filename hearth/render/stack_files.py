"""Files of the stack, rendered from settings on the control machine.

Templates are in `files/`, in the host's layout. An invalid compose file raises an error here.
"""

from __future__ import annotations

from hearth.render.chat_page import render_page
from hearth.render.compose import render_compose
from hearth.render.httpd_conf import render_backend_conf, render_httpd_conf
from hearth.render.templates import FILES
from hearth.settings.model import Settings


def render_tree(settings: Settings) -> dict[str, bytes]:
    """All files of a release in `/opt/hearth`: relative path to content."""
    tree = {"compose.yaml": render_compose(settings).encode()}
    if settings.runs_ollama:
        tree["ollama/health.bash"] = (FILES / "ollama/health.bash").read_bytes()
    if settings.runs_httpd and not settings.serves_page:
        return tree | {
            "httpd/requests.lua": (FILES / "httpd/requests.lua").read_bytes(),
            "httpd/httpd.conf": render_backend_conf(settings).encode(),
        }
    if not settings.runs_httpd:
        return tree
    page = {f"htdocs/{name}": content for name, content in render_page(settings).items()}
    return (
        page
        | tree
        | {
            "httpd/requests.lua": (FILES / "httpd/requests.lua").read_bytes(),
            "httpd/httpd.conf": render_httpd_conf(settings).encode(),
        }
    )
