"""The command `hearth`. Each subcommand builds the command line of something that also runs without it.

Deploys are pyinfra's: `hearth deploy inventory/pi.py` is `pyinfra inventory/pi.py deploy.py`, started in the checkout.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
from click.shell_completion import CompletionItem, get_completion_class

from hearth import __version__
from hearth.host.platform import ARCHITECTURES
from hearth.paths import CHECKOUT
from hearth.runtime.pyinfra_process import resolve_inventory
from hearth.watch.install import Scheduler
from hearth.watch.schedule import Job

_Function = TypeVar("_Function", bound=Callable[..., Any])

_PYINFRA = "hearth.cli.pyinfra_main"
# Needed by `hearth verify` alone.
_VERIFY_MODULES = ("docker", "pytest", "testinfra")
_SHELLS = ("bash", "zsh", "fish")


def pyinfra_words(
    inventory: str,
    file: str,
    *,
    yes: bool = False,
    dry_run: bool = False,
    limit: Sequence[str] = (),
    exclude: Sequence[str] = (),
    data: Sequence[str] = (),
    verbose: int = 0,
    pyinfra_options: Sequence[str] = (),
) -> list[str]:
    """The command line of pyinfra, without its name.

    Args:
        file: the deploy file, relative to the checkout.
        data: `NAME=VALUE` settings.
        pyinfra_options: further options, unchanged.
    """
    return [
        resolve_inventory(inventory),
        file,
        *(["-y"] if yes else []),
        *(["--dry"] if dry_run else []),
        *(word for one in limit for word in ("--limit", one)),
        *(word for one in exclude for word in ("--exclude", one)),
        *(word for one in data for word in ("--data", one)),
        *([f"-{'v' * verbose}"] if verbose else []),
        *pyinfra_options,
    ]


def _run(module: str, *words: str) -> int:
    """Run a Python module in the checkout, on this terminal. Its exit code."""
    # Ctrl-C reaches both processes, and the other one decides how it ends.
    before = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        code = subprocess.run([sys.executable, "-m", module, *words], cwd=CHECKOUT, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)
    return code if code >= 0 else 128 - code


def _exit_with(call: Callable[[], int]) -> NoReturn:
    """Exit with what `call` returns; click would turn Ctrl-C into 1."""
    try:
        sys.exit(call())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def _check_data(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not re.match(r"\w+=", value):
            raise click.BadParameter(f"{value!r} is not NAME=VALUE; write, for example, chat_title='Kitchen Pi'")
    return values


_inventory = click.argument("inventory", metavar="INVENTORY", type=click.Path())
_limit = click.option("--limit", multiple=True, metavar="PATTERN", help="Only these hosts or groups. Repeatable.")
_data = click.option(
    "--data",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_check_data,
    help="Another value for a setting, for this run. Repeatable.",
)
_yes = click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")
_dry_run = click.option("--dry-run", "--dry", is_flag=True, help="Show what would change, and change nothing.")


_bundle = click.option(
    "--bundle",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    help="Take packages, images and models from this file (hearth bundle), and nothing from the internet.",
)


def _bundle_data(bundle: str | None) -> tuple[str, ...]:
    return (f"x_bundle={bundle}",) if bundle else ()


def _pyinfra_options(function: _Function) -> _Function:
    """The options that every run of pyinfra has."""
    for decorate in (
        click.argument("pyinfra_options", nargs=-1, type=click.UNPROCESSED, metavar="[-- PYINFRA_OPTIONS]"),
        click.option("--verbose", "-v", count=True, help="Show facts (-v), commands (-vv), and their output (-vvv)."),
        _data,
        click.option("--exclude", multiple=True, metavar="PATTERN", help="All but these hosts or groups. Repeatable."),
        _limit,
        _inventory,
    ):
        function = decorate(function)
    return function


def _run_pyinfra(file: str, options: dict[str, Any], *data: str, **overrides: Any) -> None:
    """Run a deploy file, then exit with its code.

    Args:
        options: what `_pyinfra_options`, `--yes` and `--dry-run` were given.
        data: added to `--data`.
        overrides: of `options`.
    """
    options |= overrides | {"data": (*options["data"], *data)}
    further = options["pyinfra_options"]
    if further and not further[0].startswith("-"):
        raise click.UsageError(f"Got unexpected extra argument ({further[0]}). Options of pyinfra follow after `--`.")
    if not options.get("yes") and not options.get("dry_run") and not sys.stdin.isatty():
        raise click.UsageError("There is no terminal to ask for confirmation. Add --yes or --dry-run.")
    sys.exit(_run(_PYINFRA, *pyinfra_words(file=file, **options)))


def _print_version(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        click.echo(f"hearth {__version__} in {CHECKOUT}")
        context.exit()


class _Commands(click.Group):
    """In the order in which they are defined below."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(self.commands)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """Deploy and operate a private LLM host: Docker, Ollama, and a chat page behind Apache httpd.

    INVENTORY is a Python file that lists your hosts and their settings, such as inventory/pi.py. It is looked for in
    the current directory, then in Hearth's own. The commands work from any directory.

    \b
    First steps:
      edit inventory/pi.py               your host's address and user
      hearth deploy inventory/pi.py      shows the planned changes and asks
      hearth doctor http://pi.local:85   if the page does not load

    \b
    Exit codes:
      0    done, or nothing differs
      1    something differs, or failed, or you declined
      2    wrong usage or unknown, and nothing was changed: a setting is invalid, a preflight
           check failed, or a host could not be reached or inspected
      130  interrupted with Ctrl-C

    `hearth COMMAND --help` has the options and examples of each command. `hearth deploy` runs
    `pyinfra INVENTORY deploy.py` in Hearth's directory, and you can do the same.
    """


@cli.command()
@_pyinfra_options
@_bundle
@_yes
@_dry_run
def deploy(bundle: str | None, **options: Any) -> None:
    """Deploy, or repair whatever differs from the settings.

    Checks first, shows the planned changes, and asks for confirmation. Run it again at any time: it leaves alone what
    matches the settings, and resumes a run that was interrupted.

    \b
    Examples:
      hearth deploy inventory/pi.py
      hearth deploy inventory/pi.py --dry-run           only show what would change
      hearth deploy inventory/pi.py --yes               do not ask
      hearth deploy inventory/pi.py --limit pi2.local   one host of several
      hearth deploy inventory/pi.py --data proxy_port=8080
      hearth deploy inventory/pi.py --bundle house.hearth   a host without internet
      hearth deploy inventory/pi.py -- --parallel 2     any option of pyinfra

    \b
    Exit codes:
      0  every host was deployed; with --dry-run: nothing would change
      1  a host failed, or you declined; with --dry-run: something would change
      2  nothing was changed: wrong usage, an invalid setting, a failed preflight check,
         or no host could be reached
    """
    _run_pyinfra("deploy.py", options, *_bundle_data(bundle))


@cli.command("bundle", short_help="Make one file with everything for hosts without internet.")
@_inventory
@click.option(
    "--to",
    required=True,
    metavar="FILE",
    type=click.Path(dir_okay=False, resolve_path=True, path_type=Path),
    help="The file to write, such as house.hearth.",
)
@click.option(
    "--release",
    type=click.Choice(("bookworm", "trixie")),
    default="trixie",
    show_default=True,
    help="The hosts' release of Debian.",
)
@click.option(
    "--arch",
    type=click.Choice(ARCHITECTURES),
    required=True,
    help="The hosts' processor, as `dpkg --print-architecture` prints it there: arm64 for a Raspberry Pi.",
)
@_limit
@_data
@click.option("--mirror", default="", metavar="URL", help="Debian's archive. Default: that of this computer's apt.")
def make_bundle(
    inventory: str, to: Path, release: str, arch: str, limit: tuple[str, ...], data: tuple[str, ...], mirror: str
) -> None:
    """Make one file with everything that hosts without internet need: packages, images, and models.

    It needs internet and apt (Debian or Ubuntu), and no connection to the hosts. It prints the size before it downloads
    anything large, and resumes an interrupted download. Then deploy with `--bundle`, from any computer.

    \b
    Examples:
      hearth bundle inventory/pi.py --to house.hearth --arch arm64
      hearth bundle inventory/proxmox.py --to house.hearth --release bookworm --arch amd64

    Exit codes: 0 the file is complete; 1 it could not be made.
    """
    from hearth.bundle.create import Options
    from hearth.bundle.create import main as create_bundle

    _exit_with(lambda: create_bundle(Options(inventory, to, release, arch, limit, data, mirror)))


@cli.command(short_help="Compare hosts with their settings.")
@_inventory
@_limit
@_data
@_bundle
@click.option("--json", is_flag=True, help='Print {host: {"state": …, "reasons": […], "warnings": […]}}.')
@click.option("--quiet", is_flag=True, help="Leave out hosts that are in sync.")
@click.option("--timeout", type=click.FloatRange(min=1), metavar="SECONDS", help="Per host. Default: 300.")
@click.option("--parallel", type=click.IntRange(min=1), metavar="N", help="Hosts at a time. Default: 4.")
def drift(inventory: str, **options: Any) -> None:
    """Compare hosts with their settings, print what differs, and change nothing.

    For cron and CI; there it needs ssh and sudo without a password.

    \b
    Examples:
      hearth drift inventory/pi.py
      hearth drift inventory/pi.py --quiet || mail …    in cron
      hearth drift inventory/pi.py --json --limit pi2.local

    \b
    Exit codes:
      0  every host is in sync
      1  a host has drifted
      2  the state of a host is unknown: it is unreachable, say, or a setting is invalid
    """
    from hearth.drift.__main__ import main as run_drift

    _exit_with(lambda: run_drift(drift_words(inventory, options)))


@cli.command(short_help="Show who used the hosts, by day.")
@_inventory
@_limit
@click.option("--days", type=click.IntRange(min=1), metavar="N", help="Only today and the days before it, N in total.")
@click.option("--json", is_flag=True, help='Print {host: {"error": …, "usage": […]}}.')
@click.option("--timeout", type=click.FloatRange(min=1), metavar="SECONDS", help="Per host. Default: 300.")
def usage(inventory: str, **options: Any) -> None:
    """Show requests, seconds and bytes by caller and day.

    They are summed up on the host, from the proxy's access log, as far back as Docker keeps it (docker_log_max_size,
    docker_log_max_files). A caller is a user, an API key, or an address. Days are in UTC. Needs ssh and sudo without a
    password, and changes nothing.

    \b
    Examples:
      hearth usage inventory/pi.py
      hearth usage inventory/pi.py --days 7 --json

    Exit codes: 0 every host's log was read; 2 at least one could not be.
    """
    from hearth.usage.__main__ import main as run_usage

    _exit_with(lambda: run_usage(drift_words(inventory, options)))


def drift_words(inventory: str, options: dict[str, Any]) -> list[str]:
    """The command line of `python -m hearth.drift` or `hearth.usage`, which have defaults for missing options."""
    words = [inventory]
    for name, value in options.items():
        if value is True:
            words.append(f"--{name}")
        elif isinstance(value, tuple):
            words += [f"--{name}={one}" for one in value]
        elif value not in (None, False):
            words.append(f"--{name}={value}")
    return words


@cli.command(short_help="Check hosts daily, and send what was found.")
@_inventory
@click.option("--at", default="04:30", show_default=True, metavar="HH:MM", help="When, in this computer's time.")
@click.option("--repair", is_flag=True, help="Deploy to hosts that have drifted.")
@click.option(
    "--notify",
    multiple=True,
    metavar="SOURCE",
    help="Where the addresses for messages are read from: file:PATH or 'command:PROGRAM ARGUMENTS'. Repeatable.",
)
@click.option("--once", is_flag=True, help="Check now, and install nothing.")
@click.option("--remove", "is_removal", is_flag=True, help="Remove the timer.")
@click.option(
    "--scheduler",
    type=click.Choice(("systemd", "cron", "launchd")),
    help="Default: launchd on macOS, systemd where it runs for you, otherwise cron.",
)
def watch(
    inventory: str,
    at: str,
    repair: bool,
    notify: tuple[str, ...],
    once: bool,
    is_removal: bool,
    scheduler: Scheduler | None,
) -> None:
    """Check hosts daily from this computer, repair them if asked to, and send what was found.

    Each check is a `hearth drift`: it needs ssh and sudo without a password. A message is sent about hosts that have
    drifted or can't be reached, certificates that expire soon, disks that fill, weak power supplies, and images with
    known vulnerabilities: when something changes, and again after a week.

    The addresses for messages are apprise's (https://github.com/caronc/apprise/wiki), one a line: mail, ntfy, Telegram,
    Home Assistant and many others. Needs `make setup WITH=watch`.

    \b
    Examples:
      hearth watch inventory/pi.py --notify file:~/.hearth/notify    installs a daily timer
      hearth watch inventory/pi.py --notify file:~/.hearth/notify --repair
      hearth watch inventory/pi.py --once                            checks now
      hearth watch inventory/pi.py --scheduler cron                  prints a line for cron
      hearth watch inventory/pi.py --remove

    \b
    Exit codes:
      0  installed or removed; with --once: every host is in sync, or was repaired
      1  with --once: a host has drifted
      2  wrong usage, or nothing was installed; with --once: the state of a host is unknown,
         or a message could not be sent
    """
    from hearth.watch.check import check_once
    from hearth.watch.install import ScheduleError, find_scheduler, install, remove
    from hearth.watch.notify import NotifyError, parse_source, read_urls, send

    time = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", at)
    if time is None:
        raise click.UsageError(f"--at {at!r}: use a time such as 04:30")
    name = resolve_inventory(inventory)
    if not (CHECKOUT / name).is_file():
        raise click.UsageError(f"{inventory}: there is no such file")
    command = [sys.executable, "-m", "hearth.cli.command", "watch", name, "--once"]
    command += [*(["--repair"] if repair else []), *(word for one in notify for word in ("--notify", one))]
    job = Job(name, command, CHECKOUT, int(time[1]), int(time[2]))
    try:
        sources = [parse_source(one) for one in notify]
        if once:
            _exit_with(lambda: check_once(name, job.name, repair=repair, sources=sources))
        if is_removal:
            click.echo(remove(job))
            return
        if urls := read_urls(sources):
            text = f"Hosts are checked daily at {at}. A message follows if one needs you."
            send(urls, f"Hearth: watching {name}", text)
        click.echo(install(job, scheduler or find_scheduler()))
        click.echo("To try it now, run the same command with --once.")
    except (NotifyError, ScheduleError) as error:
        raise click.UsageError(str(error)) from None


@cli.command(short_help="Test deployed hosts from outside and inside.")
@_inventory
@click.argument("pytest_options", nargs=-1, type=click.UNPROCESSED, metavar="[-- PYTEST_OPTIONS]")
def verify(inventory: str, pytest_options: tuple[str, ...]) -> None:
    """Test deployed hosts from outside and inside, and change nothing.

    Ports, routes, origins, sign-in, TLS, streaming. Needs ssh and sudo without a password, and packages that a deploy
    does not need: `make setup WITH=verify` installs them.

    \b
    Examples:
      hearth verify inventory/pi.py
      hearth verify inventory/pi.py -- -k origin     only tests with "origin" in their name

    Exit codes: 0 all tests passed; 1 a test failed; 2 the tests could not run.
    """
    if missing := [name for name in _VERIFY_MODULES if find_spec(name) is None]:
        raise click.UsageError(f"The Python packages {', '.join(missing)} are missing: run `make setup WITH=verify`.")
    words = ["-p", "no:cacheprovider", "tests/acceptance", "--inventory", resolve_inventory(inventory)]
    # pytest's codes above 1: interrupted, internal error, wrong usage, no tests.
    sys.exit(min(_run("pytest", *words, *pytest_options), 2))


@cli.command()
@_pyinfra_options
@_yes
@_dry_run
def rollback(**options: Any) -> None:
    """Roll back to the previous release.

    For an upgrade that you regret. Revert your settings as well: the next deploy applies whatever they say. Models are
    not affected.

    \b
    Examples:
      hearth rollback inventory/pi.py
      hearth rollback inventory/pi.py --limit pi2.local --yes

    Exit codes are those of `hearth deploy`.
    """
    _run_pyinfra("deploys/rollback.py", options)


@cli.command()
@_pyinfra_options
@click.option(
    "--to",
    default="backups",
    show_default=True,
    metavar="DIRECTORY",
    type=click.Path(file_okay=False, resolve_path=True),
    help="Where to store the files, on this computer.",
)
@click.option("--with-models", is_flag=True, help="Include the models' data: as many gigabytes as they have.")
def backup(to: str, with_models: bool, **options: Any) -> None:
    """Back up hosts to this computer, one file per host.

    A backup has the settings, the files and the releases of a host, and which models it has. It never contains
    passwords or keys. The host is not changed, so there is no confirmation.

    \b
    Examples:
      hearth backup inventory/pi.py
      hearth backup inventory/pi.py --to /mnt/nas/hearth --with-models

    Exit codes: 0 every host was backed up; 1 a backup failed; 2 nothing was started, as in `hearth deploy`.
    """
    models = f"x_backup_models={int(with_models)}"
    _run_pyinfra("deploys/backup.py", options, f"x_backup_to={to}", models, yes=True)


@cli.command()
@_pyinfra_options
@click.option(
    "--from",
    "source",
    required=True,
    metavar="FILE",
    type=click.Path(exists=True, resolve_path=True),
    help="A backup, or a directory with one for each host.",
)
@_yes
@_dry_run
def restore(source: str, **options: Any) -> None:
    """Restore a backup to a host, the same one or another.

    The inventory says which host and how to reach it; settings and files come from the backup.

    \b
    Examples:
      hearth restore inventory/pi.py --from backups/192.168.1.189-20261122T035004Z.tar
      hearth restore inventory/pi.py --from backups         each host gets its newest backup

    Exit codes are those of `hearth deploy`.
    """
    _run_pyinfra("deploys/restore.py", options, f"x_restore_from={source}")


@cli.command()
@_pyinfra_options
@click.option("--delete-models", is_flag=True, help="Delete the models as well. Without it, they stay.")
@_yes
@_dry_run
def uninstall(delete_models: bool, **options: Any) -> None:
    """Remove Hearth from hosts, and nothing else.

    Lists what it would remove and what stays, and asks for confirmation.

    \b
    Examples:
      hearth uninstall inventory/pi.py
      hearth uninstall inventory/pi.py --dry-run --delete-models

    Exit codes are those of `hearth deploy`.
    """
    models = f"x_uninstall_models={'delete' if delete_models else 'keep'}"
    _run_pyinfra("deploys/uninstall.py", options, models)


class _DoctorCommand(click.Command):
    """Passes its arguments, `--help` included, to the doctor, which parses them with the standard library."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """The options that the doctor's help names."""
        from hearth.doctor.__main__ import make_parser

        options = sorted(set(re.findall(r"--[a-z-]+", make_parser().format_help())))
        return [CompletionItem(option) for option in options if option.startswith(incomplete)]


@cli.command(
    cls=_DoctorCommand,
    add_help_option=False,
    context_settings={"ignore_unknown_options": True},
    short_help="Find out why a host can't be reached or does not respond.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def doctor(arguments: tuple[str, ...]) -> None:
    """The doctor has its own help."""
    from hearth.doctor.__main__ import main as run_doctor

    _exit_with(lambda: run_doctor(list(arguments), "hearth doctor"))


@cli.command(short_help="Set up completion with Tab in your shell.")
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> None:
    """Print the code that lets a shell complete commands, options and files with Tab.

    \b
    Add a line to your shell's start-up file, with the path to Hearth's directory:
      bash, ~/.bashrc:                  eval "$(~/hearth/.venv/bin/hearth completion bash)"
      zsh, ~/.zshrc:                    eval "$(~/hearth/.venv/bin/hearth completion zsh)"
      fish, ~/.config/fish/config.fish: ~/hearth/.venv/bin/hearth completion fish | source
    """
    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(cli, {}, "hearth", "_HEARTH_COMPLETE").source())


def main() -> None:
    """The entry point."""
    cli(prog_name="hearth")


if __name__ == "__main__":
    main()
