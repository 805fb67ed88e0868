"""The templates in `files/`, and Jinja's environment for them."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hearth.paths import CHECKOUT

FILES = CHECKOUT / "files"


@cache
def environment(html: bool) -> Environment:
    """Jinja's, with HTML escaped or not."""
    made = Environment(
        loader=FileSystemLoader(FILES),
        undefined=StrictUndefined,
        autoescape=html,
        keep_trailing_newline=True,
    )
    made.filters["yaml"] = _compose_string
    return made


def render(name: str, **variables: Any) -> str:
    """A template of `files/` that is no HTML, filled in."""
    return environment(html=False).get_template(name).render(**variables)


def _compose_string(value: str) -> str:
    """A double-quoted YAML scalar (JSON is YAML), with `$` doubled since Compose would interpolate it."""
    return json.dumps(value.replace("$", "$$"))
