"""How every run opens and closes: deploy.py and those in deploys/."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gevent.lock import BoundedSemaphore
from pyinfra import host, logger, state
from pyinfra.api import DeployError
from pyinfra.api.exceptions import ConnectError
from pyinfra.api.host import Host
from pyinfra.context import ctx_host

from hearth.cli.summary import mark_ready
from hearth.host.login import Login, Privileges
from hearth.models.local_files import LocalFile, ModelFileError, load_model_files, with_file_sizes
from hearth.paths import CHECKOUT
from hearth.rollout.rollout import begin_rollout
from hearth.rollout.rules import gateways_of
from hearth.runtime.journal import journal_of
from hearth.runtime.keepalive import start_keepalive
from hearth.runtime.lock import acquire_deploy_lock, is_dry_run
from hearth.runtime.ssh_address import network_address
from hearth.runtime.sudo import settle_sudo_password
from hearth.settings.house import HouseError, known_address, resolve_house
from hearth.settings.load import SettingsError, load_settings
from hearth.settings.model import Settings
from hearth.settings.virtual_address import VirtualRouter, virtual_router
from hearth.tls.deploy import read_tls_inputs
from hearth.tls.local_files import TlsInputs

# The deploy file runs for all hosts at the same time.
_reaching = BoundedSemaphore()


@dataclass(frozen=True)
class Session:
    """What a run knows about the current host before it inspects it.

    Attributes:
        root: pyinfra arguments with which commands on the host run as root.
        tls_inputs: empty except in runs that deploy.
        model_files: the GGUF files in the settings; likewise.
        house: the settings of every host of the inventory, by name.
        router: the host's part in a virtual address; None if it has none.
    """

    settings: Settings
    root: Mapping[str, Any]
    tls_inputs: TlsInputs = field(default_factory=TlsInputs)
    model_files: Mapping[str, LocalFile] = field(default_factory=dict)
    house: Mapping[str, Settings] = field(default_factory=dict)
    router: VirtualRouter | None = None


def open_session(
    choose_settings: Callable[[Settings], Settings] | None = None,
    *,
    needs_tls: bool = False,
    needs_model_files: bool = False,
    takes_turns: bool = False,
) -> Session:
    """Load and check the settings, start the keepalive, settle sudo's password, and take the host's deploy lock.

    Args:
        choose_settings: returns the run's settings, given the inventory's (a restore uses the backup's).
        needs_tls: also read the certificates.
        needs_model_files: also read the GGUF files of model variants; the settings then have their sizes.
        takes_turns: gateways leave out a backend while the run changes it.

    Raises:
        DeployError: before anything on the host is changed.
    """
    check_directory()
    all_settings = load_all_settings(state.inventory)
    settings = all_settings[host.name]
    if choose_settings is not None:
        settings = choose_settings(settings)
    tls_inputs = read_tls_inputs(settings, all_settings.values()) if needs_tls else TlsInputs()
    model_files: dict[str, LocalFile] = {}
    if needs_model_files:
        try:
            model_files = load_model_files(settings)
        except ModelFileError as error:
            raise DeployError(f"{host.name}: nothing was changed: {error}") from None
        settings = with_file_sizes(settings, model_files)
    start_keepalive()
    login = find_login()
    root = root_arguments(login)
    settle_sudo_password(root, login.sudo_is_free)
    acquire_deploy_lock(root)
    if takes_turns and begin_rollout(state, all_settings) and not is_dry_run():
        _reach_gateways(all_settings)
    router = virtual_router(host.name, all_settings)
    return Session(settings, root, tls_inputs, model_files, all_settings, router)


def _reach_gateways(house: Mapping[str, Settings]) -> None:
    """Connect to the gateways of the current host that this run does not deploy to (`--limit`), and lock them: they
    leave out this host while it changes.

    Raises:
        DeployError: another run holds the lock of a gateway, or commands can't run as root there.
    """
    backend = host.name
    with _reaching:
        for name in gateways_of(backend, house):
            gateway = state.inventory.get_host(name)
            if gateway is None or state.is_host_in_limit(gateway) or journal_of(state, name).prepared:
                continue
            try:
                gateway.connect(f"gateway of {backend}", show_errors=False, raise_exceptions=True)
            except ConnectError as error:
                logger.warning(
                    f"{host.print_prefix}could not connect to its gateway {name}: {error}. If it is on, it goes on "
                    "sending requests to this host, and those fail while Ollama is replaced"
                )
                continue
            with ctx_host.use(gateway):
                start_keepalive()
                login = find_login()
                root = root_arguments(login)
                settle_sudo_password(root, login.sudo_is_free)
                acquire_deploy_lock(root)
            journal = journal_of(state, name)
            journal.arguments, journal.prepared = root, True


def close_session(session: Session, *, serves: bool = False) -> None:
    """The last line of a deploy file.

    Args:
        serves: the run ends with a running stack, which the summary describes.
    """
    mark_ready(session.root, session.settings if serves else None)


def check_directory() -> None:
    """Refuse any directory but the project's: elsewhere pyinfra silently finds no group_data/.

    Raises:
        DeployError: names the right directory.
    """
    if Path.cwd() != CHECKOUT:
        raise DeployError(
            f"{host.name}: nothing was changed: pyinfra was started in {Path.cwd()}, but finds Hearth's settings only "
            f"in Hearth's own directory; run `cd {CHECKOUT}` first"
        )


def load_all_settings(hosts: Iterable[Host]) -> dict[str, Settings]:
    """Settings of every host, by its name. All are checked before any host is contacted.

    Raises:
        DeployError: one line for each invalid setting of any host.
    """
    settings: dict[str, Settings] = {}
    addresses: dict[str, str] = {}
    errors: list[str] = []
    for one in hosts:
        data = one.data.dict()  # type: ignore[no-untyped-call]
        try:
            settings[one.name] = load_settings(data, one.name)
        except SettingsError as error:
            errors.append(str(error))
        else:
            addresses[one.name] = known_address(network_address(one.name, data), settings[one.name])
    if not errors:
        try:
            return resolve_house(settings, addresses)
        except HouseError as error:
            errors.append(str(error))
    raise DeployError("invalid settings, nothing was changed:\n  " + "\n  ".join("\n".join(errors).split("\n")))


def find_login() -> Privileges:
    """The login user on the current host.

    Raises:
        DeployError: its login shell does not run commands.
    """
    login = host.get_fact(Login, _ignore_errors=True)
    if login.user_id < 0:
        raise DeployError(
            f"{host.name}: its login shell did not run Hearth's first command, nothing was changed. `ssh {host.name} "
            "echo works` must print `works`: the shell's start-up files (such as ~/.bashrc) must not exit or start "
            "another program, and the user's shell in /etc/passwd must not be nologin"
        )
    return login


def root_arguments(login: Privileges) -> dict[str, Any]:
    """pyinfra arguments with which commands on the host run as root.

    Raises:
        DeployError: the user is not root and there is no sudo.
    """
    if login.user_id == 0:
        return {}
    if not login.has_sudo:
        raise DeployError(
            f"{host.name}: the login user is not root and the host has no sudo; nothing was changed; log in "
            'as root ("ssh_user": "root" in the inventory) or install sudo'
        )
    return {"_sudo": True}
