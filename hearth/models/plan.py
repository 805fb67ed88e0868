"""Which models to pull, verify or remove: rules on the settings and the state of Ollama and the registry."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hearth.settings.model_names import missing_models, name_key


@dataclass(frozen=True)
class Task:
    """One model and what to do with it.

    `pull`: it is missing; `update`: its content differs in the registry; `repair`: its pull was interrupted, so verify
    it and pull it if damaged; `check`: the same for a model that is no longer listed, which is not pulled.
    """

    model: str
    what: Literal["pull", "update", "repair", "check"]


def plan_pulls(
    wanted: Iterable[str], present: Iterable[str], interrupted: Iterable[str], changed: Iterable[str]
) -> list[Task]:
    """The tasks after which all wanted models are present, intact and, if `changed`, up to date.

    Interrupted pulls come first: files that they damaged may belong to other models, too.
    """
    wanted, changed = list(wanted), list(changed)
    unfinished = missing_models(sorted(interrupted), ())
    unwanted = missing_models(unfinished, wanted)
    repairs = missing_models(wanted, missing_models(wanted, unfinished))
    missing = missing_models(wanted, [*present, *repairs])
    updates = missing_models(changed, [*repairs, *missing])
    return [
        *(Task(model, "check") for model in unwanted),
        *(Task(model, "repair") for model in repairs),
        *(Task(model, "pull") for model in missing),
        *(Task(model, "update") for model in sorted(updates)),
    ]


def unlisted_models(wanted: Iterable[str], present: Iterable[str]) -> list[str]:
    """The present models that are not wanted, sorted."""
    keys = {name_key(model) for model in wanted}
    return sorted(name for name in present if name_key(name) not in keys)


def manifest_digests(manifest: str) -> frozenset[str]:
    """Digests of the files in a manifest. Ollama rewrites manifests, so only these can be compared.

    Raises:
        ValueError: it is not a model manifest.
    """
    document: Any = json.loads(manifest)
    try:
        parts = [*document["layers"], *([document["config"]] if document.get("config") else [])]
        digests = frozenset(str(part["digest"]) for part in parts) - {""}
    except (AttributeError, KeyError, TypeError):
        raise ValueError("not a model manifest") from None
    if not digests or not document["layers"]:
        raise ValueError("a manifest without files")
    return digests


def compare_manifests(local: Mapping[str, str], remote: Mapping[str, str]) -> tuple[frozenset[str], dict[str, str]]:
    """Which models differ between the registry and the host.

    Args:
        local: full name → text of the host's manifest.
        remote: wanted name → the registry's response: `200`, a newline and the manifest; else an error message.

    Returns:
        the names that differ; and those for which it is unknown, name → reason. Models that are missing on the host are
        in neither.
    """
    have = {name_key(name): text for name, text in local.items()}
    changed: set[str] = set()
    unknown: dict[str, str] = {}
    for model, response in remote.items():
        if name_key(model) not in have:
            continue
        status, _, body = response.partition("\n")
        if status != "200":
            unknown[model] = status or "no response"
            continue
        try:
            offered = manifest_digests(body)
        except ValueError as error:
            unknown[model] = f"invalid response ({error})"
            continue
        try:
            if manifest_digests(have[name_key(model)]) != offered:
                changed.add(model)
        except ValueError:
            changed.add(model)  # the host's own manifest is damaged
    return frozenset(changed), unknown
