"""Output of scripts in sections, and what is parsed from it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hearth.runtime.sections import parse_assignments, parse_sections
from hearth.settings.model_names import full_name, name_from_manifest
from hearth.stack.image_facts import ImagesState

lines = st.lists(st.text(alphabet="ab @=", max_size=5).filter(lambda line: not line.startswith("@@")), max_size=3)


@given(st.dictionaries(st.sampled_from(["one", "two", "three"]), lines), lines)
def test_sections_round_trip(sections: dict[str, list[str]], before: list[str]) -> None:
    printed = before + [line for name, content in sections.items() for line in (f"@@{name}", *content)]
    assert parse_sections(printed) == sections


def test_empty_section_is_kept() -> None:
    assert parse_sections(["@@a", "@@b", "x"]) == {"a": [], "b": ["x"]}


def test_assignments_lose_their_quotes() -> None:
    assert parse_assignments(['NAME="Debian GNU/Linux"', "ID=debian", "X='a=b'", "", "# no assignment"]) == {
        "NAME": "Debian GNU/Linux",
        "ID": "debian",
        "X": "a=b",
    }


def test_images_that_are_missing_or_moved() -> None:
    state = ImagesState(
        present={"there:1": "sha256:1", "moved:1": "sha256:other", "unrecorded:1": "sha256:3"},
        pulled={"there:1": "sha256:1", "moved:1": "sha256:2", "gone:1": "sha256:4"},
    )
    references = ("there:1", "moved:1", "unrecorded:1", "gone:1", "never:1")
    assert state.missing(references) == ["moved:1", "gone:1", "never:1"]
    assert state.unrecorded(references) == {"unrecorded:1": "sha256:3"}


def test_images_of_an_interrupted_pull_are_pulled_again_not_just_recorded() -> None:
    state = ImagesState({"a:1": "sha256:1", "b:1": "sha256:2"}, {"a:1": "sha256:1"}, frozenset({"a:1", "b:1", "c:1"}))
    assert state.missing(("a:1", "b:1", "c:1")) == ["a:1", "b:1", "c:1"]
    assert state.unrecorded(("a:1", "b:1", "c:1")) == {}


def test_full_names_of_models() -> None:
    assert full_name("tinyllama") == "tinyllama:latest"
    assert full_name("llama3.2:1b") == "llama3.2:1b"
    assert full_name("someone/model") == "someone/model:latest"
    assert full_name("10.0.0.1:5000/library/model") == "10.0.0.1:5000/library/model:latest"


def test_names_from_manifests() -> None:
    assert name_from_manifest("registry.ollama.ai/library/llama3.2/1b") == "llama3.2:1b"
    assert name_from_manifest("registry.ollama.ai/someone/model/latest") == "someone/model:latest"


def test_a_model_of_the_library_has_one_name() -> None:
    """Otherwise every run would pull it again: `ollama list` never shows it by the longer name."""
    assert full_name("library/tinyllama") == "tinyllama:latest"
