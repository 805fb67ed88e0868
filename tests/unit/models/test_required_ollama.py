"""Models that need a newer Ollama than the configured one."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from hearth.models.required_ollama import MINIMUM_RELEASES, needs_newer, released_version, version_obstacles
from hearth.models.sizes import COMMON, LIBRARY
from hearth.preflight.checks import find_obstacles
from hearth.preflight.facts import HostFactsState
from hearth.settings.model import Settings
from tests.support.shipped import PROJECT

Make = Callable[..., Settings]
OLD = "ollama/ollama:0.17.4"
HOST = HostFactsState(
    os_release={"ID": "debian", "VERSION_ID": "13", "VERSION_CODENAME": "trixie"},
    architecture="arm64",
    free_bytes={"/var/lib/docker": 500 * 10**9},
)


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("ollama/ollama:0.32.15", (0, 32, 15)),
        ("ollama/ollama:0.9.3", (0, 9, 3)),
        ("ollama/ollama:0.32.5-rocm", (0, 32, 5)),
        ("192.168.1.10:5000/ollama/ollama:0.17.4", (0, 17, 4)),
        ("docker.io/ollama/ollama:0.17.4", (0, 17, 4)),
        ("ollama/ollama:0.33.0-rc2", None),
        ("ollama/ollama:rocm", None),
        ("ollama/ollama:0.17", None),
        ("ollama/ollama@sha256:" + "a" * 64, None),
        ("ollama/ollama:0.17.4@sha256:" + "a" * 64, None),
        ("someone/ollama:0.17.4", None),
        ("someone/ollama/ollama-tuned:0.17.4", None),
    ],
)
def test_only_ollamas_release_images_have_a_known_version(image: str, version: tuple[int, ...] | None) -> None:
    assert released_version(image) == version


@pytest.mark.parametrize(
    ("model", "image", "least"),
    [
        ("gemma4", OLD, "0.20.0"),
        ("Gemma4:E2B", OLD, "0.20.0"),
        ("registry.ollama.ai/library/gemma4:e2b", OLD, "0.20.0"),
        ("gemma4:12b", OLD, "0.30.4"),
        ("gemma4:12b", "ollama/ollama:0.30.3", "0.30.4"),
        ("gemma4:12b", "ollama/ollama:0.30.4", ""),
        ("gemma4:e4b", "ollama/ollama:0.30.3", ""),
        ("qwen3.5:4b", OLD, ""),
        # Numbers, not letters: 0.9 is before 0.11.
        ("gpt-oss:20b", "ollama/ollama:0.9.6", "0.11.0"),
        ("gemma3n:e2b", "ollama/ollama:0.10.1", ""),
        # Names that only have the same prefix.
        ("gemma4-tuned:4b", OLD, ""),
        ("someone/gemma4:e4b", OLD, ""),
        ("hf.co/someone/gemma4:Q4_K_M", OLD, ""),
        ("llama3.2:1b", "ollama/ollama:0.1.0", ""),
        # Their content is unknown.
        ("gemma4", "ollama/ollama@sha256:" + "a" * 64, ""),
        ("gemma4", "someone/ollama:0.1.0", ""),
    ],
)
def test_minimum_release(model: str, image: str, least: str) -> None:
    assert needs_newer(model, image) == least


def test_refusal_names_the_required_release(make_settings: Make) -> None:
    settings = make_settings(ollama_models=["llama3.2:1b", "gemma4:e2b"], ollama_image=OLD)
    (obstacle,) = find_obstacles(settings, HOST)
    assert obstacle == (
        "ollama_models: gemma4:e2b needs Ollama 0.20.0 or later, and ollama_image = 'ollama/ollama:0.17.4' is older, "
        "so the library would refuse to serve it; set ollama_image to 0.20.0 or a later release, or choose another "
        "model"
    )


def test_present_models_and_private_registries_are_not_checked() -> None:
    assert len(version_obstacles(["gemma4"], [], "", OLD)) == 1
    assert version_obstacles(["gemma4"], ["gemma4:latest"], "", OLD) == []
    assert version_obstacles(["gemma4"], [], "http://192.168.1.10:5000", OLD) == []


def test_shipped_ollama_supports_all_known_models(settings: Settings) -> None:
    known = [*MINIMUM_RELEASES, *LIBRARY, *COMMON, *settings.ollama_models]
    assert [model for model in known if needs_newer(model, settings.ollama_image)] == []


def test_versions_page_has_the_same_table() -> None:
    page = (PROJECT / "docs/versions.md").read_text()
    rows = re.findall(r"^\| ([\w.:-]+) \| ([0-9.]+) \| ", page, re.MULTILINE)
    assert dict(rows) == MINIMUM_RELEASES
