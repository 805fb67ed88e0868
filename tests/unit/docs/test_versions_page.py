"""docs/versions.md covers the shipped defaults, and everything that Hearth relies on."""

from __future__ import annotations

import re

import pytest

from hearth.cli.summary_text import image_version
from hearth.settings.model import Settings
from tests.support.shipped import PROJECT

PAGE = (PROJECT / "docs/versions.md").read_text()


def test_page_covers_the_shipped_images(settings: Settings) -> None:
    assert f'`ollama_image = "{settings.ollama_image}"`' in PAGE
    assert f'`proxy_image = "{settings.proxy_image}"`' in PAGE
    assert f"Read in {image_version(settings.ollama_image)} |" in PAGE


def test_tested_platforms_name_the_shipped_images(settings: Settings) -> None:
    ollama, httpd = image_version(settings.ollama_image), image_version(settings.proxy_image)
    assert f"The defaults are Ollama {ollama} and httpd {httpd}." in (PROJECT / "docs/tested-platforms.md").read_text()


def test_every_variable_of_ollama_has_a_row() -> None:
    names = set(re.findall(r"^ +(OLLAMA_[A-Z_]+):", (PROJECT / "files/compose.yaml.j2").read_text(), re.MULTILINE))
    assert len(names) > 5
    assert [name for name in sorted(names) if f"`{name}" not in PAGE] == []


@pytest.mark.parametrize("name", ["httpd.conf.j2", "tls.conf.j2"])
def test_every_module_that_httpd_loads_is_listed(name: str) -> None:
    modules = set(re.findall(r"LoadModule (\w+)_module ", (PROJECT / "files/httpd" / name).read_text()))
    assert modules
    (row,) = [line for line in PAGE.splitlines() if line.startswith("| Modules as files")]
    assert modules - set(re.findall(r"\w+", row)) == set()
