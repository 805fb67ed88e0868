"""The Docker engine: its packages, its configuration, its service."""

from __future__ import annotations

import json
from collections.abc import Generator

from pyinfra import host
from pyinfra.api import FunctionCommand, StringCommand, operation

from hearth.docker.apt import APT
from hearth.docker.daemon_json import dump_config, merge_config, parse_config, wanted_config
from hearth.docker.facts import Engine
from hearth.docker.messages import describe_daemon_config, describe_packages, describe_service
from hearth.docker.packages import DockerSource
from hearth.paths import DAEMON_JSON, DAEMON_RECORD, ENGINE_PENDING, ROOT
from hearth.runtime.commands import refused_command, streamed_command, upload_command
from hearth.runtime.explain import explain
from hearth.runtime.fact_snapshot import current_fact
from hearth.runtime.journal import record_versions
from hearth.runtime.shell import quote
from hearth.settings.model import Settings

Commands = Generator[StringCommand | FunctionCommand, None, None]

_KEYRING = "/etc/apt/keyrings/docker.asc"
_SOURCES = "/etc/apt/sources.list.d/docker.sources"
# Without live-restore, other containers would stop with the engine. It can be enabled without a restart, and then the
# engine can be restarted for the other changes.
_RELOAD = (
    "systemctl reload docker.service && for _ in 1 2 3 4 5 6 7 8 9 10; do "
    "[ \"$(docker info --format '{{.LiveRestoreEnabled}}' 2>/dev/null)\" = true ] && break; sleep 0.5; done || true"
)


@operation()
def install_engine(source: DockerSource, codename: str, keep_existing: bool, timeout: int) -> Commands:
    """Install the Docker engine and its Compose plugin with apt, after finishing an interrupted installation.

    Args:
        source: packages, and their repository.
        codename: the release's apt name, for Docker's own repository.
        keep_existing: keep a Docker with Compose plugin from another source.
        timeout: seconds to wait for other users of apt.
    """
    state = current_fact(Engine, packages=source.packages)
    complete = set(source.packages) <= state.packages
    if complete or (keep_existing and state.has_engine and state.has_compose and not state.half_installed):
        host.noop("Docker and its Compose plugin are installed")
        return
    explain(describe_packages([name for name in source.packages if name not in state.packages], source.repository))
    yield streamed_command(install_script(source, codename, timeout))


def install_script(source: DockerSource, codename: str, timeout: int) -> str:
    """Shell script that installs the packages, after adding Docker's repository if needed."""
    lines = ["set -e", f"apt_timeout={timeout}", APT, "apt_finish"]
    if source.repository:
        deb822 = (
            f"Types: deb\nURIs: {source.repository}\nSuites: {codename}\nComponents: stable\nSigned-By: {_KEYRING}\n"
        )
        lines += [
            "apt_update",
            "apt_install ca-certificates",
            "install -d -m 0755 /etc/apt/keyrings",
            # apt's own downloader: a fresh host has neither curl nor wget.
            f"/usr/lib/apt/apt-helper download-file {quote(source.repository + '/gpg')} {_KEYRING}.new",
            f"mv {_KEYRING}.new {_KEYRING}",
            f"printf %s {quote(deb822)} > {_SOURCES}",
            f"sync {_KEYRING} {_SOURCES}",
        ]
    lines += [
        "apt_update",
        f"apt_install {quote(*source.packages)}",
        "systemctl enable --now docker.service",
        # The engine was configured while its package was half installed.
        f"if [ -e {ENGINE_PENDING} ]; then systemctl restart docker.service; rm -f {ENGINE_PENDING}; fi",
    ]
    return "\n".join(lines)


@operation()
def configure_engine(settings: Settings, source: DockerSource) -> Commands:
    """Merge the engine's configuration into daemon.json, apply it, and enable the engine at boot.

    The user's values in daemon.json stay. The engine is restarted only if its configuration changed. If it is not
    installed yet, it starts with this configuration later.
    """
    state = current_fact(Engine, packages=source.packages)
    record_versions(docker=state.version)
    try:
        current = parse_config(state.config, DAEMON_JSON)
        recorded = parse_config(state.record, DAEMON_RECORD)
    except ValueError as error:
        yield refused_command(str(error))
        return
    merged, ours = merge_config(current, recorded, wanted_config(settings, current))
    do_write = merged != current
    do_record = ours != recorded
    # A half installed engine is started by the operation that installs it.
    usable = state.has_engine and not state.half_installed
    do_restart = usable and (do_write or state.pending)
    explain(*describe_daemon_config(current, merged, do_restart))
    if usable and not do_restart:
        explain(*describe_service(state.active, state.enabled))
    if do_write or do_record:
        yield from _write(dump_config(merged) if do_write else "", json.dumps(ours) + "\n", state.has_engine)
    if do_restart and state.active and merged.get("live-restore") is True:
        yield StringCommand(_RELOAD)
    if do_restart:
        # The mark is removed last: after an interruption, the next run restarts the engine.
        # systemd refuses more than three starts in a minute, such as a deploy soon after an uninstall needs.
        forget = "systemctl reset-failed docker.service 2>/dev/null"
        yield StringCommand(f"{forget}; systemctl restart docker.service && rm -f {ENGINE_PENDING}")
    if usable and (not state.enabled or (not state.active and not do_restart)):
        yield StringCommand("systemctl enable --now docker.service")


def _write(config: str, record: str, mark: bool) -> Commands:
    """Write both files, each atomically; the mark for the restart comes before the change.

    Each is synced before the rename: a power failure could otherwise leave an empty file, and with an empty record all
    of Hearth's values would count as the user's.
    """
    yield StringCommand(f"install -d -m 0755 {ROOT} {DAEMON_JSON.rpartition('/')[0]}")
    yield upload_command(record.encode(), f"{DAEMON_RECORD}.new")
    if config:
        yield upload_command(config.encode(), f"{DAEMON_JSON}.new")
        yield StringCommand(
            f"chmod 0644 {DAEMON_JSON}.new && sync {DAEMON_RECORD}.new {DAEMON_JSON}.new && "
            f"{f'touch {ENGINE_PENDING} && ' if mark else ''}"
            f"mv {DAEMON_RECORD}.new {DAEMON_RECORD} && mv {DAEMON_JSON}.new {DAEMON_JSON}"
        )
    else:
        yield StringCommand(f"sync {DAEMON_RECORD}.new && mv {DAEMON_RECORD}.new {DAEMON_RECORD}")
