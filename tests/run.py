"""`make demo`, `make test` and the like: stages one after another, each timed; the first failure ends the run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import lab
from lab import guests

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
INVENTORY = "inventory/lab.py"

Stage = tuple[str, Callable[[], None]]


def run(*command: str, guest: str = "", fine: tuple[int, ...] = (0,)) -> None:
    """Run a program of this environment in the project's root, on the lab with that guest; its failure ends the run.

    `fine`: exit codes that are no failure.

    Raises:
        SystemExit: with its exit code, after saying which command failed.
    """
    env = {**os.environ, guests.VARIABLE: guest} if guest else None
    code = subprocess.run([str(BIN / command[0]), *command[1:]], cwd=ROOT, check=False, env=env).returncode
    if code not in fine:
        print(f"\nFailed ({code}): {' '.join(command)}", flush=True)
        raise SystemExit(code)


def check() -> None:
    run("ruff", "check", "--quiet", ".")
    run("ruff", "format", "--quiet", "--check", ".")
    run("mypy")


def unit() -> None:
    # Apart: pyinfra-testing patches the standard library for gevent.
    # Four at a time, also on two processors: the doctor's tests are mostly about waiting.
    run("pytest", "-q", "-n", "4", "tests/unit")
    run("pytest", "-q", "tests/facts", "tests/operations")


def proxy() -> None:
    # Built where what it takes is shown; the tests themselves would build it in silence.
    run("python", "-m", "lab", "build")
    run("python", "-m", "lab", "build", "roots", "engine", "compose", "pebble")
    run("pytest", "-q", "-m", "not long", "tests/proxy", "tests/properties")


def long_proxy() -> None:
    run("python", "-m", "lab", "build", "engine", "images", "tools", "models")
    run("pytest", "-v", "-s", "-m", "long", "tests/proxy")


def fresh_lab() -> None:
    status = lab.status()
    half_there = bool(status.pids) and not status.running
    if half_there or "fresh" not in status.snapshots:
        run("python", "-m", "lab", "up")
    # Restoring starts a machine that is down, too, and quicker than a boot.
    run("python", "-m", "lab", "restore", "fresh")


def deploy() -> None:
    run("pyinfra", "-y", INVENTORY, "deploy.py")


def backend() -> None:
    run("python", "-m", "tests.lab.backend")


def snapshot() -> None:
    run("python", "-m", "lab", "snapshot", "deployed")


def second_deploy() -> None:
    run("pytest", "-q", "-s", "tests/lab/test_second_deploy.py")


def acceptance() -> None:
    run("pytest", "-q", "-p", "no:cacheprovider", "tests/acceptance", "--inventory", INVENTORY)


def browser() -> None:
    run("pytest", "-q", "tests/browser")


def deployed_lab() -> None:
    """The lab with the snapshot that scenarios start from; made if it is not there."""
    run("python", "-m", "lab", "up")
    if "deployed" not in lab.status().snapshots:
        for step in (fresh_lab, backend, deploy, snapshot):
            step()


def scenarios() -> None:
    run("pytest", "-v", "-s", "tests/lab", "-m", "scenario and not long and not unproven")


def long_scenarios() -> None:
    go_on = ["--go-on"] if os.environ.get("GO_ON") == "1" else []
    run("pytest", "-v", "-s", "tests/lab", "-m", "scenario and long and not unproven", *go_on)


def bookworm() -> None:
    run("pytest", "-v", "-s", "tests/lab/places/test_bookworm.py", guest=guests.BOOKWORM.name)


def arm64() -> None:
    run("pytest", "-v", "-s", "tests/lab/places/test_arm64.py", guest=guests.ARM64.name)


def unproven() -> None:
    # 5: there is none.
    run("pytest", "-v", "-s", "tests/lab", "-m", "scenario and unproven", fine=(0, 5))


def say_hello() -> None:
    """Ask the deployed stack through its proxy, and print the answer as it streams."""
    status = lab.status()
    model = status.models[0]
    body = json.dumps({"model": model, "prompt": "Who are you?"}).encode()
    request = urllib.request.Request(f"{status.url}/api/ollama", body, {"Content-Type": "application/json"})
    print(f"\n{model} says: ", end="", flush=True)
    with urllib.request.urlopen(request, timeout=300) as answer:
        for line in answer:
            print(json.loads(line)["response"], end="", flush=True)
    print(f"\n\nThe chat page: {status.url}")
    for line in status.origins:
        print(f"  {line}")
    print(f"  a shell on the machine: {BIN.parent.name}/bin/python -m lab ssh    stop it: make lab-down")


RUNS: dict[str, list[Stage]] = {
    "check": [("checks", check)],
    "unit": [("tests without a host", unit)],
    "proxy": [("real httpd and Ollama, without a host", proxy)],
    "proxy-long": [("a stuck Ollama, and what is only slow", long_proxy)],
    "demo": [("lab", fresh_lab), ("deploy", deploy), ("first question", say_hello)],
    "test": [
        ("checks", check),
        ("tests without a host", unit),
        ("real httpd and Ollama, without a host", proxy),
        ("lab", fresh_lab),
        ("backend on :5001", backend),
        ("deploy", deploy),
        ("snapshot", snapshot),
        ("second deploy", second_deploy),
        ("acceptance", acceptance),
        ("browser", browser),
    ],
    "scenarios": [("lab", deployed_lab), ("scenarios", scenarios)],
    "faults": [("lab", deployed_lab), ("the long scenarios", long_scenarios)],
    "places": [("Debian 12, Docker's own packages", bookworm)],
    "arm64": [("Debian arm64, emulated", arm64)],
    "unproven": [("lab", deployed_lab), ("scenarios not yet seen passing", unproven)],
}


def main(name: str) -> None:
    """Run the stages of one of RUNS and print how long each took, also after a failure."""
    begun = time.monotonic()
    times: list[tuple[str, float]] = []
    try:
        for title, stage in RUNS[name]:
            print(f"\n=== {title} ===", flush=True)
            start = time.monotonic()
            try:
                stage()
            finally:
                times.append((title, time.monotonic() - start))
    finally:
        print(f"\n{name}: time per stage")
        for title, seconds in times:
            print(f"  {seconds:7.1f} s  {title}")
        print(f"  {time.monotonic() - begun:7.1f} s  in all", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
