"""What the state of a host means: the fact `hearth.stack.health_facts.Symptoms` and the settings → findings. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from hearth.doctor.causes import host as causes
from hearth.doctor.causes.cause import Finding
from hearth.paths import CONTAINERS
from hearth.runtime.text import join_words
from hearth.settings.origins import ollama_origins
from hearth.stack.containers import LOOP, is_stuck

_DISK_LEFT = 1_000_000_000
# Shares of the memory: with so little free, or so much swapped out, the host is noticeably slow.
_MEMORY_LEFT, _SWAPPED = 0.05, 0.1
# Of the models' processes while a prompt waits: seconds, processor seconds and bytes read below which they are idle,
# neither generating nor loading nor reading from swap.
_IDLE_SECONDS, _IDLE_CPU, _IDLE_READ = 28, 0.2, 1 << 20
# Seconds since a container was restarted: older problems are over.
_RECENTLY = 600


def judge(name: str, symptoms: Mapping[str, Any], data: Mapping[str, Any]) -> list[Finding]:
    """All problems of a host.

    Args:
        name: of the host in the inventory.
        symptoms: the fact.
        data: the host's data in pyinfra, including the settings.
    """
    if not symptoms.get("access"):
        error = f"{name} could not be inspected: sudo is missing or requires a password"
        return [Finding(causes.HOST_NOT_LOOKED_AT, error, {"error": error})]
    findings = []
    if symptoms["engine"]:
        findings.append(_finding(causes.ENGINE_SILENT, symptoms["engine"]))
    elif not symptoms["deployed"]:
        findings.append(Finding(causes.NOT_DEPLOYED, f"{name} has no /opt/hearth/compose.yaml", {"name": name}))
    else:
        findings += _containers(symptoms)
    return [*findings, *_pools(symptoms), *_machine(symptoms), *_ollama(symptoms, data)]


def _containers(symptoms: Mapping[str, Any]) -> list[Finding]:
    findings = []
    if stuck := why_stuck(symptoms):
        findings.append(_finding(causes.MODEL_SERVER_STUCK, stuck))
    if wrong := [sentence for sentence in symptoms["drift"] if not is_stuck(sentence)]:
        findings.append(_finding(causes.CONTAINER_WRONG, "; ".join(wrong)))
    for name, state in symptoms["containers"].items():
        up, count = state["up_seconds"], state["restarts"]
        if up is not None and up < _RECENTLY and count >= LOOP:
            findings.append(
                _finding(causes.CONTAINER_KEEPS_ENDING, f"{name} exited {count} times, most recently {up} s ago")
            )
    if symptoms["way"]:
        findings.append(_finding(causes.OLLAMA_UNREACHABLE, symptoms["way"]))
    killed = [
        f"{one} itself" for one, state in symptoms["containers"].items() if state["oom"] and not symptoms["kills"]
    ]
    if count := symptoms["kills"]:
        killed.append(f"{'a process' if count == 1 else f'{count} processes'} in {CONTAINERS['ollama']}")
    if killed:
        findings.append(_finding(causes.CONTAINER_OUT_OF_MEMORY, ", ".join(killed)))
    return findings


def _pools(symptoms: Mapping[str, Any]) -> list[Finding]:
    """Problems of a gateway's backends."""
    findings, backends = [], symptoms.get("backends", {})
    responding = {name: set(models) for name, (status, models) in backends.items() if status == 200}
    pools = {pool: [name for name in names if name in backends] for pool, names in symptoms.get("pools", {}).items()}
    if refusing := [name for name, (status, _) in backends.items() if status == 403]:
        findings.append(_finding(causes.BACKEND_REFUSES_ORIGIN, f"{join_words(refusing)} responded with status 403"))
    silent = [name for name in backends if name not in responding and name not in refusing]
    empty = {pool: names for pool, names in pools.items() if names and not set(names) & set(responding)}
    for pool, names in empty.items():
        findings.append(_finding(causes.POOL_EMPTY, f'in the pool "{pool}", {_states(names, backends)}'))
    in_empty = {name for names in empty.values() for name in names}
    if alone := [name for name in silent if name not in in_empty]:
        findings.append(_finding(causes.BACKEND_DOWN, _states(alone, backends)))
    lacks = [
        f'{name} lacks {", ".join(sorted(missing))}, which others in the pool "{pool}" have'
        for pool, names in pools.items()
        for name in names
        if name in responding
        and (missing := set().union(*(responding.get(other, set()) for other in names)) - responding[name])
        and not _in_another_pool(missing, pool, pools, responding)
    ]
    if lacks:
        findings.append(_finding(causes.BACKEND_LACKS_MODEL, "; ".join(lacks)))
    return findings


