"""Hearth's deploy next to an Ansible playbook and a shell script, on real hosts: `python -m bench.deploy`.

All three bring the same hosts to the same state, in turn within a round, so that what else happens on the machine
affects all of them; after each run, the state is verified. The shell script, with one connection per host, is the
floor.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from bench.environment import plot, programs
from bench.fleet import SETTING, SNAPSHOT, VALUES, Fleet
from bench.machine import busy_share, description
from bench.tables import deploy_table
from lab import artefacts, house
from lab.progress import Stages

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
PEERS = HERE / "peers"
FRESH, NOTHING, ONE, BROKEN = "fresh host", "nothing to do", "one setting", "a container is missing"
COUNTS = (1, 4, 16)
RUN_SECONDS = 900  # for the longest run; one that takes longer has failed

# A tool: (fleet, hosts, value of SETTING) → the commands to run at the same time.
Tool = Callable[[Fleet, Sequence[str], int], list[list[str]]]
# Of one run: "seconds", and "cpu": seconds of processor time on the deploying computer.
Run = dict[str, float]
# Scenario → tool → runs.
Figures = dict[str, dict[str, list[Run]]]


def hearth(fleet: Fleet, hosts: Sequence[str], value: int) -> list[list[str]]:
    command = "from hearth.cli.command import main; main()"
    words = [sys.executable, "-c", command, "deploy", str(fleet.inventory(hosts)), "--yes"]
    return [[*words, "--data", f"{SETTING}={value}"]]


def shell(fleet: Fleet, hosts: Sequence[str], value: int) -> list[list[str]]:
    models = " ".join(f"{name}={source}" for name, source in fleet.models(value).items())
    words = ["sh", str(PEERS / "shell/provision.sh"), str(fleet.tree(value)), models]
    return [[*words, "ssh", "-F", str(fleet.house.ssh_config), name] for name in hosts]


def ansible(fleet: Fleet, hosts: Sequence[str], value: int) -> list[list[str]]:
    models = [{"name": name, "source": source} for name, source in fleet.models(value).items()]
    variables = json.dumps({"tree": str(fleet.tree(value)), "models": models})
    words = [
        str(programs() / "ansible-playbook"),
        "--forks",
        str(max(COUNTS)),
        "-i",
        str(fleet.ansible_inventory(hosts)),
    ]
    return [[*words, "-e", variables, str(PEERS / "ansible/playbook.yml")]]


TOOLS: dict[str, Tool] = {"shell script": shell, "Hearth": hearth, "Ansible": ansible}


def _kill(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.kill()


def timed(commands: Sequence[Sequence[str]], directory: Path) -> Run:
    """Run commands at the same time; all must succeed. Each starts without open connections, as from a timer."""
    log = directory / "log"
    with tempfile.TemporaryDirectory(prefix="ssh-") as sockets, log.open("wb") as output:
        added = {"ANSIBLE_SSH_CONTROL_PATH_DIR": sockets, "ANSIBLE_CONFIG": str(PEERS / "ansible/ansible.cfg")}
        environment = {**os.environ, **added}
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        processes = [
            subprocess.Popen(
                words, cwd=PROJECT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
            for words in commands
        ]
        # Without a time-out of their own, with which Python looks for the end only every 50 ms.
        killer = threading.Timer(RUN_SECONDS, _kill, [processes])
        killer.start()
        try:
            codes = [process.wait() for process in processes]
        finally:
            killer.cancel()
        seconds, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
        for path in Path(sockets).iterdir():  # connections that Ansible keeps open
            words = ["ssh", "-o", f"ControlPath={path}", "-O", "exit", "host"]
            subprocess.run(words, check=False, capture_output=True, timeout=30)
    if any(codes):
        raise SystemExit(f"exit codes {codes}: {commands[0]}\n{log.read_text(errors='replace')[-4000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "cpu": cpu}


def measure(fleet: Fleet, hosts: Sequence[str], scenario: str, rounds: int, figures: dict[str, list[Run]]) -> None:
    """Add the runs of one scenario to `figures`, tool → runs. The hosts have been deployed to, unless it is FRESH."""
    value = VALUES[0]
    for one in () if scenario == FRESH else TOOLS.values():  # not counted: all of them to the same state
        timed(one(fleet, hosts, value), fleet.work)
    names = list(TOOLS)
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            if scenario == FRESH:
                for host in hosts:
                    fleet.house.fresh(host, SNAPSHOT)
            elif scenario == ONE:
                value = VALUES[value == VALUES[0]]
            elif scenario == BROKEN:
                for host in hosts:
                    fleet.break_container(host)
            run = timed(TOOLS[name](fleet, hosts, value), fleet.work)
            fleet.verify(hosts, value)
            figures.setdefault(name, []).append(run)
            print(
                f"{len(hosts)} host(s), {scenario}, round {number + 1} of {rounds}: {name} {run['seconds']:.1f} s "
                f"({run['cpu']:.1f} s of processor time here)",
                flush=True,
            )


def one_host(fleet: Fleet, rounds: int) -> Figures:
    """All scenarios on one host."""
    fleet.prepare("h1")
    fleet.house.save("h1", SNAPSHOT)
    figures: Figures = {}
    for scenario in (FRESH, NOTHING, ONE, BROKEN):
        measure(fleet, fleet.names, scenario, rounds, figures.setdefault(scenario, {}))
    return figures


def many_hosts(fleet: Fleet, counts: Sequence[int], rounds: int) -> Iterator[tuple[str, Figures]]:
    """Number of hosts, figures; for what a timer does: nothing to do, and one setting."""
    first, *others = fleet.names
    print(f"preparing {len(fleet.names)} hosts …", flush=True)
    fleet.prepare(first)
    timed(shell(fleet, [first], VALUES[0]), fleet.work)
    fleet.house.ssh(first, "sudo apt-get clean")
    fleet.house.save(first, SNAPSHOT)
    # Not in threads: a host ends with the thread that booted it.
    for name in others:
        fleet.house.clone(name, first, SNAPSHOT)
    for count in counts:
        figures: Figures = {}
        for scenario in (NOTHING, ONE):
            measure(fleet, fleet.names[:count], scenario, rounds, figures.setdefault(scenario, {}))
        yield str(count), figures


def main() -> None:
    """Measure, and write the result, its plots and the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="with one host")
    parser.add_argument("--many-rounds", type=int, default=3, help="with several hosts")
    parser.add_argument("--hosts", default=",".join(map(str, COUNTS)), help="numbers of hosts, or nothing for one only")
    parser.add_argument("--quick", action="store_true", help="one round, up to two hosts, not written to results/")
    options = parser.parse_args()
    if os.geteuid():
        raise SystemExit("The measurements need root, to start hosts: sudo make bench")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the hosts end
    rounds, many_rounds = (1, 1) if options.quick else (options.rounds, options.many_rounds)
    counts = [1, 2] if options.quick else [int(one) for one in options.hosts.split(",") if one]
    programs()
    load = busy_share()
    with Stages() as stages:
        parts = artefacts.build(house.NEEDED, stages)
    document: dict[str, Any] = {
        "date": date.today().isoformat(),
        "machine": description(),
        "load": f"{load:.0%} of the processors' time was in use before",
        "rounds": rounds,
        "many_rounds": many_rounds,
    }
    results = HERE / "results/deploy.json"
    results.parent.mkdir(exist_ok=True)

    def store() -> None:
        if not options.quick:
            results.write_text(json.dumps(document, indent=1) + "\n")

    for key, count in (("one", 1), ("many", max(counts, default=0))):
        if not count:
            continue
        with (
            tempfile.TemporaryDirectory(prefix="hearth-bench-") as directory,
            tempfile.TemporaryDirectory(prefix="hearth-bench-") as work,
            house.House(parts, Path(directory), count) as hosts,
        ):
            fleet = Fleet(hosts, Path(work))
            if key == "one":
                document[key] = one_host(fleet, rounds)
                store()
                continue
            document[key] = {}
            for number, figures in many_hosts(fleet, counts, many_rounds):
                document[key][number] = figures
                store()  # each, since a later one may fail
    print(deploy_table(document))
    if not options.quick:
        plot("deploy", results)


if __name__ == "__main__":
    main()
