"""Leave a backend out while it changes, and use it again."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from pathlib import Path

from pyinfra import host
from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from hearth.docker.compose_up import IN_FLIGHT
from hearth.paths import CONTAINERS
from hearth.rollout.facts import Drained
from hearth.rollout.gateway import try_and_take_back_script
from hearth.rollout.rollout import rollout_of
from hearth.rollout.rules import House, gateways_of, is_replaceable, name_and_url
from hearth.runtime.commands import report_failure, streamed_command
from hearth.runtime.explain import explain, is_preparing
from hearth.runtime.fact_snapshot import current_fact
from hearth.runtime.text import join_words
from hearth.settings.model import Settings

_QUIET = IN_FLIGHT + Path(__file__).with_name("quiet.sh").read_text()


def has_gateways() -> bool:
    """Whether gateways of the inventory use the current host's Ollama."""
    rollout = rollout_of(host.state)
    return rollout is not None and bool(gateways_of(host.name, rollout.house))


def drained_services() -> frozenset[str]:
    """Services whose replacement cuts what the current host streams to its gateways; none if it has no gateways."""
    rollout = rollout_of(host.state)
    if rollout is None or not has_gateways():
        return frozenset()
    # Over TLS, requests come through the backend's own httpd.
    is_behind_httpd = rollout.house[host.name].ollama_publish_tls
    return frozenset({"ollama", "httpd"} if is_behind_httpd else {"ollama"})


def replaceable_services() -> frozenset[str]:
    """Services of the current host whose replacement cuts nothing, since its gateways use another backend meanwhile."""
    rollout = rollout_of(host.state)
    return drained_services() if rollout and is_replaceable(host.name, rollout.house) else frozenset()


def leave_out(drain_timeout: int) -> Generator[FunctionCommand, None, None]:
    """Commands before the current host's Ollama is replaced: its gateways send no new requests, and those in flight
    finish.

    Args:
        drain_timeout: seconds to let in-flight responses finish.
    """
    yield FunctionCommand(_drain, (), {})
    # A backend's own httpd keeps idle connections to Ollama. It lists its requests, for which the deploy waits anyway.
    # There is none yet if this deploy sets ollama_publish_tls.
    unless = f"docker exec {CONTAINERS['httpd']} true 2>/dev/null || " if "httpd" in drained_services() else ""
    yield streamed_command(f"{_QUIET}\n{unless}wait_until_quiet {drain_timeout}")


def _drain(state: State, host: Host) -> bool:
    rollout = rollout_of(state)
    assert rollout is not None
    return rollout.drain(host) or report_failure(host, "not changed: a gateway could not leave out this backend")


def try_through_gateways(on_failure: str) -> Generator[FunctionCommand, None, None]:
    """Commands that test the current host's Ollama through its gateways; none if no gateway uses it.

    Args:
        on_failure: shell script that prints the reason and rolls back.
    """
    if has_gateways():
        yield FunctionCommand(_try, (streamed_command(on_failure),), {})


def _try(state: State, host: Host, on_failure: FunctionCommand) -> bool:
    rollout = rollout_of(state)
    assert rollout is not None
    if rollout.try_backend(host):
        return True
    on_failure.execute(state, host, {})
    return False


@operation()
def take_backends_back(settings: Settings, house: Mapping[str, Settings]) -> Generator[FunctionCommand, None, None]:
    """Use the backends again that were left out and not taken back, if they answer a test prompt: by an earlier deploy,
    or by this one, if this gateway had no current URL of the backend before its own turn.

    One that does not answer stays out, and the gateway goes on: the machine may be off.
    """
    names = current_fact(Drained)
    if not names:
        host.noop("all backends are in use")
        return
    if is_preparing():  # later, those are there, too, whose URL was unknown here before this turn
        explain(
            f"{join_words(names)} {'gets' if len(names) == 1 else 'get'} no requests from this gateway: an earlier "
            "deploy ended before it took the backend back; trying and using it again"
        )
    entries = _entries(settings, house)
    for name in names:
        url, models = entries.get(name, ("", ()))
        yield streamed_command(try_and_take_back_script(settings, name, url, models, must_answer=False))


def _entries(settings: Settings, house: House) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Name of a backend in httpd.conf → its URL and models."""
    hosts = {member.host for members in settings.ollama_pools.values() for member in members if member.host in house}
    found = {one: name_and_url(one, settings) for one in hosts}
    return {name: (url, house[one].trial_models) for one, (name, url) in found.items()}
