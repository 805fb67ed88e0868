"""Enable the memory cgroup on a Raspberry Pi, and reboot the host to apply it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any

from pyinfra import logger
from pyinfra.api import DeployError, FunctionCommand, StringCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.operations import server

from hearth.boot.memory_cgroup import ENABLE_OPTION
from hearth.paths import BOOT_LINE, BOOT_LINE_BEFORE, REBOOT_DUE
from hearth.runtime.commands import connection_arguments, streamed_command
from hearth.runtime.explain import explain
from hearth.runtime.lock import acquire_deploy_lock, forget_deploy_lock

Commands = Generator[StringCommand | FunctionCommand, None, None]

# Seconds: before the first reconnection attempt, for the host to come back (a Pi may check its card), and then for its
# services to start, including the engine.
_DELAY, _REBOOT_TIMEOUT, _SERVICES_TIMEOUT = 15, 900, 300


@operation()
def enable_memory_cgroup() -> Commands:
    """Enable the memory cgroup from the next boot on. Only for hosts whose boot line lacks the option."""
    explain(
        f"the memory cgroup is off, so container memory limits have no effect; adding {ENABLE_OPTION} to "
        f"{BOOT_LINE} (backup: {BOOT_LINE_BEFORE})"
    )
    yield streamed_command(add_script())


def add_script() -> str:
    """Shell script that adds the option to the boot line and keeps a backup next to it. Idempotent.

    The partition is FAT, without owners or modes. The new file is synced and verified before it replaces the old one.
    """
    return f"""set -e
file={BOOT_LINE} before={BOOT_LINE_BEFORE}
lines=$(grep -c '[^[:space:]]' "$file" || true)
if [ "$lines" != 1 ]; then
  echo "$file has $lines non-empty lines instead of one, and was not changed; fix it and deploy again" >&2
  exit 1
fi
line=$(grep '[^[:space:]]' "$file" | tr -d '\\r' | sed 's/[[:space:]]*$//')
[ -n "$line" ] # a pipeline's status is that of its last command, and with an empty line the Pi would not start
case " $line " in
  *" {ENABLE_OPTION} "*) echo "$file already has the option"; exit 0 ;;
esac
if [ ! -e "$before" ]; then
  cp "$file" "$before.new"
  sync "$before.new"
  mv -f "$before.new" "$before"
fi
printf '%s {ENABLE_OPTION}\\n' "$line" > "$file.new"
sync "$file.new"
[ "$(cat "$file.new")" = "$line {ENABLE_OPTION}" ]
touch {REBOOT_DUE}
mv -f "$file.new" "$file"
sync "$file"
echo "Added {ENABLE_OPTION} to $file"
"""


def remove_script() -> str:
    """Shell script that removes the option, and keeps all other changes of the line."""
    return f"""set -e
file={BOOT_LINE} before={BOOT_LINE_BEFORE}
if [ -s "$file" ]; then
  sed 's/ {ENABLE_OPTION}\\([[:space:]]\\|$\\)/\\1/' "$file" > "$file.new"
  # Without other changes, restore the original byte for byte.
  was=$(tr -d '\\r' < "$before" | sed 's/[[:space:]]*$//')
  if [ "$was" = "$(cat "$file.new")" ]; then cp "$before" "$file.new"; fi
  [ -s "$file.new" ]
  sync "$file.new"
  mv -f "$file.new" "$file"
fi
rm -f "$before" "$before.new" {REBOOT_DUE}
sync "$(dirname "$file")"
echo "Removed {ENABLE_OPTION} from $file; this takes effect with the next reboot"
"""


@operation(is_idempotent=False)
def reboot_host() -> Commands:
    """Reboot the host, wait for it and its services, and acquire the deploy lock again for the rest of the run."""
    explain("rebooting the host (host_allow_reboot = True) takes a minute or two; in-flight responses end")
    for command in server.reboot._inner(delay=_DELAY, reboot_timeout=_REBOOT_TIMEOUT):
        is_wait = isinstance(command, FunctionCommand) and command.function.__name__ == "wait_and_reconnect"
        yield FunctionCommand(_wait, (command.function,), {}) if is_wait else command
    yield FunctionCommand(_reacquire_lock, (connection_arguments(),), {})
    # The next operations need the engine, which starts with the other services. "degraded" is good enough.
    yield StringCommand(f"timeout {_SERVICES_TIMEOUT} systemctl is-system-running --wait >/dev/null || true")


def _wait(state: State, host: Host, wait: Callable[[State, Host], None]) -> bool:
    logger.info(f"{host.print_prefix}rebooting; waiting up to {_REBOOT_TIMEOUT // 60} minutes …")
    deadline = time.monotonic() + _REBOOT_TIMEOUT
    while True:
        try:
            wait(state, host)
        except Exception as error:  # pyinfra raises nothing more specific
            # pyinfra's own timeout has no type of its own either, but comes after the deadline. What comes before is a
            # host that shuts down or starts: it may accept a login, then end the connection.
            if time.monotonic() < deadline:
                logger.debug(f"{host.print_prefix}{error!r}")
                state.failed_hosts.discard(host)
                state.active_hosts.add(host)
                continue
            logger.error(
                f"{host.print_prefix}the host did not come back after its reboot ({error}). Check its power, network "
                f"and disk; if a Pi does not start, replace {BOOT_LINE} by {BOOT_LINE_BEFORE} with a card reader (both "
                "are on the card's small partition). When it is back, deploy again"
            )
            return False
        return True


def _reacquire_lock(state: State, host: Host, root: dict[str, Any]) -> bool:  # noqa: ARG001
    """The lock was released with the old connection."""
    forget_deploy_lock(host)
    try:
        acquire_deploy_lock(root)
    except DeployError as error:  # would end the run for all hosts
        logger.error(f"{host.print_prefix}{error}")
        return False
    return True
