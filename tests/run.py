"""`make demo`, `make test` and its suites: timed stages, in sequence or in lanes; the first failure ends the run."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from functools import partial
from pathlib import Path

import lab
from lab import guests, hub, smollm2
from tests import lanes
from tests.lanes import Stage

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
INVENTORY = "inventory/lab.py"

DEMO = "demo"
DEMO_TOKENS = 70


def run(*command: str, guest: str = "", success: tuple[int, ...] = (0,)) -> None:
    """Run a program of this environment in the project's root, on the lab with that guest; a failure ends the run.

    `success`: exit codes that are not failures.

    Raises:
        SystemExit: with its exit code, after printing which command failed.
    """
    env = {**os.environ, guests.VARIABLE: guest} if guest else None
    code = lanes.execute([str(BIN / command[0]), *command[1:]], ROOT, env)
    if code not in success:
        lanes.say(f"\nFailed ({code}): {' '.join(command)}")
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


def build() -> None:
    """Build what tests without a virtual machine need, with progress output; they would build it silently."""
    run("python", "-m", "lab", "build")
    parts = ("roots", "engine", "compose", "pebble", "login", "prometheus", "libraries", "nextjs", "house")
    run("python", "-m", "lab", "build", *parts)


def proxy() -> None:
    build()
    # More at a time than processors: they mostly wait for time-outs, models and containers.
    run("pytest", "-q", "-n", "3", "--dist", "loadfile", "-m", "not long", "tests/proxy")


def proxy_long() -> None:
    run("python", "-m", "lab", "build", "engine", "images", "tools", "models")
    run("pytest", "-v", "-s", "-m", "long", "tests/proxy")


def sources() -> None:
    run("python", "-m", "lab", "sources")


def fresh_lab(images: str = hub.BUILT, models: str = smollm2.TINY) -> None:
    stack = ("--images", images, "--models", models)
    status = lab.status()
    partly_running = bool(status.pids) and not status.running
    if partly_running or "fresh" not in status.snapshots:
        run("python", "-m", "lab", "up", *stack)
    if "fresh" in status.snapshots:
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


def fresh_deploy() -> None:
    for step in (fresh_lab, backend, deploy, snapshot):
        step()


def second_deploy() -> None:
    run("pytest", "-q", "-s", "tests/lab/test_second_deploy.py")


def acceptance() -> None:
    run("pytest", "-q", "-p", "no:cacheprovider", "tests/acceptance", "--inventory", INVENTORY)


def browser() -> None:
    run("pytest", "-q", "-n", "3", "--dist", "loadfile", "-m", "not deployed", "tests/browser")


def deployed_page() -> None:
    run("pytest", "-q", "-m", "deployed", "tests/browser")


def deployed_lab() -> None:
    """The lab with the snapshot that scenarios start from, which is created if it is missing."""
    run("python", "-m", "lab", "up", "--images", hub.BUILT, "--models", smollm2.TINY)
    if "deployed" not in lab.status().snapshots:
        fresh_deploy()


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


PROXY: Stage = ("real httpd and Ollama, without a virtual machine", proxy)
UNIT: Stage = ("unit tests", unit)
OPERATIONS: Stage = ("operations and facts", partial(run, *PYINFRA))
LAB: Stage = ("lab", deployed_lab)
SCENARIOS: Stage = ("scenarios", scenarios)
HOUSE: Stage = ("several hosts", house)
HOUSE_LONG: Stage = ("long scenarios of several hosts", house_long)
ON_GUEST: list[Stage] = [
    ("lab, backend on :5001, deploy, snapshot", fresh_deploy),
    ("second deploy", second_deploy),
    ("acceptance", acceptance),
    ("browser, with the deployed page", deployed_page),
]
ON_LOOPBACK: list[Stage] = [PROXY]
OTHERS: list[Stage] = [("checks", check), UNIT, OPERATIONS, ("browser", browser)]
RUNS: dict[str, tuple[list[Stage], ...]] = {
    "check": ([("checks", check)],),
    "unit": ([UNIT, OPERATIONS],),
    "proxy": ([PROXY],),
    "proxy-long": ([("a stuck and a slow Ollama", proxy_long)],),
    # Three lanes on two processors: the emulated guest keeps one busy, the others mostly wait.
    "test": (ON_GUEST, ON_LOOPBACK, OTHERS),
    # In one run, since the scenarios begin while the other lanes are still busy.
    "all": ([*ON_GUEST, SCENARIOS], ON_LOOPBACK, [("sources", sources), *OTHERS, HOUSE]),
    "scenarios": ([HOUSE, LAB, SCENARIOS],),
    "faults": ([HOUSE_LONG, LAB, ("long scenarios", long_scenarios)],),
    "house": ([HOUSE, HOUSE_LONG],),
    "places": ([("Debian 12, Docker's own packages", bookworm), LAB, ("no network", offline)],),
    "arm64": ([("Debian arm64, emulated", arm64)],),
    "unproven": ([LAB, ("scenarios that have not passed yet", unproven)],),
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
    times: lanes.Times = []
    signal.signal(signal.SIGTERM, _end)
    # A shell script's `make test &` has it ignored, and with it all that a lane starts: nothing would end early.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        chosen = (demo(images),) if name == DEMO else RUNS[name]
        if len(chosen) > 1:
            lanes.run_lanes(chosen, times)
        else:
            _in_sequence(chosen[0], times)
    finally:
        print(f"\n{name}: time per stage")
        for title, seconds in times:
            print(f"  {seconds:7.1f} s  {title}")
        print(f"  {time.monotonic() - begun:7.1f} s  in total", flush=True)


def _in_sequence(stages: list[Stage], times: lanes.Times) -> None:
    for title, stage in stages:
        print(f"\n=== {title} ===", flush=True)
        start = time.monotonic()
        try:
            stage()
        finally:
            times.append((title, time.monotonic() - start))


def _end(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


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
