"""docs/settings.md matches group_data/all.py and hearth/settings/model.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hearth.settings.model import Settings
from hearth.settings.reference_page import DEFAULTS_FILE, MARK, describe_values, markdown, read_entries


def test_the_page_is_up_to_date(project: Path) -> None:
    _, _, made = (project / "docs" / "settings.md").read_text().partition(MARK)
    assert made == markdown(), (
        "write the output of python -m hearth.settings.reference_page below the mark in docs/settings.md"
    )


def test_every_setting_is_on_it_with_its_default(defaults: dict[str, Any]) -> None:
    entries = read_entries(DEFAULTS_FILE.read_text())
    assert {entry.name for entry in entries} == set(Settings.model_fields) == set(defaults)
    assert len(entries) == len(defaults)
    assert {entry.name: eval(entry.default) for entry in entries} == defaults
    assert all(entry.comment and entry.section for entry in entries)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("proxy_port", "a whole number from 1 to 65535"),
        ("proxy_tls", '`"off"`, `"files"`, `"local-ca"` or `"acme"`'),
        ("ollama_prune_models", "`True` or `False`"),
        ("docker_images_gb", "a number above 0"),
        ("proxy_max_body", 'a size, such as `"256m"` or `"2g"`'),
        ("allowed_origins", 'a list; each: an origin, such as `"http://192.168.1.20:8080"`'),
        (
            "ollama_model_sizes_gb",
            'a table: a model as in Ollama\'s library, such as `"llama3.2:1b"` → a number above 0',
        ),
    ],
)
def test_limits_come_from_the_types(name: str, words: str) -> None:
    assert describe_values(name) == words


def test_every_setting_has_a_description() -> None:
    assert all(describe_values(name) not in ("text", "") for name in Settings.model_fields)


def test_examples_on_the_page_are_valid(make_settings: Any) -> None:
    """Users copy them."""
    make_settings(proxy_max_body="256m", ollama_memory_limit="3g", ollama_models_dir="/mnt/ssd/ollama")
    make_settings(allowed_origins=["http://192.168.1.20:8080"], proxy_host_names=["pi.fritz.box"])
    make_settings(
        firewall_allowed_networks=["192.168.1.0/24", "fd12::/16"], docker_registry_mirrors=["http://192.168.1.10:5000"]
    )
    make_settings(ollama_keep_alive="1h30m", ollama_load_timeout="90s", ollama_publish="127.0.0.1:11434")


def test_comments_are_read_completely_and_shared() -> None:
    text = '"""Doc."""\n\n# --- Part ----\n# First line\n# goes on.\na_b = 1\nc = [\n    2,\n]\n# Own.\nd = ""\n'
    entries = read_entries(text)
    assert [(one.section, one.name, one.default, one.comment) for one in entries] == [
        ("Part", "a_b", "1", "First line goes on."),
        ("Part", "c", "[\n    2,\n]", "First line goes on."),
        ("Part", "d", '""', "Own."),
    ]
