"""`make demo`, `make test` and its suites: stages one after another, each timed; the first failure ends the run."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path

import lab
from lab import guests, hub, smollm2

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
INVENTORY = "inventory/lab.py"

DEMO = "demo"
ANSWER_TOKENS = 70

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
    run("python", "-m", "tests.support.checks")


def unit() -> None:
    # Apart: pyinfra-testing patches the standard library for gevent.
    # Four at a time, also on two processors: the doctor's tests are mostly about waiting.
    run("pytest", "-q", "-n", "4", "tests/unit")
    run("pytest", "-q", "tests/pyinfra")


def proxy() -> None:
    # Built where what it takes is shown; the tests themselves would build it in silence.
    run("python", "-m", "lab", "build")
    run("python", "-m", "lab", "build", "roots", "engine", "compose", "pebble")
    run("pytest", "-q", "-m", "not long", "tests/proxy")


def long_proxy() -> None:
    run("python", "-m", "lab", "build", "engine", "images", "tools", "models")
    run("pytest", "-v", "-s", "-m", "long", "tests/proxy")


def fresh_lab(images: str = hub.BUILT, models: str = smollm2.TINY) -> None:
    stack = ("--images", images, "--models", models)
    status = lab.status()
    half_there = bool(status.pids) and not status.running
    if half_there or "fresh" not in status.snapshots:
        run("python", "-m", "lab", "up", *stack)
    # Restoring starts a machine that is down, too, and quicker than a boot.
    run("python", "-m", "lab", "fresh", *stack)


def demo_lab(images: str) -> None:
    """A fresh lab for the model that really answers, with nothing built but the guest where `images` is "hub"."""
    if images == hub.BUILT:
        build_packages()
    fresh_lab(images, smollm2.REAL)


def build_packages() -> None:
    """Install what building takes beyond running, with apt."""
    if subprocess.run([str(ROOT / "lab/machine.sh")], cwd=ROOT, check=False).returncode:
        raise SystemExit("The Debian packages for building the lab could not be installed.")


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
    run("python", "-m", "lab", "up", "--images", hub.BUILT, "--models", smollm2.TINY)
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
    model, question = status.models[0], "Why is the sky blue?"
    # An emulated guest makes some three words a second.
    asked = {"model": model, "prompt": question, "options": {"num_predict": ANSWER_TOKENS}}
    body = json.dumps(asked).encode()
    request = urllib.request.Request(f"{status.url}/api/ollama", body, {"Content-Type": "application/json"})
    print(f"\nYou ask: {question}\n{model} answers: ", end="", flush=True)
    last: dict[str, object] = {}
    with urllib.request.urlopen(request, timeout=300) as answer:
        for line in answer:
            last = json.loads(line)
            print(last["response"], end="", flush=True)
    if not last.get("done"):  # of a chunked answer that breaks off, reading lines hides the break
        raise SystemExit("\n\nThe answer broke off. Look at: python -m lab ssh -- sudo docker logs hearth-ollama")
    if last.get("done_reason") == "length":
        print(f" … (the demo asks for {ANSWER_TOKENS} tokens at most)", end="")
    if model != smollm2.NAME:
        print(f"\n\n{smollm2.NAME} could not be fetched, so that was a tiny model, which knows one sentence.", end="")
    print(f"\n\nThe chat page: {status.url}")
    for line in status.origins:
        print(f"  {line}")
    print("  a shell on the machine: .venv/bin/python -m lab ssh    stop the machine: .venv/bin/python -m lab down")


RUNS: dict[str, list[Stage]] = {
    "check": [("checks", check)],
    "unit": [("tests without a host", unit)],
    "proxy": [("real httpd and Ollama, without a host", proxy)],
    "proxy-long": [("a stuck Ollama, and what is only slow", long_proxy)],
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


def demo(asked: str) -> list[Stage]:
    """The stages of the demo, after saying where images and models come from. `asked`: "hub", "built" or "auto"."""
    choice = hub.choose(asked)
    where = {
        hub.HUB: "Docker Hub and Ollama's library; only the virtual machine is made here",
        hub.BUILT: "registries of the lab, which is built here",
    }
    print(f"Images and models: {where[choice.mode]} ({choice.why}; IMAGES=hub or IMAGES=built decides)", flush=True)
    return [("lab", partial(demo_lab, choice.mode)), ("deploy", deploy), ("first question", say_hello)]


def main(name: str, images: str = hub.AUTO) -> None:
    """Run the stages of one of RUNS, or the demo, and print how long each took, also after a failure."""
    begun = time.monotonic()
    times: list[tuple[str, float]] = []
    try:
        for title, stage in demo(images) if name == DEMO else RUNS[name]:
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


def parser() -> argparse.ArgumentParser:
    """The command line."""
    words = argparse.ArgumentParser(prog="python -m tests.run")
    words.add_argument("name", choices=(DEMO, *RUNS))
    help_ = "of the demo: from Docker Hub, built here, or whichever fits this machine"
    words.add_argument("--images", choices=(*hub.MODES, hub.AUTO), default=hub.AUTO, help=help_)
    return words


if __name__ == "__main__":
    arguments = parser().parse_args()
    main(arguments.name, arguments.images)
