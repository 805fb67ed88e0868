"""What the state of a host means: the fact `hearth.stack.health_facts.Symptoms` and the settings → findings. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hearth.doctor.causes import host as causes
from hearth.doctor.causes.cause import Finding
from hearth.paths import CONTAINERS
from hearth.stack.containers import LOOP, is_stuck

_DISK_LEFT = 1_000_000_000
# Shares of the memory: so little free, and so much moved to disk, is felt.
_MEMORY_LEFT, _SWAPPED = 0.05, 0.1
# Of models' processes while a question waits: so long without work is no thinking, loading or reading from swap.
_IDLE_SECONDS, _IDLE_CPU, _IDLE_READ = 28, 0.2, 1 << 20
# Since a container was started again: what ended longer ago is over.
_RECENTLY = 600


def judge(name: str, symptoms: Mapping[str, Any], data: Mapping[str, Any]) -> list[Finding]:
    """Everything that is wrong with a host.

    Args:
        name: of the host in the inventory.
        symptoms: the fact.
        data: the host's data as pyinfra has it, settings among it.
    """
    if not symptoms.get("access"):
        error = f"the login to {name} may not look: sudo asks for a password, or there is none"
        return [Finding(causes.HOST_NOT_LOOKED_AT, error, {"error": error})]
    found = []
    if symptoms["engine"]:
        found.append(_seen(causes.ENGINE_SILENT, symptoms["engine"]))
    elif not symptoms["deployed"]:
        found.append(Finding(causes.NOT_DEPLOYED, f"{name} has no /opt/hearth/compose.yaml", {"name": name}))
    else:
        found += _containers(symptoms)
    return [*found, *_machine(symptoms), *_ollama(symptoms, data)]


def _containers(symptoms: Mapping[str, Any]) -> list[Finding]:
    found = []
    if stuck := why_stuck(symptoms):
        found.append(_seen(causes.MODEL_SERVER_STUCK, stuck))
    if wrong := [sentence for sentence in symptoms["drift"] if not is_stuck(sentence)]:
        found.append(_seen(causes.CONTAINER_WRONG, "; ".join(wrong)))
    for name, state in symptoms["containers"].items():
        up, count = state["up_seconds"], state["restarts"]
        if up is not None and up < _RECENTLY and count >= LOOP:
            found.append(_seen(causes.CONTAINER_KEEPS_ENDING, f"{name} ended {count} times, the last time {up} s ago"))
    if symptoms["way"]:
        found.append(_seen(causes.OLLAMA_UNREACHABLE, symptoms["way"]))
    killed = [
        f"{one} itself" for one, state in symptoms["containers"].items() if state["oom"] and not symptoms["kills"]
    ]
    if count := symptoms["kills"]:
        killed.append(f"{'a process' if count == 1 else f'{count} processes'} in {CONTAINERS['ollama']}")
    if killed:
        found.append(_seen(causes.CONTAINER_OUT_OF_MEMORY, ", ".join(killed)))
    return found


def why_stuck(symptoms: Mapping[str, Any]) -> str:
    """The evidence that Ollama answers no question any more, "" where there is none."""
    for name, state in symptoms["containers"].items():
        if is_stuck(state["trouble"]):
            return f'the health check of {name} says "{state["trouble"]}"'
    work = symptoms["work"]
    if not work or not work["models"] or not is_idle(work):
        return ""
    return (
        f"{work['questions']} question(s) wait, and for {work['seconds']} s the model's process used "
        f"{work['cpu_seconds']:.1f} s of processor time and read nothing"
    )


def is_idle(work: Mapping[str, Any]) -> bool:
    """Whether nothing was done for the questions in flight, for long enough to tell."""
    return bool(
        work["seconds"] >= _IDLE_SECONDS and work["cpu_seconds"] <= _IDLE_CPU and work["read_bytes"] <= _IDLE_READ
    )


def _seen(cause: Any, what: str) -> Finding:
    return Finding(cause, what, {"what": what})


def _machine(symptoms: Mapping[str, Any]) -> list[Finding]:
    found = []
    if symptoms["memory_limits"] is False:
        found.append(Finding(causes.MEMORY_LIMITS_OFF, "docker info: no memory limit support"))
    memory = symptoms["memory"]
    total, available = memory.get("MemTotal", 0), memory.get("MemAvailable", 0)
    swapped = memory.get("SwapTotal", 0) - memory.get("SwapFree", 0)
    if total and (available < total * _MEMORY_LEFT or swapped > total * _SWAPPED):
        words = {"available": _mb(available), "total": _mb(total), "swapped": _mb(swapped)}
        found.append(Finding(causes.HOST_MEMORY_LOW, f"{words['available']} of {words['total']} free", words))
    for whose, left in (("Docker's", symptoms["free_bytes"]), ("The models'", symptoms.get("models_free_bytes"))):
        if left is not None and left < _DISK_LEFT:
            free = f"{left / 1e6:.0f} MB"
            found.append(Finding(causes.DISK_FULL, f"{free} left", {"free": free, "whose": whose}))
            break  # they may well be the same
    return found


def _mb(kilobytes: int) -> str:
    return f"{kilobytes / 1024:.0f} MiB"


def _ollama(symptoms: Mapping[str, Any], data: Mapping[str, Any]) -> list[Finding]:
    found = []
    # As compose.yaml has it: nothing is set where nothing is listed.
    wanted, in_force = ",".join(data.get("allowed_origins", ())), symptoms["origins"]
    if in_force is not None and in_force != wanted:
        words = {"wanted": wanted or "(none)", "found": in_force or "(none)"}
        found.append(Finding(causes.ORIGINS_NOT_IN_FORCE, f'in force: "{in_force}", wanted: "{wanted}"', words))
    native = [f"{address}:{port}" for address, port, program in symptoms["listeners"] if program == "ollama"]
    if native:
        found.append(_seen(causes.NATIVE_OLLAMA, ", ".join(native)))
    if symptoms["errors"]:
        found.append(_seen(causes.ERRORS_IN_LOGS, " / ".join(symptoms["errors"])))
    return found
