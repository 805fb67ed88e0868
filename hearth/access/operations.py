"""Passwords and keys on a host: only as hashes, readable by root and by httpd.

They take a way of their own. What pyinfra sends with sudo lies in /tmp for a moment, where everybody may read it, and
what its commands and facts say is shown with -v; here hashes come and go over the standard input and output of a
command, and are shown nowhere.
"""

from __future__ import annotations

import io
from collections.abc import Generator, Mapping
from typing import Any

from pydantic import SecretStr
from pyinfra import host, logger, state
from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from hearth.access.credential_files import FILES, PROGRAMS, about, renew
from hearth.access.credentials import Credentials
from hearth.paths import HTTPD_GROUP, HTTPD_SECRETS, RELOAD_PENDING, ROOT, SECRETS
from hearth.runtime.byte_stream import ChannelError, read_from, write_to
from hearth.runtime.commands import connection_arguments, refused_command
from hearth.runtime.explain import explain
from hearth.runtime.sections import parse_sections
from hearth.runtime.tar import pack_files

_INCOMING = f"{SECRETS}/.incoming"
_LONGEST = 1 << 20
# Mode, owner and group. On the host, the outer directory keeps out everybody but root, also programs of the group that
# httpd has; in httpd's container there is only the inner one.
_RIGHTS = {
    SECRETS: "700:0:0:directory",
    HTTPD_SECRETS: f"750:0:{HTTPD_GROUP}:directory",
    **{f"{HTTPD_SECRETS}/{name}": f"640:0:{HTTPD_GROUP}:regular file" for name in FILES},
}


@operation()
def install_credentials(callers: Credentials) -> Generator[FunctionCommand, None, None]:
    """Let httpd know users and API clients; a password or key that stays what it is changes nothing.

    Args:
        callers: everybody who may sign in. Whoever is not among them is forgotten.
    """
    try:
        present, has_rights = read_installed(connection_arguments())
    except (ChannelError, OSError) as error:
        yield refused_command(f"{SECRETS} can't be looked at: {error}")
        return
    wanted = renew(present, callers)
    if present == wanted and has_rights:
        host.noop("users and API clients are known")
        return
    explain(*about(present, wanted))
    if not has_rights and any(one.get_secret_value() for one in present.values()):
        explain(f"{SECRETS} has another owner or mode than it should; it is put anew")
    reload = present.get(PROGRAMS, SecretStr("")) != wanted[PROGRAMS]
    yield FunctionCommand(_put, (wanted, reload, connection_arguments()), {})


def read_installed(root: dict[str, Any]) -> tuple[dict[str, SecretStr], bool]:
    """What the host has: name of a file → content, and whether owners and modes are right.

    Args:
        root: pyinfra arguments with which commands run as root.

    Raises:
        ChannelError: the host could not be asked.
    """
    with read_from(state, host, read_installed_script(), root) as reader:
        sections = parse_sections(reader.read(_LONGEST).decode(errors="replace").splitlines())
    contents = {name: SecretStr("".join(f"{line}\n" for line in sections[name])) for name in FILES if name in sections}
    rights = dict(line.split(" ", 1) for line in sections.get("rights", []))
    right = {path: kind.replace("regular empty file", "regular file") for path, kind in rights.items()}
    return contents, right == _RIGHTS


def read_installed_script() -> str:
    """Shell script that prints the files with their owners and modes; nothing where there are none."""
    lines = ["echo @@rights", f"stat -c '%n %a:%u:%g:%F' {' '.join(_RIGHTS)} 2>/dev/null"]
    for name in FILES:
        path = f"{HTTPD_SECRETS}/{name}"
        lines.append(f"if [ -f {path} ]; then echo @@{name}; cat {path}; fi")
    return "\n".join([*lines, "true"])


def _put(state: State, host: Host, contents: Mapping[str, SecretStr], reload: bool, root: dict[str, Any]) -> bool:
    archive = pack_files({name: secret.get_secret_value().encode() for name, secret in contents.items()})
    try:
        write_to(state, host, put_script(reload), root, io.BytesIO(archive))
    except (ChannelError, OSError) as error:
        logger.error(f"{host.print_prefix}users and API clients were not written: {error}")
        return False
    return True


def put_script(reload: bool) -> str:
    """Shell script that unpacks its standard input, and lets each file take its place by a rename.

    Args:
        reload: httpd must read them.
    """
    arrived = " ".join(f"{_INCOMING}/{name}" for name in FILES)
    lines = [
        "set -e",
        "umask 077",
        f"install -d -m 0755 {ROOT}",
        f"install -d -o 0 -g 0 -m 0700 {SECRETS}",
        f"install -d -o 0 -g {HTTPD_GROUP} -m 0750 {HTTPD_SECRETS}",
        f"rm -rf {_INCOMING}",
        f"mkdir {_INCOMING}",
        f"tar -xmf - -C {_INCOMING} --no-same-owner --no-same-permissions",
        f"chown 0:{HTTPD_GROUP} {arrived}",
        f"chmod 0640 {arrived}",
        # On the disk before they take their places: a power cut could leave empty files there.
        f"sync {arrived}",
    ]
    if reload:
        # Before the change: a run that dies in between leaves the mark, and the next run reloads.
        lines.append(f"touch {RELOAD_PENDING}")
    lines += [f"mv -f {_INCOMING}/{name} {HTTPD_SECRETS}/{name}" for name in FILES]
    return "\n".join([*lines, f"rmdir {_INCOMING}"])
