"""What the state of a host means: the fact `hearth.facts.symptoms.Symptoms` and the settings → findings. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hearth.doctor import host_causes as causes
from hearth.doctor.cause import Finding

_DISK_LEFT = 1_000_000_000
# Shares of the memory: so little free, and so much moved to disk, is felt.
_MEMORY_LEFT, _SWAPPED = 0.05, 0.1


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
    elif symptoms["drift"]:
        found.append(_seen(causes.CONTAINER_WRONG, "; ".join(symptoms["drift"])))
    if killed := [one for one, state in symptoms["containers"].items() if state["oom"]]:
        found.append(_seen(causes.CONTAINER_OUT_OF_MEMORY, ", ".join(killed)))
    return [*found, *_machine(symptoms), *_ollama(symptoms, data)]


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
