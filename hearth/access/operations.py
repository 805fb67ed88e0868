"""Credentials on a host, readable by root and httpd: only as hashes, except for the keys of providers.

They bypass pyinfra's file transfer: with sudo, its files are in /tmp for a moment, readable by everybody, and it shows
the output of commands and facts with -v. Here, the files are only sent through a command's standard input and output,
and never shown.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from pydantic import SecretStr
from pyinfra import host, state
from pyinfra.api import FunctionCommand, operation

from hearth.access.credential_files import FILES, PROVIDERS_FILE, RELOADED_FILES, describe_changes, update_files
from hearth.access.credentials import Credentials
from hearth.paths import HTTPD_GROUP, HTTPD_SECRETS, RELOAD_PENDING, ROOT, SECRETS
from hearth.runtime.byte_stream import ChannelError, read_from
from hearth.runtime.commands import connection_arguments, refused_command, send_secrets
from hearth.runtime.explain import explain
from hearth.runtime.sections import parse_sections

_INCOMING = f"{SECRETS}/.incoming"
_MAX_SIZE = 1 << 20
# Mode, owner and group. On the host, only root may enter the outer directory, not even programs with httpd's group;
# httpd's container has only the inner one.
_RIGHTS = {
    SECRETS: "700:0:0:directory",
    HTTPD_SECRETS: f"750:0:{HTTPD_GROUP}:directory",
    **{f"{HTTPD_SECRETS}/{name}": f"640:0:{HTTPD_GROUP}:regular file" for name in FILES},
}

_PROVIDERS = f"{HTTPD_SECRETS}/{PROVIDERS_FILE}"


@operation()
def install_credentials(credentials: Credentials) -> Generator[FunctionCommand, None, None]:
    """Install the credentials for httpd; unchanged ones cause no change.

    Args:
        credentials: all of them; others on the host are removed.
    """
    try:
        present, has_rights = read_installed(connection_arguments())
    except (ChannelError, OSError) as error:
        yield refused_command(f"could not inspect {SECRETS}: {error}")
        return
    wanted = update_files(present, credentials)
    if present == wanted and has_rights:
        host.noop("credentials up to date")
        return
    explain(*describe_changes(present, wanted))
    if not has_rights and any(one.get_secret_value() for one in present.values()):
        explain(f"{SECRETS} has the wrong owner or mode; rewriting it")
    empty = SecretStr("")
    reload = any(present.get(name, empty) != wanted.get(name, empty) for name in RELOADED_FILES)
    script = receive_script(reload, tuple(wanted))
    yield FunctionCommand(send_secrets, (wanted, script, connection_arguments(), "the credentials"), {})


def read_installed(root: dict[str, Any]) -> tuple[dict[str, SecretStr], bool]:
    """The files on the host: name → content, and whether owners and modes are correct.

    Args:
        root: pyinfra arguments to run commands as root.

    Raises:
        ChannelError: the host could not be inspected.
    """
    with read_from(state, host, read_installed_script(), root) as reader:
        sections = parse_sections(reader.read(_MAX_SIZE).decode(errors="replace").splitlines())
    contents = {name: SecretStr("".join(f"{line}\n" for line in sections[name])) for name in FILES if name in sections}
    rights = dict(line.split(" ", 1) for line in sections.get("rights", []))
    found = {path: kind.replace("regular empty file", "regular file") for path, kind in rights.items()}
    expected = {path: right for path, right in _RIGHTS.items() if path != _PROVIDERS or _PROVIDERS in found}
    return contents, found == expected


def read_installed_script() -> str:
    """Shell script that prints the files with their owners and modes; nothing if there are none."""
    lines = ["echo @@rights", f"stat -c '%n %a:%u:%g:%F' {' '.join(_RIGHTS)} 2>/dev/null"]
    for name in FILES:
        path = f"{HTTPD_SECRETS}/{name}"
        lines.append(f"if [ -f {path} ]; then echo @@{name}; cat {path}; fi")
    return "\n".join([*lines, "true"])


def receive_script(reload: bool, names: Sequence[str] = FILES) -> str:
    """Shell script that unpacks its standard input, and moves each file into place by a rename.

    Args:
        reload: httpd must be reloaded.
        names: the files in the input.
    """
    arrived = " ".join(f"{_INCOMING}/{name}" for name in names)
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
        # Synced before the rename: otherwise, a power failure could leave empty files.
        f"sync {arrived}",
    ]
    if reload:
        # Before the change: if the run is interrupted, the mark stays, and the next run reloads.
        lines.append(f"touch {RELOAD_PENDING}")
    lines += [f"mv -f {_INCOMING}/{name} {HTTPD_SECRETS}/{name}" for name in names]
    return "\n".join([*lines, f"rmdir {_INCOMING}"])
