"""Announce the host's name on its network, or stop it."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host
from pyinfra.api import FunctionCommand, operation

from hearth.docker.apt import package_installation_script, package_removal_script
from hearth.mdns.facts import PACKAGE, LocalName
from hearth.paths import LOCAL_NAME_RECORD
from hearth.runtime.commands import streamed_command
from hearth.runtime.explain import explain
from hearth.runtime.fact_snapshot import current_fact
from hearth.runtime.journal import record_local_name

Commands = Generator[FunctionCommand, None, None]


@operation()
def announce_name(timeout: int) -> Commands:
    """Install Avahi if it is missing, and keep it running. Its configuration stays the distribution's, or the user's.

    Args:
        timeout: seconds to wait for other users of apt.
    """
    state = current_fact(LocalName)
    name = f"{state.name}.local"
    record_local_name(name)
    if state.installed and state.active and state.enabled:
        host.noop(f"{name} is announced")
        return
    if not state.installed:
        explain(f"{PACKAGE} is missing, which announces {name} on the network; installing it from the distribution")
    else:
        explain(f"{PACKAGE}, which announces {name} on the network, is off; starting it now and with the host")
    yield streamed_command(announce_script(not state.installed, timeout))


def announce_script(install: bool, timeout: int) -> str:
    """Shell script that installs Avahi if `install`, and starts it now and with the host."""
    lines = ["set -e"]
    if install:
        lines.append(package_installation_script(PACKAGE, LOCAL_NAME_RECORD, timeout))
    return "\n".join([*lines, f"systemctl enable --quiet --now {PACKAGE}", "echo 'The name is announced.'"])


@operation()
def stop_announcing(timeout: int) -> Commands:
    """Remove Avahi. Only for hosts on which Hearth installed it."""
    explain(f"host_local_name = False: removing {PACKAGE}, which Hearth installed")
    yield streamed_command("\n".join(["set -e", removal_script(timeout)]))


def removal_script(timeout: int) -> str:
    """Shell script that removes Avahi and the record that Hearth installed it."""
    return package_removal_script(PACKAGE, LOCAL_NAME_RECORD, timeout)
