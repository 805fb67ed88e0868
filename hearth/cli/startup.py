"""Start of every pyinfra run in this directory: refuse a wrong command line with a clear error.

pyinfra itself treats a missing inventory, or a `--limit` that matches nothing, as "no hosts", and succeeds.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from pyinfra import logger
from pyinfra.api.exceptions import PyinfraError

from hearth.cli.inventory_check import Groups, find_invocation_error
from hearth.runtime.command_line import CommandLine, read_command_line
from hearth.runtime.host_shell import install_host_shell

# Packages that pyinfra does not depend on.
_REQUIRED = ("pydantic", "yaml")


def check_invocation() -> None:
    """Check the command line, the inventory and the group settings, and prepare pyinfra for any host.

    Raises:
        PyinfraError: names the mistake and its fix.
    """
    if missing := [name for name in _REQUIRED if find_spec(name) is None]:
        raise PyinfraError(
            f"nothing was changed: this is not Hearth's own pyinfra: it lacks the Python packages "
            f"{', '.join(missing)}. Run `make setup` once, and then .venv/bin/pyinfra instead of pyinfra"
        )
    # These require them.
    from hearth.cli.summary import print_summary_at_exit
    from hearth.rollout.turns import install_turns

    install_host_shell()
    _fail_without_an_answer()
    install_turns()
    asked = read_command_line()
    if asked.operations and all(name.endswith(".py") for name in asked.operations):
        print_summary_at_exit(asked)
    if asked.inventory and (mistake := find_invocation_error(asked, Path.cwd(), lambda: _load(asked))):
        raise PyinfraError(f"nothing was changed: {mistake}")


def _load(asked: CommandLine) -> Groups | None:
    """The groups of the inventory, as pyinfra reads it. Errors in it are left for pyinfra to report."""
    from pyinfra_cli.inventory import make_inventory  # type: ignore[import-untyped]

    hostname = {"ssh_hostname": ""} if any(word.startswith("ssh_hostname=") for word in asked.data) else {}
    logger.disabled = True
    try:
        inventory = make_inventory(asked.inventory, override_data=hostname, cwd=str(Path.cwd()))
    except Exception:
        return None
    finally:
        logger.disabled = False
    groups = {name: [host.name for host in hosts] for name, hosts in inventory.groups.items() if hosts}
    return groups | {"all": [host.name for host in inventory]}


def _fail_without_an_answer() -> None:
    """Make pyinfra's confirmations fail with an error if nobody can answer, instead of a traceback."""
    # Not at the top: this import patches the standard library.
    from pyinfra_cli import cli  # type: ignore[import-untyped]

    confirm = cli._do_confirm

    def confirm_or_fail(message: str) -> bool:
        try:
            return bool(confirm(message))
        except EOFError:
            if "failed" in message:
                raise PyinfraError(
                    "nothing was changed: a host failed, see above, and there is no terminal to confirm that the "
                    "others continue. Leave that host out with --exclude, or add -y"
                ) from None
            raise PyinfraError(
                "nothing was changed: there is no terminal to ask for confirmation. Add -y or --dry"
            ) from None

    cli._do_confirm = confirm_or_fail
