"""`python -m lab`: the lab's commands."""

from __future__ import annotations

import argparse
import os
import signal
import sys

from lab import LabError, guests, hub, smollm2, state, status

_DESCRIPTION = """A throwaway virtual machine that stands in for a freshly flashed Raspberry Pi: Debian trixie with
systemd, sshd and the user pi, and nothing else. Next to it run the registries that its Docker and Ollama pull from.
The first `up` builds everything (about ten minutes); later ones use the cache."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m lab", description=_DESCRIPTION)
    top.add_argument(
        "--guest",
        choices=tuple(guests.ALL),
        help=f"kind of guest; each has its own lab (default: {guests.VARIABLE}, else {guests.TRIXIE.name})",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="build what is missing and start the lab; does nothing if it is running")
    up.add_argument(
        "--ssh-port",
        type=_port,
        metavar="N",
        help="port on this machine for the guest's ssh (default: a free one)",
    )
    up.add_argument(
        "--page-port",
        type=_port,
        metavar="N",
        help="port on this machine for the chat page (default: a free one)",
    )
    up.add_argument("--memory", type=int, metavar="MiB", help="the guest's memory (default: 2048)")
    up.add_argument(
        "--accel", choices=("auto", "kvm", "tcg"), default="auto", help="auto: KVM if it works on this machine"
    )
    _add_stack(up)

    down = commands.add_parser("down", help="shut the lab down; its disk is kept")
    down.add_argument("--purge", action="store_true", help="also delete this checkout's disk, snapshots, key and ports")

    shown = commands.add_parser("status", help="show what is running, and its addresses")
    shown.add_argument("--json", action="store_true", help="as one JSON object")

    ssh = commands.add_parser("ssh", help="log in to the guest, or run a command there: ssh -- COMMAND …")
    ssh.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND")

    snapshot = commands.add_parser("snapshot", help="save the guest's complete state under a name")
    snapshot.add_argument("name", metavar="NAME")
    restore = commands.add_parser("restore", help="restore a snapshot (starts the guest if it is down)")
    restore.add_argument("name", metavar="NAME")
    fresh = commands.add_parser("fresh", help="restore the state after the first boot: restore fresh")
    for command in (restore, fresh):
        _add_stack(command)
    commands.add_parser("sources", help="check that everything the lab downloads is available today, without building")
    build = commands.add_parser("build", help="build what `up` needs, or only the given parts")
    build.add_argument("parts", type=_part, nargs="*", metavar="PART", help="engine, roots, pebble, …")
    return top


def _add_stack(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--images",
        choices=hub.MODES,
        help="hub: deploys pull from Docker Hub and Ollama's library; built: from the lab's registries, with images "
        "that are built here (default: unchanged, initially built)",
    )
    command.add_argument(
        "--models",
        choices=smollm2.KINDS,
        help=f"with built: deploy the tiny models, whose replies tests know word by word, or {smollm2.NAME}, a "
        "real language model (default: unchanged, initially tiny)",
    )


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit code."""
    arguments = parser().parse_args(argv)
    if arguments.guest:
        state.choose(arguments.guest)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C: incomplete parts are deleted
    try:
        if arguments.command == "status":
            return _status(arguments.json)
        if arguments.command == "ssh":
            return _ssh(arguments.words)
        if arguments.command == "sources":
            return _sources()
        return _work(arguments)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted; finished parts are kept, incomplete ones were deleted", file=sys.stderr)
        return 130


def _work(arguments: argparse.Namespace) -> int:
    """Run a command that changes something; shows stages while it runs and a table of durations at the end."""
    from lab import artefacts, vm
    from lab.progress import Stages

    with Stages() as stages:
        if arguments.command == "up":
            wanted = {"22": arguments.ssh_port, "85": arguments.page_port}
            ports = {guest: port for guest, port in wanted.items() if port is not None}
            stack = vm.Stack(arguments.images, arguments.models)
            vm.up(stages, ports, arguments.memory, arguments.accel, stack)
        elif arguments.command == "down":
            vm.down(stages, arguments.purge)
        elif arguments.command == "snapshot":
            vm.snapshot(stages, arguments.name)
        elif arguments.command == "build":
            needed = tuple(arguments.parts) or guests.chosen().needed()
            vm.check(0, artefacts.missing(needed))
            artefacts.build(needed, stages)
        else:
            stack = vm.Stack(arguments.images, arguments.models)
            vm.restore(stages, "fresh" if arguments.command == "fresh" else arguments.name, stack)
    if stages.times:
        print(stages.summary(), file=sys.stderr)
    return 0


def _sources() -> int:
    from lab import sources

    return 0 if sources.check(lambda line: print(line, flush=True)) else 1


def _status(as_json: bool) -> int:
    now = status()
    if as_json:
        print(now.to_json())
        return 0
    which = "" if now.guest == guests.TRIXIE.name else f" ({now.guest})"
    print(f"The lab{which} is running." if now.running else f"The lab{which} is not running.")
    if now.running:
        print(f"  chat page  {now.url}  (once Hearth is deployed)\n  ssh        ssh -F {now.ssh_config} {now.ssh_host}")
        print(f"  machine    {now.accel}, {now.memory} MiB")
        print(f"  images     {', '.join(now.images.values()) or 'from Docker Hub'}")
    for line in now.origins:
        print(f"  built from {line}")
    print(f"  snapshots  {', '.join(now.snapshots) or 'none'}")
    return 0


def _ssh(words: list[str]) -> int:
    """Replace this process with ssh, which then owns terminal and signals."""
    from lab import ssh

    status(must_run=True)
    words = words[1:] if words[:1] == ["--"] else words
    sys.stdout.flush()
    argv = ["ssh", "-F", str(state.DIRECTORY / "ssh_config"), ssh.HOST, *words]
    os.execvp("ssh", argv)


def _port(text: str) -> int:
    port = int(text)
    if not 1 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{port} is not a port number; use 1 to 65535")
    return port


def _part(name: str) -> str:
    from lab import artefacts

    if name not in artefacts.ALL:
        raise argparse.ArgumentTypeError(f"unknown part {name}; use one of {', '.join(artefacts.ALL)}")
    return name


if __name__ == "__main__":
    sys.exit(main())
