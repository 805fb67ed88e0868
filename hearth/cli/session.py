"""The opening and the close of every run that deploys: deploy.py and those in deploys/."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyinfra import host, state
from pyinfra.api import DeployError
from pyinfra.api.host import Host

from hearth.cli.summary import mark_ready
from hearth.host.login import Login
from hearth.paths import CHECKOUT
from hearth.runtime.keepalive import start_keepalive
from hearth.runtime.lock import acquire_deploy_lock
from hearth.settings.load import SettingsError, load_settings
from hearth.settings.model import Settings
from hearth.tls.deploy import read_tls_inputs
from hearth.tls.local_files import TlsInputs


@dataclass(frozen=True)
class Session:
    """What a run knows of the current host before it looks at it.

    Attributes:
        root: pyinfra arguments with which commands on the host run as root.
        tls_inputs: of runs that deploy; else empty.
    """

    settings: Settings
    root: Mapping[str, Any]
    tls_inputs: TlsInputs = field(default_factory=TlsInputs)


def open_session(choose_settings: Callable[[Settings], Settings] | None = None, *, needs_tls: bool = False) -> Session:
    """Load and check what this machine has, then take the host's deploy lock and watch the connection to it.

    Args:
        choose_settings: makes the settings of the run from the inventory's, as a restore does.
        needs_tls: read the certificates, too.

    Raises:
        DeployError: before anything on the host is changed.
    """
    check_directory()
    all_settings = load_all_settings(state.inventory)
    settings = all_settings[host.name]
    if choose_settings is not None:
        settings = choose_settings(settings)
    tls_inputs = read_tls_inputs(settings, all_settings.values()) if needs_tls else TlsInputs()
    start_keepalive()
    root = root_arguments()
    acquire_deploy_lock(root)
    return Session(settings, root, tls_inputs)


def close_session(session: Session, *, serves: bool = False) -> None:
    """The last line of a deploy file.

    Args:
        serves: the run ends with a stack that serves, and its end says what.
    """
    if serves:
        mark_ready(session.settings, session.root)
    else:
        mark_ready()


def check_directory() -> None:
    """Refuse another directory than the project's: pyinfra finds no settings in group_data/ there, and says nothing.

    Raises:
        DeployError: with the one to go to.
    """
    if Path.cwd() != CHECKOUT:
        raise DeployError(
            f"{host.name}: nothing was changed: pyinfra was started in {Path.cwd()}, and finds Hearth's settings only "
            f"in Hearth's own directory: `cd {CHECKOUT}` first"
        )


def load_all_settings(hosts: Iterable[Host]) -> dict[str, Settings]:
    """Settings of every host, by its name. All are checked before one host is asked anything.

    Raises:
        DeployError: one line for each setting of any host that is wrong.
    """
    settings: dict[str, Settings] = {}
    wrong: list[str] = []
    for one in hosts:
        try:
            settings[one.name] = load_settings(one.data.dict(), one.name)  # type: ignore[no-untyped-call]
        except SettingsError as error:
            wrong.append(str(error))
    if wrong:
        raise DeployError(
            "these settings can't be used, and nothing was changed:\n  " + "\n  ".join("\n".join(wrong).split("\n"))
        )
    return settings


def root_arguments() -> dict[str, Any]:
    """pyinfra arguments with which commands on the host run as root.

    Raises:
        DeployError: the user is not root and there is no sudo.
    """
    login = host.get_fact(Login)
    if login.user_id == 0:
        return {}
    if not login.has_sudo:
        raise DeployError(
            f"{host.name}: the user that logs in is not root and the host has no sudo, so nothing was changed; log in "
            'as root ("ssh_user": "root" in the inventory) or install sudo'
        )
    return {"_sudo": True}
