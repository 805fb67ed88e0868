"""Remove what Hearth installed on a host, and nothing else.

Each operation inspects the host again, so the next run completes an interrupted one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from pyinfra import host
from pyinfra.api import FunctionCommand, StringCommand, operation
from pyinfra.api.exceptions import FactPreconditionError

from hearth.boot.operations import remove_script
from hearth.docker.daemon_json import dump_config, parse_config
from hearth.docker.facts import EngineUnreachable
from hearth.firewall.operations import removal_script
from hearth.footprint.facts import Footprint, FootprintState
from hearth.gpu.operations import toolkit_removal_script
from hearth.mdns.operations import removal_script as remove_local_name
from hearth.metrics.operations import removal_script as metrics_removal_script
from hearth.outbound.operations import removal_script as proxy_removal_script
from hearth.paths import (
    BUNDLE_PACKAGES,
    COMPOSE_HASHES,
    DAEMON_JSON,
    DAEMON_RECORD,
    ENGINE_INFO,
    ENGINE_PENDING,
    MODELS_VOLUME,
    ROOT,
)
from hearth.runtime.commands import refused_command, streamed_command
from hearth.runtime.shell import quote
from hearth.uninstall.plan import STORE_ENTRIES, Removal, plan_removal
from hearth.virtual_address.operations import removal_script as remove_virtual_address

Commands = Generator[StringCommand | FunctionCommand, None, None]
# Seconds to wait for other users of apt.
_APT_TIMEOUT = 600


def read_footprint(
    files: frozenset[str], models_dir: str, delete_models: bool, **root: Any
) -> tuple[FootprintState, Removal]:
    """The host's state, and what an uninstall removes.

    Args:
        files: paths below `/opt/hearth` that this version of Hearth writes.
        root: pyinfra arguments with which commands run as root, outside an operation.

    Raises:
        ValueError: unknown: the engine does not respond, or `daemon.json` is not JSON.
    """
    try:
        state = host.get_fact(Footprint, models_dir=models_dir, **root)
        if not state.known:  # while preparing, pyinfra treats the error below as "not yet"
            raise EngineUnreachable(Footprint, "it did not list its containers")
    except FactPreconditionError as error:
        raise ValueError(f"{error}; start it, then uninstall again: without it, its containers are unknown") from None
    return state, plan_removal(state, files, models_dir, delete_models)


def _remove(
    script: Callable[[FootprintState, Removal], str],
    nothing: str,
    files: frozenset[str],
    models_dir: str,
    delete_models: bool = False,
    command: Callable[[str], StringCommand | FunctionCommand] = streamed_command,
) -> Commands:
    """Run the script for the host's current state; if it is "", report `nothing`."""
    try:
        state, removal = read_footprint(files, models_dir, delete_models)
    except ValueError as error:
        yield refused_command(str(error))
        return
    if text := script(state, removal):
        yield command(text)
    else:
        host.noop(nothing)


@operation()
def remove_stack(files: frozenset[str], models_dir: str, delete_models: bool) -> Commands:
    """Remove Hearth's containers, networks, firewall, metrics and pulled images, and the models if requested."""
    yield from _remove(
        lambda _, removal: stack_script(removal), "the stack is not installed", files, models_dir, delete_models
    )


def stack_script(removal: Removal) -> str:
    """Shell script that removes the stack; "" if there is nothing to do."""
    lines = []
    if removal.virtual_address:
        # Before httpd stops: another host takes the address over at once.
        lines.append(remove_virtual_address(_APT_TIMEOUT))
    if ids := [identity for identity, _ in removal.containers]:
        # Stopped first, so in-flight responses may finish. Anonymous volumes are removed with their containers, others
        # stay.
        lines += [f"docker stop {quote(*ids)} >/dev/null", f"docker rm --force --volumes {quote(*ids)} >/dev/null"]
        lines += [f"echo {quote(f'Removed the container {name}')}" for _, name in removal.containers]
    for name in removal.networks:
        lines += [f"docker network rm {name} >/dev/null", f"echo 'Removed the network {name}'"]
    if removal.firewall:
        lines.append(removal_script())
    if removal.metrics:
        lines.append(metrics_removal_script())
    if removal.local_name:
        lines.append(remove_local_name(_APT_TIMEOUT))
    if removal.gpu_toolkit:
        lines.append(toolkit_removal_script(_APT_TIMEOUT))
    # Without force: the engine refuses to remove an image in use.
    for one in removal.images:
        lines += [f"docker rmi {quote(one)} >/dev/null", f"echo {quote(f'Removed the image {one}')}"]
    if removal.volume:
        lines += [f"docker volume rm {MODELS_VOLUME} >/dev/null", f"echo 'Removed the volume {MODELS_VOLUME}'"]
    if removal.store:
        names = quote(*(f"{removal.store}/{entry}" for entry in STORE_ENTRIES))
        lines += [f"rm -rf {names}", f"rmdir {quote(f'{removal.store}/models')} 2>/dev/null || true"]
    return "\n".join(["set -e", *lines]) if lines else ""


