"""Settings to the chat page's files."""

from __future__ import annotations

from hearth.render.templates import FILES, environment
from hearth.settings.model import Settings


def render_page(settings: Settings) -> dict[str, bytes]:
    """The chat page's files: name to content."""
    page = FILES / "htdocs"
    files = {path.name: path.read_bytes() for path in sorted(page.iterdir()) if path.suffix != ".j2"}
    values = {name: getattr(settings, name) for name in ("chat_title", "ollama_context_length")}
    modules = [name for name in files if name.endswith(".js")]
    template = environment(html=True).get_template("htdocs/index.html.j2")
    index = template.render(values, modules=modules, pools=settings.named_pools)
    return files | {"index.html": index.encode()}
