"""Settings to the chat page's files."""

from __future__ import annotations

from hearth.render.templates import FILES, environment
from hearth.settings.model import Settings


def render_page(settings: Settings) -> dict[str, bytes]:
    """The chat page's files: name to content."""
    page = FILES / "htdocs"
    values = {name: getattr(settings, name) for name in ("chat_title", "ollama_context_length")}
    index = environment(html=True).get_template("htdocs/index.html.j2").render(values)
    files = {path.name: path.read_bytes() for path in sorted(page.iterdir()) if path.suffix != ".j2"}
    return files | {"index.html": index.encode()}
