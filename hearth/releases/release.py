"""Releases: their content, and when a state is a new one. Pure rules."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from hearth.runtime.checkout import CHANGED
from hearth.settings.model import Settings
from hearth.settings.renamed import with_current_names


@dataclass(frozen=True)
class Release:
    """One accepted state of the stack on a host.

    Attributes:
        id: sorts by time: `20261122T035004Z-7d0fd9a`.
        created: when it was accepted, UTC, ISO 8601.
        commit: short commit of the deploy, with `+changes` if its files were edited; "" if unknown.
        by: `user@machine` that deployed.
        images: reference → id (`sha256:…`).
        files: path relative to `/opt/hearth` → SHA-256, hex.
        settings: every setting, as primitives, without secrets.
    """

    id: str = ""
    created: str = ""
    commit: str = ""
    by: str = ""
    images: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Digest of the content, without time, user and commit: releases with equal digests are the same."""
        return content_digest(self.files, self.images)


def content_digest(files: Mapping[str, str], images: Mapping[str, str]) -> str:
    """SHA-256 (hex) over files and images, in any order."""
    text = json.dumps({"files": dict(files), "images": dict(images)}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def dump_release(release: Release) -> str:
    """`release.json`, formatted for reading."""
    return json.dumps(asdict(release), indent=2) + "\n"


def parse_release(text: str) -> Release:
    """A release from its `release.json`; unknown keys are ignored, former names of settings are translated.

    Raises:
        ValueError: it is not a JSON object.
    """
    document = json.loads(text)
    if not isinstance(document, dict):
        raise ValueError("release.json is not a JSON object")
    known = {name: document[name] for name in Release.__dataclass_fields__ if name in document}
    if isinstance(settings := known.get("settings"), dict):
        known["settings"] = with_current_names(settings)
    return Release(**known)


def new_release(now: datetime, commit: str, by: str) -> Release:
    """A release created now; its content is added on the host.

    Args:
        now: with a time zone.
    """
    utc = now.astimezone(UTC)
    suffix = f"-{commit.removesuffix(CHANGED)}" if commit else ""
    return Release(id=f"{utc:%Y%m%dT%H%M%SZ}{suffix}", created=utc.isoformat(timespec="seconds"), commit=commit, by=by)


def needs_trial_prompt(before: Release | None, now: Release) -> bool:
    """Whether acceptance needs a test prompt: not if only the page has changed.

    A prompt loads a model, which takes a minute on a small host.
    """
    if before is None or before.images != now.images:
        return True
    paths = before.files.keys() | now.files.keys()
    return any(before.files.get(path) != now.files.get(path) for path in paths if not path.startswith("htdocs/"))


@dataclass(frozen=True)
class TrialPrompt:
    """How to test a release with a model, which is chosen on the host by its capabilities.

    Attributes:
        models: the configured ones, as named by Ollama, in order.
        path: of a route for prompts, "" if there is none. "ollama:/api/generate" for the host's own Ollama, where a
            route may lead to another backend, or there is no proxy.
        body: JSON of a prompt for that route, to the first model; "" without either.
    """

    models: tuple[str, ...] = ()
    path: str = ""
    body: str = ""


def trial_prompt(settings: Settings) -> TrialPrompt:
    """The test prompt for these settings."""
    models = settings.trial_models
    if not models:
        return TrialPrompt()
    # Enough tokens for a word after the start of a thinking model.
    prompt: dict[str, Any] = {"model": models[0], "options": {"num_predict": 16}, "stream": True}
    if settings.ollama_pools or not settings.serves_page:
        return TrialPrompt(models, "ollama:/api/generate", json.dumps(prompt | {"prompt": "Say hello."}))
    for route in settings.routes:
        if "POST" in route.methods and route.to == "/api/generate":
            return TrialPrompt(models, route.path, json.dumps(prompt | {"prompt": "Say hello."}))
        if "POST" in route.methods and route.to == "/api/chat":
            messages = [{"role": "user", "content": "Say hello."}]
            return TrialPrompt(models, route.path, json.dumps(prompt | {"messages": messages}))
    return TrialPrompt(models)
