"""The templates in `files/`, and their Jinja environment."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hearth.paths import CHECKOUT

FILES = CHECKOUT / "files"


@cache
def environment(html: bool) -> Environment:
    """The Jinja environment, with or without HTML escaping."""
    created = Environment(
        loader=FileSystemLoader(FILES),
        undefined=StrictUndefined,
        autoescape=html,
        keep_trailing_newline=True,
    )
    created.filters["yaml"] = _compose_string
    return created


def render(name: str, **variables: Any) -> str:
    """Render a template of `files/` without HTML escaping."""
    return environment(html=False).get_template(name).render(**variables)


def _compose_string(value: str) -> str:
    """A double-quoted YAML scalar (JSON is YAML), with `$` doubled, since Compose would interpolate it."""
    return json.dumps(value.replace("$", "$$"))
