"""What the doctor wants to know of a host from inside, in one round trip; primitives, since it is printed as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pyinfra.api import FactBase
from typing_extensions import override

from hearth.containers import find_drift
from hearth.facts.checkup import Checkup
from hearth.facts.engine import EngineUnreachable
from hearth.facts.project import Project
from hearth.host_paths import CONTAINERS, DOCKER_DIR
from hearth.sections import parse_sections
from hearth.shell import DOCKER_ANSWERS, quote

# What Ollama's and httpd's logs have when something failed: their own levels, a crash, and Ollama's 5xx.
_WRONG = r"level=ERROR|^panic:|^fatal error|\| 5[0-9][0-9] \||\[[a-z_0-9]+:(error|crit|alert|emerg)\]"


class Symptoms(FactBase[dict[str, Any]]):
    """How the host and its containers are.

    `access` is False where the login may not look (sudo wants a password), and nothing else is there then. `engine`
    is "" or why Docker does not answer; `deployed`; `drift`: sentences; `containers`: name → status, oom, exit_code,
    restarts; `origins`: OLLAMA_ORIGINS in force, None if unknown; `memory_limits`: whether Docker can limit memory,
    None if unknown; `memory`: kB by /proc/meminfo's names; `free_bytes` of Docker's disk,
    `models_free_bytes` of that of the models' directory, None where there is none; `listeners`: [address, port,
    program]; `errors`: recent lines of the containers' logs, each with the container's name before it.
    """

    @staticmethod
    @override
    def default() -> dict[str, Any]:
        return {}

    @override
    def command(self, models_dir: str = "") -> str:
        paths = (DOCKER_DIR, models_dir) if models_dir else (DOCKER_DIR,)
        names = " ".join(CONTAINERS.values())
        state = "{{.Name}} {{.State.Status}} {{.State.OOMKilled}} {{.State.ExitCode}} {{.RestartCount}}"
        environment = "{{range .Config.Env}}{{println .}}{{end}}"
        script = "\n".join(
            [
                DOCKER_ANSWERS.strip().removesuffix(";"),
                "limits=$(timeout 40 docker info --format '{{.MemoryLimit}}' 2>/dev/null); answered=$?",
                # An engine that hangs is not asked again: each question would take its time in vain.
                "[ $answered != 124 ] || timeout() { return 124; }",
                f"({Checkup().command(tuple(map(quote, paths)), '')})",
                f"({Project().command()})",
                "echo @@memory; grep -E '^(Mem|Swap)' /proc/meminfo",
                # It also prints "false" where no engine answers, and then fails.
                "[ $answered = 0 ] || exit 0; echo @@limits; echo $limits",
                f"echo @@states; docker inspect --type container --format '{state}' {names} 2>/dev/null",
                f"echo @@environment; docker inspect --format '{environment}' {CONTAINERS['ollama']} 2>/dev/null",
                "echo @@errors",
                f"for name in {names}; do docker logs --since 1h --tail 1000 $name 2>&1 | "
                f"grep -E '{_WRONG}' | tail -n 3 | cut -c -300 | sed \"s/^/$name: /\"; done",
                "true",
            ]
        )
        # The login's own: the doctor can't know, before it asked, whether it needs sudo, and answers no password.
        become = '[ "$(id -u)" = 0 ] && s= || s="sudo -n"; $s true 2>/dev/null || exit 0; echo @@access; $s '
        return become + quote("sh", "-c", script)

    @override
    def process(self, output: Iterable[str]) -> dict[str, Any]:
        lines = list(output)
        sections = parse_sections(lines)
        if "access" not in sections:
            return {"access": False}
        checkup = Checkup().process(lines)
        engine, drift, deployed = "", [], False
        if "complaints" in sections:
            deployed = True
            try:
                project = Project().process(lines)
                found = find_drift(project.hashes, list(project.containers), {})
                drift = [f"{one.name} {one.what}" for one in found]
            except EngineUnreachable as error:
                engine = error.reason
        # Where there is no such container, an empty line stands for it.
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
                }
                for name, status, oom, code, restarts in states
            },
            "origins": origins[0].partition("=")[2]
            if origins
            else ""
            if any(sections.get("environment", ()))
            else None,
            "memory_limits": {"true": True, "false": False}.get(limits),
            "memory": {words[0].rstrip(":"): int(words[1]) for words in memory},
            "models_free_bytes": next((free for path, free in checkup.free_bytes.items() if path != DOCKER_DIR), None),
            "free_bytes": checkup.free_bytes.get(DOCKER_DIR, 0),
            "listeners": [[one.address, one.port, one.program] for one in checkup.listeners],
            "errors": sections.get("errors", []),
        }
