"""Share a virtual address with other hosts, or stop it."""

from __future__ import annotations

from collections.abc import Generator, Mapping

from pyinfra import host
from pyinfra.api import FunctionCommand, operation

from hearth.docker.apt import package_installation_script, package_removal_script
from hearth.paths import (
    KEEPALIVED_RECORD,
    ROOT,
    VIRTUAL_ADDRESS_CHECK,
    VIRTUAL_ADDRESS_CONF,
    VIRTUAL_ADDRESS_SERVICE,
    VIRTUAL_ADDRESS_UNIT,
)
from hearth.runtime.commands import refused_command, streamed_command
from hearth.runtime.explain import explain
from hearth.runtime.fact_snapshot import current_fact
from hearth.runtime.shell import quote
from hearth.runtime.written_files import digest
from hearth.settings.virtual_address import VirtualRouter
from hearth.virtual_address.facts import VirtualAddress
from hearth.virtual_address.place import find_obstacles, find_place
from hearth.virtual_address.rules import PACKAGE, find_differences, render_files

Commands = Generator[FunctionCommand, None, None]
# The distribution's service runs only if this file exists, which is the user's.
_USERS_CONF = "/etc/keepalived/keepalived.conf"


@operation()
def share_address(router: VirtualRouter, timeout: int) -> Commands:
    """Make keepalived run, which takes the address when no other host has it and httpd responds here.

    Args:
        timeout: seconds to wait for other users of apt.
    """
    state = current_fact(VirtualAddress)
    place = find_place(state.addresses, router.own)
    if place is None:
        # Preflight found it, so it went away since.
        yield refused_command(" ".join(find_obstacles(router, state.addresses, state.exists)))
        return
    files = render_files(router, place)
    differences = find_differences(state, files)
    if not differences:
        host.noop(f"{router.address} is shared with {', '.join(router.peers)}")
        return
    explain(*differences)
    # Its own file says how it is started. A reload keeps the address where it is.
    restart = state.files.get(VIRTUAL_ADDRESS_UNIT) != digest(files[VIRTUAL_ADDRESS_UNIT])
    yield streamed_command(share_script(files, not state.installed, restart, timeout))


def share_script(files: Mapping[str, str], install: bool, restart: bool, timeout: int) -> str:
    """Shell script that installs keepalived if `install`, checks and writes the files, and loads them.

    Args:
        files: absolute path → content.
        restart: the service is restarted, rather than reloaded if it runs.
        timeout: seconds to wait for other users of apt.
    """
    lines = ["set -e", f"install -d -m 0755 {ROOT} {VIRTUAL_ADDRESS_CONF.rpartition('/')[0]}"]
    if install:
        lines.append(package_installation_script(PACKAGE, KEEPALIVED_RECORD, timeout))
    lines.append("umask 022")
    for path, text in files.items():
        lines += [f"printf %s {quote(text)} > {path}.new"]
    news = " ".join(f"{path}.new" for path in files)
    lines += [
        # Version 2.2.7 (Debian 12) ends itself in this test, unless it ignores the signal (keepalived#2587, #2617).
        f"if ! (trap '' TERM; keepalived --config-test --use-file={VIRTUAL_ADDRESS_CONF}.new); then",
        f"  rm -f {news}",
        "  echo 'keepalived rejects its configuration (see above); nothing was changed there.' >&2",
        "  exit 1",
        "fi",
        f"sync {news}",
        *(f"mv -f {path}.new {path}" for path in files),
        "systemctl daemon-reload",
        f"systemctl enable --quiet {VIRTUAL_ADDRESS_SERVICE}",
        f"systemctl {'restart' if restart else 'reload-or-restart'} {VIRTUAL_ADDRESS_SERVICE}",
        "echo 'This host shares the virtual address.'",
    ]
    return "\n".join(lines)


@operation()
def stop_sharing(timeout: int) -> Commands:
    """Remove the service, and keepalived if Hearth installed it. Another host takes the address over, if one has it."""
    explain('host_virtual_address = "": this host no longer shares one; removing what held it')
    yield streamed_command(removal_script(timeout))


def removal_script(timeout: int) -> str:
    """Shell script that removes whatever exists of the virtual address.

    Args:
        timeout: seconds to wait for other users of apt.
    """
    files = (VIRTUAL_ADDRESS_CHECK, VIRTUAL_ADDRESS_CONF)
    return "\n".join(
        [
            "set -e",
            # It gives up the address when it ends.
            f"systemctl disable --quiet --now {VIRTUAL_ADDRESS_SERVICE} 2>/dev/null || true",
            f"rm -f {VIRTUAL_ADDRESS_UNIT} {VIRTUAL_ADDRESS_UNIT}.new",
            "systemctl daemon-reload",
            f"rm -f {' '.join(f'{path} {path}.new' for path in files)}",
            f"rmdir {VIRTUAL_ADDRESS_CONF.rpartition('/')[0]} 2>/dev/null || true",
            "echo 'Removed the virtual address'",
            f"if [ -s {_USERS_CONF} ]; then rm -f {KEEPALIVED_RECORD}; fi",
            f"if [ -e {KEEPALIVED_RECORD} ]; then",
            package_removal_script(PACKAGE, KEEPALIVED_RECORD, timeout),
            "fi",
        ]
    )