@operation()
def remove_proxy(files: frozenset[str], models_dir: str) -> Commands:
    """Remove the configuration of the HTTP proxy, and restart the engine without it."""
    yield from _remove(
        lambda _, removal: proxy_removal_script(uninstalls=True) if removal.outbound else "",
        "there is no configuration of an HTTP proxy",
        files,
        models_dir,
    )


@operation()
def restore_engine_config(files: frozenset[str], models_dir: str) -> Commands:
    """Remove Hearth's part of daemon.json. The engine is restarted only if its configuration changed."""
    yield from _remove(
        lambda state, removal: "" if removal.config is None else release_script(state, removal.config),
        f"{DAEMON_JSON} has no part of Hearth",
        files,
        models_dir,
    )


def release_script(state: FootprintState, final: dict[str, Any]) -> str:
    """Shell script that installs `final` as the engine's configuration.

    If Hearth had enabled live-restore, it stays enabled during this last restart, so that other containers keep
    running: that key is removed after the restart.
    """
    current = parse_config(state.config, DAEMON_JSON)
    key = "live-restore"
    ours = parse_config(state.record, DAEMON_RECORD).get(key) is True and current.get(key) is True
    between = final | {key: True} if ours else final
    lines = ["set -e"]
    if state.has_docker and (between != current or state.pending):
        lines += [
            f"touch {ENGINE_PENDING}",
            *_put(DAEMON_RECORD, dump_config({key: True} if ours else {})),
            *_put(DAEMON_JSON, dump_config(between)),
            "echo 'Restarting the engine …'",
            "systemctl restart docker.service",
            f"rm -f {ENGINE_PENDING}",
        ]
    lines += _put(DAEMON_JSON, dump_config(final)) if final else [f"rm -f {DAEMON_JSON}"]
    lines += [f"rm -f {DAEMON_RECORD} {ENGINE_PENDING}", f"echo 'Removed Hearth from {DAEMON_JSON}'"]
    return "\n".join(lines)


@operation()
def restore_boot_config(files: frozenset[str], models_dir: str) -> Commands:
    """Remove Hearth's option from a Raspberry Pi's kernel command line, without a reboot."""
    yield from _remove(
        lambda _, removal: remove_script() if removal.boot else "",
        "the kernel command line has no option of Hearth",
        files,
        models_dir,
    )


def _put(path: str, content: str) -> list[str]:
    """Shell commands that write a file atomically, for a script that ends at the first failure."""
    return [
        f"mkdir -p {path.rpartition('/')[0]}",
        f"printf %s {quote(content)} > {path}.new",
        f"chmod 0644 {path}.new",
        f"sync {path}.new",
        f"mv -f {path}.new {path}",
    ]


@operation()
def remove_files(files: frozenset[str], models_dir: str) -> Commands:
    """Remove Hearth's files in /opt/hearth, and directories that are empty after that."""
    yield from _remove(
        lambda _, removal: files_script(removal),
        "no files of Hearth",
        files,
        models_dir,
        command=StringCommand,
    )


def files_script(removal: Removal) -> str:
    """Shell script that removes the files, including Hearth's records; "" if there is nothing to do."""
    if not (removal.files or removal.directories or removal.root):
        return ""
    # The copied packages are there if the deploy of a bundle was interrupted.
    lines = ["set -e", f"rm -f {COMPOSE_HASHES} {ENGINE_INFO}", f"rm -rf {BUNDLE_PACKAGES}", f"cd {ROOT}"]
    if removal.files:
        lines.append(f"rm -f -- {quote(*(f'./{path}' for path in removal.files))}")
    if removal.directories:
        lines.append(f"rmdir -- {quote(*(f'./{path}' for path in removal.directories))}")
    if removal.root:
        lines += ["cd /", f"rmdir {ROOT}"]
    return "\n".join(lines)
