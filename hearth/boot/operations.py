"""How the host is started: a word for the kernel on a Raspberry Pi, and the restart that it takes."""

from __future__ import annotations

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

# Seconds: until the host is asked whether it is back, for it to come back (a Pi may check its card), and for its
# services to have started then, the engine among them.
_DELAY, _BACK, _STARTED = 15, 900, 300


@operation()
def enable_memory_cgroup() -> Commands:
    """Have the kernel count memory for containers from the next start on. To be called where the word is not there."""
    explain(
        f"the kernel does not count memory for containers, so their limits have no effect: {ENABLE_OPTION} is added to "
        f"{BOOT_LINE} (as it was: {BOOT_LINE_BEFORE})"
    )
    yield streamed_command(add_script())


def add_script() -> str:
    """Shell script that adds the word to the one line, keeping what was there beside it. Again, it does nothing.

    The partition is FAT, without owners or modes. The new file is on the disk before it takes the old one's place, and
    is compared with what it should be.
    """
    return f"""set -e
file={BOOT_LINE} before={BOOT_LINE_BEFORE}
lines=$(grep -c '[^[:space:]]' "$file" || true)
if [ "$lines" != 1 ]; then
  echo "$file has $lines lines with words, and must have one; it was left as it is. Put it right, and deploy again" >&2
  exit 1
fi
line=$(grep '[^[:space:]]' "$file" | tr -d '\\r' | sed 's/[[:space:]]*$//')
[ -n "$line" ] # a pipeline tells of its last part alone, and without this line the Pi would not start
case " $line " in
  *" {ENABLE_OPTION} "*) echo "$file has the word already"; exit 0 ;;
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
    """Shell script that takes the word out again, whatever else was changed in the line since."""
    return f"""set -e
file={BOOT_LINE} before={BOOT_LINE_BEFORE}
if [ -s "$file" ]; then
  sed 's/ {ENABLE_OPTION}\\([[:space:]]\\|$\\)/\\1/' "$file" > "$file.new"
  # Where nothing else was changed, it is again what it was to the last byte.
  was=$(tr -d '\\r' < "$before" | sed 's/[[:space:]]*$//')
  if [ "$was" = "$(cat "$file.new")" ]; then cp "$before" "$file.new"; fi
  [ -s "$file.new" ]
  sync "$file.new"
  mv -f "$file.new" "$file"
fi
rm -f "$before" "$before.new" {REBOOT_DUE}
sync "$(dirname "$file")"
echo "Took {ENABLE_OPTION} out of $file; it counts from the next restart on"
"""


@operation(is_idempotent=False)
def reboot_host() -> Commands:
    """Restart the host, wait for it and its services, and hold it again for the rest of the run."""
    explain("the host is restarted (host_allow_reboot = True), which takes a minute or two; running answers end")
    for command in server.reboot._inner(delay=_DELAY, reboot_timeout=_BACK):
        is_wait = isinstance(command, FunctionCommand) and command.function.__name__ == "wait_and_reconnect"
        yield FunctionCommand(_wait, (command.function,), {}) if is_wait else command
    yield FunctionCommand(_take_up_again, (connection_arguments(),), {})
    # What follows asks the engine, which starts with the other services. "degraded" is no reason to wait.
    yield StringCommand(f"timeout {_STARTED} systemctl is-system-running --wait >/dev/null || true")


def _wait(state: State, host: Host, wait: Callable[[State, Host], None]) -> bool:
    logger.info(f"{host.print_prefix}restarting; it has {_BACK // 60} minutes to come back …")
    try:
        wait(state, host)
    except Exception as error:  # pyinfra raises nothing more particular
        logger.error(
            f"{host.print_prefix}the host did not come back from its restart ({error}). Its power, network and disk "
            f"are the first things to look at; on a Pi that does not start, put {BOOT_LINE_BEFORE} back in place of "
            f"{BOOT_LINE} with a card reader (both are on the card's small partition). When it is back, deploy again"
        )
        return False
    return True


def _take_up_again(state: State, host: Host, root: dict[str, Any]) -> bool:  # noqa: ARG001
    """The old connection is gone, and with it what held the host."""
    forget_deploy_lock(host)
    try:
        acquire_deploy_lock(root)
    except DeployError as error:  # it would end the run on all hosts
        logger.error(f"{host.print_prefix}{error}")
        return False
    return True
