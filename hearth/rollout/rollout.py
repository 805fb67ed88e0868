"""What a run knows of all its hosts, and what it does at the gateways of the one that it changes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from paramiko import SSHException
from pyinfra import logger
from pyinfra.api import StringCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

from hearth.rollout.gateway import (
    SHOW_MARKS,
    drain_script,
    drained_backends,
    take_back_script,
    try_and_take_back_script,
    try_script,
)
from hearth.rollout.rules import House, gateways_of, name_and_url
from hearth.runtime.fact_snapshot import forget_snapshot
from hearth.runtime.journal import journal_of, record_failure
from hearth.settings.model import Settings

# What pyinfra raises when it begins a command over a connection that has ended.
_NO_CONNECTION = (OSError, EOFError, SSHException)


@dataclass
class Rollout:
    """One run over hosts of which some are gateways of others.

    Attributes:
        house: the settings of every host of the inventory, by name.
        own_steps: host → how many of its operations come before its turn.
        turn_ends: host → how many of its operations come before all turns are over.
        touched: backends that this run has left out at a gateway.
        tried: backends that answered a test prompt through their gateways.
    """

    state: State
    house: House
    own_steps: dict[str, int] = field(default_factory=dict)
    turn_ends: dict[str, int] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    tried: set[str] = field(default_factory=set)

    def drain(self, backend: Host) -> bool:
        """Let the gateways send no new requests to a backend. False if one of them failed to.

        One that can't be reached any more is no reason to stop, as at the beginning of a run.
        """
        self.touched.add(backend.name)
        return all(
            self._run(backend, gateway, drain_script(self.house[gateway.name], *self._entry(backend, gateway)))
            is not False
            for gateway in self._gateways(backend)
        )

    def try_backend(self, backend: Host) -> bool:
        """Whether a backend answers a test prompt through each of its gateways that can be reached."""
        models = self.house[backend.name].trial_models
        for gateway in self._gateways(backend):
            script = try_script(self.house[gateway.name], *self._entry(backend, gateway), models)
            if self._run(backend, gateway, script) is False:
                return False
        self.tried.add(backend.name)
        return True

    def find_marked(self) -> set[str]:
        """The backends that gateways leave out now, because an earlier run did not take them back."""
        found = set()
        for gateway in filter(self._is_prepared, self.state.inventory):
            if not self.house[gateway.name].ollama_pools:
                continue
            try:
                _, output = gateway.run_shell_command(
                    StringCommand(SHOW_MARKS), **journal_of(self.state, gateway.name).arguments
                )
            except _NO_CONNECTION as error:
                logger.warning(f"{gateway.print_prefix}no connection any more: {error}")
                continue
            names = drained_backends(output.stdout_lines)
            found |= {
                name
                for name in self.house
                if gateway.name in gateways_of(name, self.house)
                and name_and_url(name, self.house[gateway.name])[0] in names
            }
        return found

    def try_marked(self, marked: Collection[str]) -> None:
        """Let the gateways use marked backends again that answer a test prompt. The others keep their marks."""
        for backend in self.state.inventory:
            if backend.name not in marked:
                continue
            models = self.house[backend.name].trial_models
            for gateway in self._gateways(backend):
                name, url = self._entry(backend, gateway)
                script = try_and_take_back_script(self.house[gateway.name], name, url, models, must_answer=False)
                self._run(backend, gateway, script)

    def take_back(self, backend: Host) -> bool:
        """Let the gateways use a backend again, if it answers a test prompt. False if one of them could not."""
        models = self.house[backend.name].trial_models
        journal, done = journal_of(self.state, backend.name), True
        # Why its turn failed, if it did, says more than what follows from that.
        reasons = list(journal.reasons)
        for gateway in self._gateways(backend):
            settings, (name, url) = self.house[gateway.name], self._entry(backend, gateway)
            if backend.name in self.tried:
                script = take_back_script(settings, name, url)
            else:
                script = try_and_take_back_script(settings, name, url, models, must_answer=True)
            if not (succeeded := self._run(backend, gateway, script)):
                message = f"{gateway.name} does not use {backend.name} again, see above"
                if succeeded is None:
                    message = (
                        f"no connection to {gateway.name} any more, which may not use {backend.name} again; deploy "
                        "again when it is back"
                    )
                logger.error(f"{backend.print_prefix}{message}")
                record_failure(backend, [message])
                done = False
        journal.reasons = reasons or journal.reasons
        return done

    def _gateways(self, backend: Host) -> Iterator[Host]:
        for name in gateways_of(backend.name, self.house):
            gateway = self.state.inventory.get_host(name)
            if gateway is not None and self._is_prepared(gateway):
                yield gateway

    def _is_prepared(self, gateway: Host) -> bool:
        """Whether this run is connected to it, and knows how to run commands as root there."""
        return gateway.connected and journal_of(self.state, gateway.name).prepared

    def _entry(self, backend: Host, gateway: Host) -> tuple[str, str]:
        return name_and_url(backend.name, self.house[gateway.name])

    def _run(self, backend: Host, gateway: Host, script: str) -> bool | None:
        """Run a script at a gateway: whether it succeeded; None without a connection to the gateway."""
        # It has marks that it did not have before, or the other way round.
        forget_snapshot(self.state, gateway.name)
        try:
            succeeded, _ = gateway.run_shell_command(
                StringCommand(script), print_output=True, **journal_of(self.state, gateway.name).arguments
            )
        except _NO_CONNECTION as error:
            logger.warning(
                f"{backend.print_prefix}no connection to its gateway {gateway.name} any more ({error}), so nothing "
                "changes there"
            )
            return None
        return succeeded


_rollouts: WeakKeyDictionary[State, Rollout] = WeakKeyDictionary()


def begin_rollout(state: State, house: Mapping[str, Settings]) -> Rollout | None:
    """The rollout of this run; None if no host of the inventory is another's backend."""
    if not any(settings.ollama_pools for settings in house.values()):
        return None
    return _rollouts.setdefault(state, Rollout(state, house))


def rollout_of(state: State) -> Rollout | None:
    """The rollout of a run that has begun one."""
    return _rollouts.get(state)