def _in_another_pool(
    models: Collection[str], pool: str, pools: Mapping[str, list[str]], responding: Mapping[str, set[str]]
) -> bool:
    """Whether there is another pool for these models, all of whose backends have them: where clients find them."""
    return any(
        other != pool and names and all(set(models) <= responding.get(name, set(models)) for name in names)
        for other, names in pools.items()
    )


def _states(names: Iterable[str], backends: Mapping[str, Any]) -> str:
    return "; ".join(
        f"{name} responded with status {status}" if status else f"{name} did not respond"
        for name, (status, _) in ((name, backends[name]) for name in names)
    )


def why_stuck(symptoms: Mapping[str, Any]) -> str:
    """The evidence that Ollama no longer answers prompts, "" if there is none."""
    for name, state in symptoms["containers"].items():
        if is_stuck(state["trouble"]):
            return f'the health check of {name} reports "{state["trouble"]}"'
    work = symptoms["work"]
    if not work or not work["models"] or not is_idle(work):
        return ""
    return (
        f"{work['questions']} prompt(s) waiting, and in {work['seconds']} s the model's process used "
        f"{work['cpu_seconds']:.1f} s of processor time and read nothing"
    )


def is_idle(work: Mapping[str, Any]) -> bool:
    """Whether nothing was done for the prompts in flight, for long enough to be sure."""
    return bool(
        work["seconds"] >= _IDLE_SECONDS and work["cpu_seconds"] <= _IDLE_CPU and work["read_bytes"] <= _IDLE_READ
    )


def _finding(cause: Any, what: str) -> Finding:
    return Finding(cause, what, {"what": what})


def _machine(symptoms: Mapping[str, Any]) -> list[Finding]:
    findings = []
    if symptoms["memory_limits"] is False:
        findings.append(Finding(causes.MEMORY_LIMITS_OFF, "docker info: no memory limit support"))
    memory = symptoms["memory"]
    total, available = memory.get("MemTotal", 0), memory.get("MemAvailable", 0)
    swapped = memory.get("SwapTotal", 0) - memory.get("SwapFree", 0)
    if total and (available < total * _MEMORY_LEFT or swapped > total * _SWAPPED):
        values = {"available": _mb(available), "total": _mb(total), "swapped": _mb(swapped)}
        findings.append(Finding(causes.HOST_MEMORY_LOW, f"{values['available']} of {values['total']} free", values))
    for whose, left in (("Docker's", symptoms["free_bytes"]), ("The models'", symptoms.get("models_free_bytes"))):
        if left is not None and left < _DISK_LEFT:
            free = f"{left / 1e6:.0f} MB"
            findings.append(Finding(causes.DISK_FULL, f"{free} left", {"free": free, "whose": whose}))
            break  # it may be the same disk
    return findings


def _mb(kilobytes: int) -> str:
    return f"{kilobytes / 1024:.0f} MiB"


def _ollama(symptoms: Mapping[str, Any], data: Mapping[str, Any]) -> list[Finding]:
    findings = []
    # As in compose.yaml: without listed origins, the variable is not set.
    configured, active = ollama_origins(tuple(data.get("allowed_origins", ()))), symptoms["origins"]
    if active is not None and active != configured:
        values = {"configured": configured or "(none)", "active": active or "(none)"}
        findings.append(Finding(causes.ORIGINS_NOT_IN_FORCE, f'active: "{active}", configured: "{configured}"', values))
    if loss := symptoms.get("gpu_loss"):
        findings.append(_finding(causes.GPU_NOT_USED, loss))
    native = [f"{address}:{port}" for address, port, program in symptoms["listeners"] if program == "ollama"]
    if native:
        findings.append(_finding(causes.NATIVE_OLLAMA, ", ".join(native)))
    findings += _providers(symptoms.get("providers", {}))
    if symptoms["errors"]:
        findings.append(_finding(causes.ERRORS_IN_LOGS, " / ".join(symptoms["errors"])))
    return findings


def providers_to_ask(data: Mapping[str, Any]) -> list[str]:
    """Names of the providers in the internet that have a route for a request that costs nothing.

    Args:
        data: the host's data in pyinfra.
    """
    providers: Mapping[str, Mapping[str, Any]] = data.get("proxy_providers") or {}
    return [name for name, one in providers.items() if "GET /models" in (one.get("endpoints") or ["GET /models"])]


def _providers(answers: Mapping[str, Any]) -> list[Finding]:
    findings = []
    for name, (status, text) in answers.items():
        try:
            message = str(json.loads(text)["error"]["message"])
        except (ValueError, KeyError, TypeError):
            message = text
        values = {"name": name, "what": message or f"status {status}" if status else "no answer within 15 s"}
        observed = f"/{name}/v1/models: {values['what']}"
        if status == 502 and "refused the key" in message:
            findings.append(Finding(causes.PROVIDER_REFUSES_KEY, observed, values))
        elif status == 0 or status >= 500:
            findings.append(Finding(causes.PROVIDER_UNREACHABLE, observed, values))
    return findings
