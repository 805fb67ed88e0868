"""Settings to the chat page's files."""

from __future__ import annotations

from hearth.render.templates import FILES, environment
from hearth.settings.model import Settings


def render_page(settings: Settings) -> dict[str, bytes]:
    """The chat page's files: name to content."""
    page = FILES / "htdocs"
    index = environment(html=True).get_template("htdocs/index.html.j2").render(chat_title=settings.chat_title)
    files = {path.name: path.read_bytes() for path in sorted(page.iterdir()) if path.suffix != ".j2"}
    return files | {"index.html": index.encode()}
