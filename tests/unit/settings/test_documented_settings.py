"""Settings in the docs are valid, since users copy them."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import pytest

from hearth.settings.model import Settings
from tests.support.documented import blocks
from tests.support.shipped import PROJECT

DOCS = PROJECT / "docs"
PAGES = [path for path in sorted(DOCS.glob("*.md")) if "```python\n" in path.read_text(encoding="utf-8")]
# Settings that a block needs, from elsewhere on its page.
ALSO_SET: dict[str, dict[str, Any]] = {
    "access.md": {"proxy_api_keys": {"notebook": {"env": "HEARTH_NOTEBOOK"}}},
    "tls.md": {"proxy_tls_names": ["pi.example.org"]},
}
BLOCKS = [
    pytest.param(path.name, block, id=f"{path.stem}-{number}")
    for path in PAGES
    for number, block in enumerate(blocks(f"docs/{path.name}", "python"))
    if block.lstrip().startswith(('"', "(", "{"))
]


@pytest.mark.parametrize(("page", "block"), BLOCKS)
def test_a_block_of_settings_is_valid(page: str, block: str, make_settings: Callable[..., Settings]) -> None:
    values = ast.literal_eval("{" + block + "}")
    assert values
    make_settings(**ALSO_SET.get(page, {}) | values)


def test_blocks_are_found() -> None:
    assert len(BLOCKS) > 5
