"""Configure apt, Docker and the containers for the host's HTTP proxy, or undo that."""

from __future__ import annotations

from collections.abc import Generator, Mapping

from pyinfra import host
from pyinfra.api import FunctionCommand, operation

from hearth.docker.apt import APT
from hearth.outbound.facts import Outbound, Trust
from hearth.outbound.files import DIRECTORIES, ENGINE_FILES, RIGHTS, Difference, find_difference, proxy_files
from hearth.outbound.messages import describe_difference
from hearth.outbound.trusted_ca import authority_files, is_trusted
from hearth.paths import (
    ENGINE_PENDING,
    OUTBOUND,
    OUTBOUND_HTTPD,
    OUTBOUND_OLLAMA,
    OUTBOUND_PENDING,
    OUTBOUND_UNIT,
    RELOAD_PENDING,
    ROOT,
    SECRETS,
    TRUSTED_CA,
    TRUSTED_CA_PENDING,
)
from hearth.runtime.commands import connection_arguments, send_secrets, streamed_command
from hearth.runtime.explain import explain
from hearth.runtime.fact_snapshot import current_fact
from hearth.runtime.shell import quote
from hearth.settings.http_proxy import HttpProxy
from hearth.settings.model import Settings

_INCOMING = f"{OUTBOUND}/.incoming"


@operation()
def configure_proxy(settings: Settings, proxy: HttpProxy | None) -> Generator[FunctionCommand, None, None]:
    """Write the files of the proxy and remove others; unchanged ones cause no change.

    A running engine is restarted by the operation that configures it, and Ollama is recreated by `compose_up`.

    Args:
        proxy: that of `host_http_proxy`.
    """
    state = current_fact(Outbound)
    wanted = proxy_files(settings, proxy)
    difference = find_difference(state, wanted)
    if not difference:
        host.noop("the proxy is configured")
        return
    explain(describe_difference(difference, state, proxy))
    if not wanted:
        yield streamed_command(removal_script())
        return
    contents = {_arrival(path): wanted[path] for path in difference.write}
    script = receive_script(difference)
    yield FunctionCommand(send_secrets, (contents, script, connection_arguments(), "the files of host_http_proxy"), {})


def _arrival(path: str) -> str:
    """A file's name in the archive."""
    return path.strip("/").replace("/", "_")


def receive_script(difference: Difference) -> str:
    """Shell script that unpacks its standard input, moves each file into place by a rename, and removes the others.

    The marks are set before the change: if the run is interrupted, the next one restarts what uses the files. It has a
    turn for that where there are gateways, unlike this script.
    """
    lines = ["set -e", "umask 077", f"install -d -m 0755 {ROOT}"]
    for path, rights in DIRECTORIES.items():
        mode, user, group = rights.split(":")
        lines.append(f"install -d -o {user} -g {group} -m 0{mode} {path}")
    lines += [
        f"rm -rf {_INCOMING}",
        f"mkdir {_INCOMING}",
        f"tar -xmf - -C {_INCOMING} --no-same-owner --no-same-permissions",
    ]
    lines += _marks(difference.changed)
    if OUTBOUND_OLLAMA in difference.changed:
        lines.append(f"touch {OUTBOUND_PENDING}")
    for path in difference.write:
        mode, user, group = RIGHTS[path].split(":")
        arrived, staged = f"{_INCOMING}/{_arrival(path)}", f"{path}.hearth-new"
        lines += [
            f"mkdir -m 0755 -p {path.rpartition('/')[0]}",
            # In the target's directory first: /etc may be another file system. apt and systemd ignore such a name.
            f"install -o {user} -g {group} -m 0{mode} {arrived} {staged}",
            f"sync {staged}",
            f"mv -f {staged} {path}",
        ]
    if difference.remove:
        lines.append(f"rm -f {quote(*difference.remove)}")
    lines.append(f"rm -rf {_INCOMING}")
    if OUTBOUND_UNIT in difference.changed:
        lines.append("systemctl daemon-reload")
    return "\n".join(lines)


