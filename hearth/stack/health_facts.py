"""The doctor's facts about a host from inside, in one round trip; primitives, since they are printed as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from typing_extensions import override

from hearth.docker.compose_up import IN_FLIGHT
from hearth.docker.facts import EngineUnreachable
from hearth.gpu.use import GPU_USE_PROBE, find_gpu_loss, parse_gpu_use
from hearth.paths import BACKENDS_PATH, CONTAINERS, DOCKER_DIR, ROOT
from hearth.preflight.facts import HostFacts
from hearth.runtime.sections import parse_sections
from hearth.runtime.shell import DOCKER_WITH_TIMEOUT, quote
from hearth.runtime.state_fact import StateFact
from hearth.stack.container_facts import Project
from hearth.stack.containers import find_drift

_PROBE = Path(__file__).with_name("health_probe.sh")

# Log lines about failures: Ollama's and httpd's error levels, a crash, Ollama's 5xx, and the health check.
_LOG_ERRORS = r"level=ERROR|^panic:|^fatal error|^hearth: |\| 5[0-9][0-9] \||\[[a-z_0-9]+:(error|crit|alert|emerg)\]"
# Ollama's log lines about a runner process killed by something else, usually the kernel. (Ollama kills them, too.)
KILLED = r"(no longer running|Load failed).*signal: killed"


class Symptoms(StateFact[dict[str, Any]]):
    """State of the host and its containers.

    It takes up to half a minute if a request is in flight and no progress is visible.

    `access`: False if the login lacks the permission (sudo requires a password); all other keys are missing then.
    `engine`: "" or why Docker does not respond; `deployed`; `drift`: messages; `containers`: name → status, oom,
    exit_code, restarts, `trouble` (output of the health check if it is unhealthy, else ""), `up_seconds` (None if it is
    not running); `work`: of Ollama, None if httpd has no request in flight, else `questions` (requests), `models`
    (processes), and their activity in `seconds`: `cpu_seconds`, `read_bytes`; `kills`: processes of Ollama's container
    that were killed for lack of memory, by the kernel's counter since its start if available, else by the last hour's
    log; `way`: "" or why httpd gets no response from Ollama, None unless both run; `origins`: OLLAMA_ORIGINS in force,
    None if unknown; `providers`: name → (status, error) of a request to its models, status 0 if there was no answer;
    `memory_limits`: whether Docker can limit memory, None if unknown; `memory`: kB by /proc/meminfo's
    names; `free_bytes` of Docker's disk, `models_free_bytes` of the disk of the models directory, None if there is
    none; `gpu_loss`: evidence that the processor computes though a GPU is required, or ""; `listeners`: [address, port,
    program]; `pools`: on a gateway, pool → names of its backends; `backends`: name → [status of its response, its
    models], status 0 without one; `errors`: recent lines of the containers' logs, each after the container's name.
    """

    @override
    def command(self, models_dir: str = "", providers: str = "") -> str:
        """`providers`: names, separated by commas, of those to be asked for their models."""
        paths = (DOCKER_DIR, models_dir) if models_dir else (DOCKER_DIR,)
        names = " ".join(CONTAINERS.values())
        state = " ".join(
            f"{{{{.{name}}}}}"
            for name in ("Name", "State.Status", "State.OOMKilled", "State.ExitCode", "RestartCount", "State.StartedAt")
        )
        environment = "{{range .Config.Env}}{{println .}}{{end}}"
        script = "\n".join(
            [
                DOCKER_WITH_TIMEOUT.strip().removesuffix(";"),
                "limits=$(timeout 40 docker info --format '{{.MemoryLimit}}' 2>/dev/null); answered=$?",
                # A hung engine is not queried again: each query would only time out.
                "[ $answered != 124 ] || timeout() { return 124; }",
                f"({HostFacts().command(tuple(map(quote, paths)), '')})",
                f"({Project().command()})",
                "echo @@memory; grep -E '^(Mem|Swap)' /proc/meminfo",
                # Without a responding engine it also prints "false", and fails.
                "[ $answered = 0 ] || exit 0; echo @@limits; echo $limits",
                f"echo @@states; docker inspect --type container --format '{state}' {names} 2>/dev/null",
                f"echo @@environment; docker inspect --format '{environment}' {CONTAINERS['ollama']} 2>/dev/null",
                f"ollama={CONTAINERS['ollama']} httpd={CONTAINERS['httpd']} groups=/sys/fs/cgroup",
                f"killed={quote(KILLED)} conf={ROOT}/httpd/httpd.conf backends={BACKENDS_PATH}",
                f"providers={quote(providers.replace(',', ' '))}",
                IN_FLIGHT,
                _PROBE.read_text(),
                GPU_USE_PROBE,
                "echo @@errors",
                f"for name in {names}; do docker logs --since 1h --tail 1000 $name 2>&1 | "
                f"grep -E '{_LOG_ERRORS}' | tail -n 3 | cut -c -300 | sed \"s/^/$name: /\"; done",
                "true",
            ]
        )
        # As the login user: the doctor can't know in advance whether sudo is needed, and never enters a password.
        become = '[ "$(id -u)" = 0 ] && s= || s="sudo -n"; $s true 2>/dev/null || exit 0; echo @@access; $s '
        return become + quote("sh", "-c", script)

    @override
    def process(self, output: Iterable[str]) -> dict[str, Any]:
        lines = list(output)
        sections = parse_sections(lines)
        if "access" not in sections:
            return {"access": False}
        checkup = HostFacts().process(lines)
        engine, drift, deployed = "", [], False
        troubles: dict[str, str] = {}
        if "complaints" in sections:
            deployed = True
            try:
                project = Project().process(lines)
                troubles = {one.name: one.trouble for one in project.containers if one.health == "unhealthy"}
                found = find_drift(project.hashes, list(project.containers), {})
                drift = [f"{one.name} {one.what}" for one in found]
            except EngineUnreachable as error:
                engine = error.reason
        # A missing container yields an empty line.
        states = [line.split() for line in sections.get("states", ()) if line.strip()]
        origins = [line for line in sections.get("environment", ()) if line.startswith("OLLAMA_ORIGINS=")]
        limits = next(iter(sections.get("limits", ())), "")
        memory = (line.split() for line in sections.get("memory", ()))
        return {
            "access": True,
            "engine": engine,
            "deployed": deployed,
            "drift": drift,
            "containers": {
                name.removeprefix("/"): {
                    "status": status,
                    "oom": oom == "true",
                    "exit_code": int(code),
                    "restarts": int(restarts),
                    "trouble": troubles.get(name.removeprefix("/"), ""),
                    "up_seconds": _seconds_since(started, checkup.clock) if status == "running" else None,
                }
                for name, status, oom, code, restarts, started in states
            },
            "work": _work(sections.get("work", ())),
            "kills": _kills(sections.get("kills", ())),
            "way": next(("" if line == "ok" else line for line in sections.get("way", ())), None),
            "origins": origins[0].partition("=")[2]
            if origins
            else ""
            if any(sections.get("environment", ()))
            else None,
            "providers": parse_providers(sections.get("providers", ())),
            "gpu_loss": find_gpu_loss(parse_gpu_use(sections.get("gpu_use", ()))),
            "memory_limits": {"true": True, "false": False}.get(limits),
            "memory": {words[0].rstrip(":"): int(words[1]) for words in memory},
            "models_free_bytes": next((free for path, free in checkup.free_bytes.items() if path != DOCKER_DIR), None),
            "free_bytes": checkup.free_bytes.get(DOCKER_DIR, 0),
            "listeners": [[one.address, one.port, one.program] for one in checkup.listeners],
            "pools": _pools(sections.get("pools", ())),
            "backends": {
                name: [int(status), models] for name, (status, *models) in _named(sections.get("backends", ()))
            },
            "errors": sections.get("errors", []),
        }


def _pools(lines: Iterable[str]) -> dict[str, list[str]]:
    pools: dict[str, list[str]] = {}
    for line in lines:
        pool, backend = line.split()
        pools.setdefault(pool, []).append(backend)
    return pools


def _named(lines: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Name and words of each line `NAME: WORD …`."""
    for line in lines:
        name, _, rest = line.partition(": ")
        yield name, rest.split()


def _work(lines: Iterable[str]) -> dict[str, Any] | None:
    for line in lines:
        questions, models, seconds, ticks, read = map(int, line.split())
        return {
            "questions": questions,
            "models": models,
            "seconds": seconds,
            "cpu_seconds": ticks / 100,
            "read_bytes": read,
        }
    return None


def parse_providers(lines: Iterable[str]) -> dict[str, tuple[int, str]]:
    """Provider → status and error, from the lines of the probe."""
    words = (line.split(" ", 2) for line in lines)
    return {name: (int(status), "".join(text)) for name, status, *text in words}


def _kills(lines: Iterable[str]) -> int:
    """From the kernel's counter if available, else from the log."""
    counts = {who: int(count) for who, count in (line.split() for line in lines)}
    return counts.get("kernel", counts.get("log", 0))


def _seconds_since(stamp: str, now: float) -> int:
    """Seconds from the engine's timestamp (UTC, with nanoseconds) to the host's clock."""
    return max(0, int(now - datetime.fromisoformat(f"{stamp[:19]}+00:00").timestamp()))
