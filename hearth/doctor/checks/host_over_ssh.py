"""Inspect the host from inside, through pyinfra in a separate process."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from hearth.doctor.causes import host as causes
from hearth.doctor.causes.cause import Finding
from hearth.doctor.checks.host_state import is_idle, judge, providers_to_ask
from hearth.doctor.checks.result import Step
from hearth.doctor.target import Target
from hearth.paths import CHECKOUT
from hearth.runtime.pyinfra_process import failure_reason, limit_pattern, resolve_inventory, run_pyinfra

_FACT = "hearth.stack.health_facts.Symptoms"


class HostInspectionError(Exception):
    """The host could not be inspected; the message gives the reason."""


def _python() -> str:
    """A Python with pyinfra: this one, or the one in the environment of `make setup`.

    Raises:
        HostInspectionError: there is no such Python.
    """
    if importlib.util.find_spec("pyinfra"):
        return sys.executable
    for name in ("bin/python", "Scripts/python.exe"):
        if (path := CHECKOUT / ".venv" / name).exists():
            return str(path)
    raise HostInspectionError("pyinfra is not installed here; run `make setup`")


def _pyinfra(timeout: float, *arguments: str) -> Any:
    """The output of pyinfra with --json.

    Raises:
        HostInspectionError: it failed, or printed no JSON; with pyinfra's reason.
    """
    try:
        done = run_pyinfra("--json", *arguments, timeout=timeout, python=_python())
    except subprocess.TimeoutExpired:
        raise HostInspectionError(f"pyinfra did not finish within {timeout:g} s") from None
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise HostInspectionError(failure_reason(done.stderr) or f"pyinfra exited with {done.returncode}") from None


def choose_host(hosts: Sequence[Mapping[str, Any]], requested: str, target: Target) -> Mapping[str, Any]:
    """The host to inspect: the requested one, the only one, or the one with the target's address.

    Args:
        hosts: from `debug-inventory --json`.

    Raises:
        HostInspectionError: no host matches, or several do.
    """
    names = ", ".join(host["name"] for host in hosts)
    if requested:
        matching = [host for host in hosts if host["name"] == requested]
    else:
        addressed = [host for host in hosts if target.host in (host["name"], host["data"].get("ssh_hostname"))]
        matching = addressed or list(hosts)
    if len(matching) == 1:
        return matching[0]
    raise HostInspectionError(f"choose a host with --host: {names}" if names else "the inventory has no hosts")


def inspect_host(inventory: str, requested: str, target: Target, timeout: float) -> Step:
    """The step `host`: one login, one round trip.

    Args:
        requested: name of a host in the inventory, "" to choose by address.
        timeout: seconds for each call of pyinfra.
    """
    path = resolve_inventory(inventory)
    try:
        host = choose_host(_pyinfra(timeout, path, "debug-inventory"), requested, target)
        name = host["name"]
        models_dir = host["data"].get("ollama_models_dir", "")
        arguments = [f"models_dir={models_dir}"] if models_dir else []
        if names := providers_to_ask(host["data"]):
            arguments.append(f"providers={','.join(names)}")
        facts_by_host = _pyinfra(timeout, path, "--limit", limit_pattern(name), "fact", _FACT, *arguments)
        symptoms = next((facts[name] for facts in facts_by_host.values() if name in facts), None)
        if symptoms is None:
            raise HostInspectionError(f"pyinfra returned no facts for {name}")
    except HostInspectionError as error:
        observed = str(error)
        return Step("host", observed, (Finding(causes.HOST_NOT_LOOKED_AT, observed, {"error": observed.rstrip(".")}),))
    findings = tuple(judge(name, symptoms, host["data"]))
    states = ", ".join(f"{one} is {state['status']}" for one, state in symptoms.get("containers", {}).items())
    free = f"; {symptoms['free_bytes'] / 1e9:.1f} GB of disk space free" if "free_bytes" in symptoms else ""
    return Step("host", f"{name}: {states or 'no containers'}{_work(symptoms)}{free}", findings, symptoms)


def _work(symptoms: Mapping[str, Any]) -> str:
    """What distinguishes a busy Ollama from a stuck one."""
    work = symptoms.get("work")
    if not work:
        return ""
    activity = "were idle" if is_idle(work) else "were active"
    return f"; {work['questions']} prompt(s) in flight, and the models' processes {activity} for {work['seconds']} s"
