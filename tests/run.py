"""`make demo`, `make test` and its suites: timed stages, most of them in sequence; the first failure ends the run."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import lab
from lab import guests, hub, smollm2

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
INVENTORY = "inventory/lab.py"

DEMO = "demo"
DEMO_TOKENS = 70

Stage = tuple[str, Callable[[], None]]


def run(*command: str, guest: str = "", success: tuple[int, ...] = (0,)) -> None:
    """Run a program of this environment in the project's root, on the lab with that guest; a failure ends the run.

    `success`: exit codes that are not failures.

    Raises:
        SystemExit: with its exit code, after printing which command failed.
    """
    env = {**os.environ, guests.VARIABLE: guest} if guest else None
    code = subprocess.run([str(BIN / command[0]), *command[1:]], cwd=ROOT, check=False, env=env).returncode
    if code not in success:
        print(f"\nFailed ({code}): {' '.join(command)}", flush=True)
        raise SystemExit(code)


@contextmanager
def in_parallel(*command: str) -> Iterator[None]:
    """Run a program of this environment while the block runs; then show its output.

    Raises:
        SystemExit: it failed; its exit code.
    """
    with tempfile.TemporaryFile() as output:
        # A session of its own, so that a failure of the block, or Ctrl-C, ends all of its processes.
        other = subprocess.Popen(
            [str(BIN / command[0]), *command[1:]], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
        try:
            yield
            code = other.wait()
        finally:
            if other.poll() is None:
                os.killpg(other.pid, signal.SIGTERM)
                other.wait()
            output.seek(0)
            print(f"\n=== in parallel: {' '.join(command)} ===\n{output.read().decode(errors='replace')}", flush=True)
    if code:
        print(f"\nFailed ({code}): {' '.join(command)}", flush=True)
        raise SystemExit(code)


def check() -> None:
    run("ruff", "check", "--quiet", ".")
    run("ruff", "format", "--quiet", "--check", ".")
    run("mypy")
    run("python", "-m", "tests.support.checks")


def unit() -> None:
    # Four at a time even on two processors: the doctor's tests mostly wait.
    run("pytest", "-q", "-n", "4", "tests/unit")


# Separately: pyinfra-testing patches the standard library for gevent.
PYINFRA = ("pytest", "-q", "tests/pyinfra")


def proxy() -> None:
    # Built here, with progress output; the tests would build it silently.
    run("python", "-m", "lab", "build")
    run("python", "-m", "lab", "build", "roots", "engine", "compose", "pebble", "login", "prometheus", "libraries")
    # More at a time than processors: they mostly wait for time-outs, models and containers.
    run("pytest", "-q", "-n", "3", "--dist", "loadfile", "-m", "not long", "tests/proxy")


def proxy_long() -> None:
    run("python", "-m", "lab", "build", "engine", "images", "tools", "models")
    run("pytest", "-v", "-s", "-m", "long", "tests/proxy")


def fresh_lab(images: str = hub.BUILT, models: str = smollm2.TINY) -> None:
    stack = ("--images", images, "--models", models)
    status = lab.status()
    partly_running = bool(status.pids) and not status.running
    if partly_running or "fresh" not in status.snapshots:
        run("python", "-m", "lab", "up", *stack)
    # This also starts a machine that is down, faster than a boot.
    run("python", "-m", "lab", "fresh", *stack)


def demo_lab(images: str) -> None:
    """A fresh lab with the real language model. If `images` is "hub", only the guest is built."""
    if images == hub.BUILT:
        build_packages()
    fresh_lab(images, smollm2.REAL)


def build_packages() -> None:
    """Install the packages that building needs, with apt."""
    if subprocess.run([str(ROOT / "lab/machine.sh")], cwd=ROOT, check=False).returncode:
        raise SystemExit("Could not install the Debian packages for building the lab.")


def deploy() -> None:
    run("pyinfra", "-y", INVENTORY, "deploy.py")


def backend() -> None:
    run("python", "-m", "tests.lab.backend")


def snapshot() -> None:
    run("python", "-m", "lab", "snapshot", "deployed")


def deploy_during_tests() -> None:
    # These tests need a processor and measure no time; the deploy mostly waits for the emulated guest.
    with in_parallel(*PYINFRA):
        for step in (fresh_lab, backend, deploy, snapshot):
            step()


def second_deploy() -> None:
    run("pytest", "-q", "-s", "tests/lab/test_second_deploy.py")


def acceptance() -> None:
    run("pytest", "-q", "-p", "no:cacheprovider", "tests/acceptance", "--inventory", INVENTORY)


def browser() -> None:
    run("pytest", "-q", "tests/browser")


def deployed_lab() -> None:
    """The lab with the snapshot that scenarios start from, which is created if it is missing."""
    run("python", "-m", "lab", "up", "--images", hub.BUILT, "--models", smollm2.TINY)
    if "deployed" not in lab.status().snapshots:
        for step in (fresh_lab, backend, deploy, snapshot):
            step()


def scenarios() -> None:
    run("pytest", "-v", "-s", "tests/lab", "-m", "scenario and not long and not unproven")


def long_scenarios() -> None:
    resume = ["--resume"] if os.environ.get("GO_ON") == "1" else []
    run("pytest", "-v", "-s", "tests/lab", "-m", "scenario and long and not unproven", *resume)


def house() -> None:
    run("pytest", "-v", "-s", "-m", "not long", "tests/house")


def house_long() -> None:
    run("pytest", "-v", "-s", "-m", "long", "tests/house")


def bookworm() -> None:
    run("pytest", "-v", "-s", "tests/lab/places/test_bookworm.py", guest=guests.BOOKWORM.name)


def offline() -> None:
    run("pytest", "-v", "-s", "tests/lab/places/test_offline.py")


def arm64() -> None:
    run("pytest", "-v", "-s", "tests/lab/places/test_arm64.py", guest=guests.ARM64.name)


def unproven() -> None:
    # 5: no tests.
    run("pytest", "-v", "-s", "tests/lab", "-m", "scenario and unproven", success=(0, 5))


def first_prompt() -> None:
    """Send a prompt through the deployed proxy, and print the response as it streams."""
    status = lab.status()
    model, prompt = status.models[0], "Why is the sky blue?"
    # An emulated guest generates about three words per second.
    payload = {"model": model, "prompt": prompt, "options": {"num_predict": DEMO_TOKENS}}
    body = json.dumps(payload).encode()
    request = urllib.request.Request(f"{status.url}/api/ollama", body, {"Content-Type": "application/json"})
    print(f"\nPrompt: {prompt}\n{model}: ", end="", flush=True)
    last: dict[str, object] = {}
    with urllib.request.urlopen(request, timeout=300) as response:
        for line in response:
            last = json.loads(line)
            print(last["response"], end="", flush=True)
    if not last.get("done"):  # reading lines hides that a chunked response was cut off
        raise SystemExit(
            "\n\nThe response was cut off. Check the log: python -m lab ssh -- sudo docker logs hearth-ollama"
        )
    if last.get("done_reason") == "length":
        print(f" … (the demo requests at most {DEMO_TOKENS} tokens)", end="")
    if model != smollm2.NAME:
        print(f"\n\n{smollm2.NAME} was not available: this was a tiny model, which knows only this reply.", end="")
    print(f"\n\nChat page: {status.url}")
    for line in status.origins:
        print(f"  {line}")
    print("  shell on the machine: .venv/bin/python -m lab ssh    shut down: .venv/bin/python -m lab down")


RUNS: dict[str, list[Stage]] = {
    "check": [("checks", check)],
    "unit": [("unit tests", unit), ("operations and facts", partial(run, *PYINFRA))],
    "proxy": [("real httpd and Ollama, without a virtual machine", proxy)],
    "proxy-long": [("a stuck and a slow Ollama", proxy_long)],
    "test": [
        ("checks", check),
        ("unit tests", unit),
        ("real httpd and Ollama, without a virtual machine", proxy),
        ("lab, backend on :5001, deploy, snapshot; operations and facts in parallel", deploy_during_tests),
        ("second deploy", second_deploy),
        ("acceptance", acceptance),
        ("browser", browser),
    ],
    "scenarios": [("several hosts", house), ("lab", deployed_lab), ("scenarios", scenarios)],
    "faults": [("several hosts", house_long), ("lab", deployed_lab), ("long scenarios", long_scenarios)],
    "house": [("several hosts", house), ("long scenarios of several hosts", house_long)],
    "places": [("Debian 12, Docker's own packages", bookworm), ("lab", deployed_lab), ("no network", offline)],
    "arm64": [("Debian arm64, emulated", arm64)],
    "unproven": [("lab", deployed_lab), ("scenarios that have not passed yet", unproven)],
}


def demo(images: str) -> list[Stage]:
    """The stages of the demo; prints the origin of images and models. `images`: "hub", "built" or "auto"."""
    choice = hub.choose(images)
    origin = {
        hub.HUB: "Docker Hub and Ollama's library; only the virtual machine is built here",
        hub.BUILT: "the lab's registries, built here",
    }
    print(f"Images and models: {origin[choice.mode]} ({choice.why}; override: IMAGES=hub or built)", flush=True)
    return [("lab", partial(demo_lab, choice.mode)), ("deploy", deploy), ("first prompt", first_prompt)]


def main(name: str, images: str = hub.AUTO) -> None:
    """Run the stages of one of RUNS, or the demo, and print the duration of each, even after a failure."""
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
        print(f"  {time.monotonic() - begun:7.1f} s  in total", flush=True)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    words = argparse.ArgumentParser(prog="python -m tests.run")
    words.add_argument("name", choices=(DEMO, *RUNS))
    help_ = "images of the demo: from Docker Hub, built here, or what suits this machine"
    words.add_argument("--images", choices=(*hub.MODES, hub.AUTO), default=hub.AUTO, help=help_)
    return words


if __name__ == "__main__":
    arguments = parser().parse_args()
    main(arguments.name, arguments.images)
