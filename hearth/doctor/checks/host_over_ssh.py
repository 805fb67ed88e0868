"""Looking at the host from inside, through pyinfra, which is started as a program of its own."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from hearth.doctor.causes import host as causes
from hearth.doctor.causes.cause import Finding
from hearth.doctor.checks.host_state import is_idle, judge
from hearth.doctor.checks.result import Step
from hearth.doctor.target import Target
from hearth.paths import CHECKOUT
from hearth.runtime.pyinfra_process import failure_reason, limit_pattern, resolve_inventory, run_pyinfra

_FACT = "hearth.stack.health_facts.Symptoms"


class InsideError(Exception):
    """The host could not be looked at; the message says why."""


def _python() -> str:
    """A Python that has pyinfra: this one, or the one that `make setup` made.

    Raises:
        InsideError: there is none.
    """
    if importlib.util.find_spec("pyinfra"):
        return sys.executable
    for name in ("bin/python", "Scripts/python.exe"):
        if (path := CHECKOUT / ".venv" / name).exists():
            return str(path)
    raise InsideError("pyinfra is not installed here; `make setup` does it")


def _pyinfra(timeout: float, *words: str) -> Any:
    """What pyinfra prints with --json.

    Raises:
        InsideError: it failed, or printed none; with its own reason.
    """
    try:
        done = run_pyinfra("--json", *words, timeout=timeout, python=_python())
    except subprocess.TimeoutExpired:
        raise InsideError(f"pyinfra gave no answer within {timeout:g} s") from None
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise InsideError(failure_reason(done.stderr) or f"pyinfra ended with {done.returncode}") from None


def choose_host(hosts: Sequence[Mapping[str, Any]], wanted: str, target: Target) -> Mapping[str, Any]:
    """The host to look at: the one that is named, the only one, or the one with the target's address.

    Args:
        hosts: as `debug-inventory --json` shows them.

    Raises:
        InsideError: none of these, or more than one.
    """
    names = ", ".join(host["name"] for host in hosts)
    if wanted:
        fitting = [host for host in hosts if host["name"] == wanted]
    else:
        addressed = [host for host in hosts if target.host in (host["name"], host["data"].get("ssh_hostname"))]
        fitting = addressed or list(hosts)
    if len(fitting) == 1:
        return fitting[0]
    raise InsideError(f"say which host with --host: {names}" if names else "the inventory has no hosts")


def inspect_host(inventory: str, wanted: str, target: Target, timeout: float) -> Step:
    """The step: one login, one round trip.

    Args:
        wanted: name of a host in the inventory, "" to choose.
        timeout: seconds in all.
    """
    path = resolve_inventory(inventory)
    try:
        host = choose_host(_pyinfra(timeout, path, "debug-inventory"), wanted, target)
        name = host["name"]
        models_dir = host["data"].get("ollama_models_dir", "")
        where = [f"models_dir={models_dir}"] if models_dir else []
        answer = _pyinfra(timeout, path, "--limit", limit_pattern(name), "fact", _FACT, *where)
        symptoms = next((facts[name] for facts in answer.values() if name in facts), None)
        if symptoms is None:
            raise InsideError(f"{name} gave no answer")
    except InsideError as error:
        seen = str(error)
        return Step("host", seen, (Finding(causes.HOST_NOT_LOOKED_AT, seen, {"error": seen.rstrip(".")}),))
    findings = tuple(judge(name, symptoms, host["data"]))
    states = ", ".join(f"{one} is {state['status']}" for one, state in symptoms.get("containers", {}).items())
    free = f"; {symptoms['free_bytes'] / 1e9:.1f} GB of disk are free" if "free_bytes" in symptoms else ""
    return Step("host", f"{name}: {states or 'no containers'}{_work(symptoms)}{free}", findings, symptoms)


def _work(symptoms: Mapping[str, Any]) -> str:
    """What tells a busy Ollama from one that is stuck."""
    work = symptoms.get("work")
    if not work:
        return ""
    done = "did nothing" if is_idle(work) else "are at work"
    return f"; {work['questions']} question(s) in flight, and the models' processes {done} in {work['seconds']} s"
