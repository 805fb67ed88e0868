"""When a state of the stack is a new release, its id, and its test prompt."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from hearth.releases.release import (
    Release,
    TrialPrompt,
    content_digest,
    dump_release,
    needs_trial_prompt,
    new_release,
    parse_release,
    trial_prompt,
)
from hearth.settings.model import Settings

FILES = {"compose.yaml": "a", "httpd/httpd.conf": "b", "htdocs/index.html": "c"}
IMAGES = {"httpd:2.4.68": "sha256:1"}
RELEASE = Release("id", "2026-11-22T12:00:00+00:00", "abc", "anna@laptop", IMAGES, FILES, {"proxy_port": 85})


def test_release_record_round_trips() -> None:
    assert parse_release(dump_release(RELEASE)) == RELEASE


def test_record_of_a_later_version_is_accepted() -> None:
    document = json.loads(dump_release(RELEASE)) | {"weather": "fine"}
    assert parse_release(json.dumps(document)) == RELEASE


@pytest.mark.parametrize("text", ["", "{", "[]", '"id"'])
def test_damaged_release_record_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"Expecting|object"):
        parse_release(text)


def test_digest_covers_only_files_and_images() -> None:
    later = Release("other", "later", "def", "bert@laptop", dict(IMAGES), dict(reversed(FILES.items())), {})
    assert later.digest == RELEASE.digest
    assert content_digest(FILES | {"compose.yaml": "b"}, IMAGES) != RELEASE.digest
    assert content_digest(FILES, {"httpd:2.4.68": "sha256:2"}) != RELEASE.digest


def test_ids_sort_by_time_in_any_time_zone() -> None:
    early = new_release(datetime(2026, 11, 22, 12, 0, tzinfo=timezone(timedelta(hours=2))), "abc+changes", "a@b")
    late = new_release(datetime(2026, 11, 22, 10, 0, 1, tzinfo=UTC), "", "a@b")
    assert early.id == "20261122T100000Z-abc"
    assert early.commit == "abc+changes"
    assert late.id == "20261122T100001Z"
    assert early.id < late.id


def test_everything_but_a_new_page_needs_a_prompt() -> None:
    page = Release(images=IMAGES, files=FILES | {"htdocs/index.html": "new", "htdocs/more.js": "1"})
    assert not needs_trial_prompt(RELEASE, page)
    assert needs_trial_prompt(None, page)
    assert needs_trial_prompt(RELEASE, Release(images=IMAGES, files=FILES | {"compose.yaml": "new"}))
    assert needs_trial_prompt(RELEASE, Release(images={"httpd:2.4.68": "sha256:2"}, files=FILES))


def test_prompt_uses_an_existing_route(make_settings: Callable[..., Settings]) -> None:
    trial = trial_prompt(make_settings(ollama_models=["a:1b", "b"]))
    assert (trial.models, trial.path, json.loads(trial.body)["model"]) == (("a:1b", "b"), "/api/ollama", "a:1b")
    chat = [{"path": "/talk", "to": "/api/chat", "methods": ["POST"]}]
    trial = trial_prompt(make_settings(proxy_routes=chat))
    assert trial.path == "/talk"
    assert json.loads(trial.body)["messages"][0]["role"] == "user"


def test_prompt_prefers_a_preloaded_model(make_settings: Callable[..., Settings]) -> None:
    trial = trial_prompt(make_settings(ollama_models=["a:1b", "b"], ollama_preload=["b:latest"]))
    assert (trial.models, json.loads(trial.body)["model"]) == (("b:latest", "a:1b"), "b:latest")


def test_no_prompt_without_a_model_or_a_route(make_settings: Callable[..., Settings]) -> None:
    tags = [{"path": "/api/tags", "to": "/api/tags", "methods": ["GET"]}]
    assert trial_prompt(make_settings(ollama_models=[])) == TrialPrompt()
    # Embedding models are tested anyway, which needs no route.
    assert trial_prompt(make_settings(proxy_routes=tags, ollama_models=["a"])) == TrialPrompt(("a",))
