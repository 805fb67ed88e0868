"""Backends that Hearth does not manage: whether they are on, and have their pool's models."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from typing_extensions import override

from hearth.runtime.sections import parse_sections
from hearth.runtime.shell import quote
from hearth.runtime.state_fact import StateFact
from hearth.runtime.text import join_words
from hearth.settings.model import Settings
from hearth.settings.model_names import name_key

# URL → names of its models; None if it does not respond.
Backends = Mapping[str, frozenset[str] | None]

_ASK = (
    'exec 3<>"/dev/tcp/$0/$1" && printf "GET /api/tags HTTP/1.0\\r\\nHost: %s:%s\\r\\n\\r\\n" "$0" "$1" >&3 && '
    "sed '1,/^\\r*$/d' <&3"
)
_ASK_WITH_TIMEOUT = f"timeout 3 bash -c {quote(_ASK)}"


class BackendModels(StateFact[dict[str, frozenset[str] | None]]):
    """The models of Ollamas elsewhere, as this host sees them; three seconds for each."""

    @override
    def command(self, urls: tuple[str, ...]) -> str:
        lines = []
        for url in urls:
            address, _, port = url.removeprefix("http://").rpartition(":")
            lines.append(f"echo @@{url}; {_ASK_WITH_TIMEOUT} {quote(address, port)} 2>/dev/null; echo")
        return "\n".join([*lines, "true"])

    @override
    def process(self, output: Iterable[str]) -> dict[str, frozenset[str] | None]:
        return {url: _models("".join(lines)) for url, lines in parse_sections(output).items() if url}


def _models(text: str) -> frozenset[str] | None:
    try:
        return frozenset(str(one["name"]) for one in json.loads(text)["models"])
    except (ValueError, KeyError, TypeError):
        return None


def external_backends(settings: Settings, hosts: Iterable[str]) -> tuple[str, ...]:
    """URLs of backends that are not hosts of the inventory."""
    managed = set(hosts)
    members = (one for pool in settings.ollama_pools.values() for one in pool if one.host not in managed)
    return tuple(dict.fromkeys(member.url for member in members))


def backend_obstacles(settings: Settings, house: Mapping[str, Settings], found: Backends) -> list[str]:
    """A sentence for each backend that lacks a model of its pool."""
    obstacles = []
    for pool, members in settings.ollama_pools.items():
        managed = [house[one.host].offered_models for one in members if one.host in house]
        wanted = {name_key(model): model for models in managed for model in models}
        # What only some hosts of the inventory have was judged with the settings of all of them.
        wanted = {key: model for key, model in wanted.items() if all(key in map(name_key, one) for one in managed)}
        for member in members:
            if member.host in house or (models := found.get(member.url)) is None:
                continue
            if missing := sorted(wanted.keys() - set(map(name_key, models))):
                names = [wanted[key] for key in missing]
                obstacles.append(
                    f'ollama_pools["{pool}"]: {member.url} lacks {join_words(names)}, which the other backends of the '
                    f"pool have; run `ollama pull {names[0]}` there, or list it in a pool of its own"
                )
    return obstacles


def backend_warnings(found: Backends) -> list[str]:
    """A sentence for each backend that does not respond. It may be off on purpose."""
    return [
        f"ollama_pools: {url} does not respond, so its models were not checked. If it is on: an Ollama listens on its "
        "own machine only, unless OLLAMA_HOST=0.0.0.0 is set there (docs/scaling.md)"
        for url, models in found.items()
        if models is None
    ]
