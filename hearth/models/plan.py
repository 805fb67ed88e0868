"""What is to be done about models: rules over what the settings list and what Ollama and the registry show."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hearth.models.names import name_key


@dataclass(frozen=True)
class Task:
    """One model and what is to be done with it.

    `pull`: it is not there; `update`: it is, with another content; `repair`: its pull was cut off, so look at it and
    pull it where it is not whole; `check`: the same, of one that nobody wants any more: it is not pulled.
    """

    model: str
    what: Literal["pull", "update", "repair", "check"]


def missing_models(wanted: Iterable[str], present: Iterable[str]) -> list[str]:
    """Those wanted that are not present, each once, in the order wanted."""
    keys = {name_key(name) for name in present}
    missing = []
    for model in wanted:
        if name_key(model) not in keys:
            missing.append(model)
            keys.add(name_key(model))
    return missing


def plan_pulls(
    wanted: Iterable[str], present: Iterable[str], interrupted: Iterable[str], changed: Iterable[str]
) -> list[Task]:
    """What is to be done so that all wanted models are there, whole and, of those that `changed`, new.

    Models whose pull was cut off come first: what they damaged may belong to others too.
    """
    wanted, changed = list(wanted), list(changed)
    cut_off = missing_models(sorted(interrupted), ())
    unwanted = missing_models(cut_off, wanted)
    repairs = missing_models(wanted, missing_models(wanted, cut_off))
    missing = missing_models(wanted, [*present, *repairs])
    updates = missing_models(changed, [*repairs, *missing])
    return [
        *(Task(model, "check") for model in unwanted),
        *(Task(model, "repair") for model in repairs),
        *(Task(model, "pull") for model in missing),
        *(Task(model, "update") for model in sorted(updates)),
    ]


def unlisted_models(wanted: Iterable[str], present: Iterable[str]) -> list[str]:
    """Those present that nobody wants, sorted."""
    keys = {name_key(model) for model in wanted}
    return sorted(name for name in present if name_key(name) not in keys)


def content_of(manifest: str) -> frozenset[str]:
    """Digests of the files that a manifest names. Ollama writes manifests anew, so only these can be compared.

    Raises:
        ValueError: it is no manifest of a model.
    """
    document: Any = json.loads(manifest)
    try:
        parts = [*document["layers"], *([document["config"]] if document.get("config") else [])]
        digests = frozenset(str(part["digest"]) for part in parts) - {""}
    except (AttributeError, KeyError, TypeError):
        raise ValueError("this is no manifest of a model") from None
    if not digests or not document["layers"]:
        raise ValueError("this is a manifest without files")
    return digests


def compare_manifests(local: Mapping[str, str], remote: Mapping[str, str]) -> tuple[frozenset[str], dict[str, str]]:
    """Which models have another content in the registry than on the host.

    Args:
        local: full name → text of the host's manifest.
        remote: wanted name → what asking the registry gave: `200`, a newline and the manifest; else a complaint.

    Returns:
        the names that differ; and of those where it can't be known, name → why. Models that the host does not have
        are in neither.
    """
    have = {name_key(name): text for name, text in local.items()}
    changed: set[str] = set()
    unknown: dict[str, str] = {}
    for model, answer in remote.items():
        if name_key(model) not in have:
            continue
        status, _, body = answer.partition("\n")
        if status != "200":
            unknown[model] = status or "no answer"
            continue
        try:
            offered = content_of(body)
        except ValueError as error:
            unknown[model] = f"its answer can't be read ({error})"
            continue
        try:
            if content_of(have[name_key(model)]) != offered:
                changed.add(model)
        except ValueError:
            changed.add(model)  # the host's own manifest is damaged
    return frozenset(changed), unknown