@operation()
def trust_authorities(authorities: tuple[bytes, ...], timeout: int) -> Generator[FunctionCommand, None, None]:
    """Let the host trust exactly these CAs in addition to its own.

    A running engine is restarted by the operation that configures it, and containers are recreated by `compose_up`.

    Args:
        authorities: the certificates of `host_trusted_ca`, each as PEM.
        timeout: seconds to wait for other users of apt.
    """
    wanted = authority_files(authorities)
    if is_trusted(current_fact(Trust), wanted):
        host.noop("the CAs are trusted")
        return
    effect = "the Docker engine and the containers that use them restart"
    explain(
        f"host_trusted_ca: the host does not trust exactly the CAs in that file; installing them; {effect}"
        if wanted
        else f'host_trusted_ca = "": the host no longer trusts the CAs that Hearth installed; {effect}'
    )
    yield streamed_command(trust_script(wanted, timeout))


def trust_script(wanted: Mapping[str, bytes], timeout: int) -> str:
    """Shell script that replaces the CAs of Hearth's (path → PEM) among those of the host.

    The marks are set before the change: if the run is interrupted, the next one restarts what uses the CAs.
    """
    lines = ["set -e", f"install -d -m 0755 {ROOT}"]
    if wanted:
        lines += [
            "if ! command -v update-ca-certificates >/dev/null; then",
            f"apt_timeout={timeout}",
            *(APT, "apt_finish", "apt_update", "apt_install ca-certificates"),
            "fi",
            *(f"install -d -m 0700 {path}" for path in (SECRETS, OUTBOUND)),
            f"touch {TRUSTED_CA_PENDING}",
        ]
    lines += [f"if command -v dockerd >/dev/null; then touch {ENGINE_PENDING}; fi", f"rm -rf {TRUSTED_CA}"]
    if wanted:
        lines.append(f"install -d -m 0755 {TRUSTED_CA}")
        lines += [f"printf %s {quote(content.decode())} >{path}" for path, content in wanted.items()]
    lines += [
        # --fresh also removes the links to certificates that are gone.
        "! command -v update-ca-certificates >/dev/null || update-ca-certificates --fresh >/dev/null 2>&1",
        # Without CAs, the containers are replaced by ones without the mount.
        *([] if wanted else [f"rm -f {TRUSTED_CA_PENDING}"]),
        "echo 'Updated the CA certificates'",
    ]
    return "\n".join(lines)


def removal_script(uninstalls: bool = False) -> str:
    """Shell script that removes all files of the proxy.

    Containers that mount a directory of it keep running until the stack replaces them. The directories stay, empty:
    the previous release needs them to start again if the new one is rejected.

    Args:
        uninstalls: also remove the directories, and restart the engine at once; otherwise, it is marked for that.
    """
    lines = ["set -e", *([] if uninstalls else _marks(RIGHTS))]
    lines += [f"rm -f {quote(*RIGHTS, OUTBOUND_PENDING)}", "systemctl daemon-reload"]
    if uninstalls:
        lines += [
            f"rm -rf {OUTBOUND}",
            f"if [ -e {TRUSTED_CA} ]; then rm -rf {TRUSTED_CA}; update-ca-certificates --fresh >/dev/null 2>&1; fi",
            "systemctl try-restart docker.service",
        ]
    return "\n".join([*lines, "echo 'Removed the configuration of the HTTP proxy'"])


def _marks(changed: tuple[str, ...] | Mapping[str, str]) -> list[str]:
    """Shell commands that mark what has to be restarted or reloaded for the changed files."""
    lines = []
    if set(changed) & set(ENGINE_FILES):
        lines.append(f"if command -v dockerd >/dev/null; then touch {ENGINE_PENDING}; fi")
    if OUTBOUND_HTTPD in changed:
        lines.append(f"touch {RELOAD_PENDING}")
    return lines
