"""The Compose project: containers as compose.yaml says, healthy, with the current httpd.conf."""

from __future__ import annotations

from collections.abc import Generator, Mapping

from pyinfra import host
from pyinfra.api import FunctionCommand, operation
from pyinfra.api.exceptions import FactPreconditionError

from hearth.docker.compose_up import COMPOSE_UP
from hearth.paths import CONTAINERS, HTTPD_CONF, RELOAD_PENDING, ROOT
from hearth.runtime.commands import refused_command, streamed_command
from hearth.runtime.shell import quote
from hearth.stack.container_facts import Project
from hearth.stack.containers import MISSING, Drift, find_drift
from hearth.stack.messages import explain_containers


@operation()
def compose_up(
    images: Mapping[str, str],
    timeout: int,
    on_failure: str,
    quiet_wait: int = 30,
    directories: tuple[str, ...] = (),
    limited: frozenset[str] | None = None,
) -> Generator[FunctionCommand, None, None]:
    """Make the containers what compose.yaml says, wait until they are healthy, and reload httpd if its file changed.

    Nothing is done where the containers' configuration hashes, images, states and networks agree already.

    Args:
        images: service → image reference.
        timeout: seconds for all containers to become healthy.
        on_failure: shell script for when they don't; it tells why, and puts back what served before.
        quiet_wait: seconds to wait for running answers to end, before a container is replaced.
        directories: what the containers mount and may not be there yet; the directory above each must be.
        limited: services whose containers have memory limits in force, None if unknown.
    """
    try:
        state = host.get_fact(Project)
    except FactPreconditionError as error:
        yield refused_command(str(error))
        return
    ids = {service: state.images.get(reference, "") for service, reference in images.items()}
    drift = find_drift(state.hashes, list(state.containers), ids, limited)
    do_up = bool(drift) or not state.hashes
    if not do_up and not state.reload_pending:
        host.noop("containers are as they should be")
        return
    explain_containers(state, drift)
    yield streamed_command(converge_script(drift if do_up else None, timeout, on_failure, quiet_wait, directories))


def converge_script(
    drift: list[Drift] | None, timeout: int, on_failure: str, quiet_wait: int = 30, directories: tuple[str, ...] = ()
) -> str:
    """Shell script that removes and recreates what Compose would not see by itself, brings all up, and reloads httpd.

    Args:
        drift: what differs, or None where only httpd is to be reloaded.
        timeout: seconds for all containers to become healthy.
        on_failure: shell script for when they don't.
        quiet_wait: seconds to wait for running answers to end, before a container is replaced; those of one that hangs
            never do.
        directories: made if they are not there, but not the ones above them.
    """
    lines = ["set -e", f"cd {ROOT}"]
    if drift is not None:
        services = {name: service for service, name in CONTAINERS.items()}
        remove = [one.name for one in drift if one.remedy == "remove"]
        recreate = {services[one.name] for one in drift if one.remedy == "recreate" and one.name in services}
        lines += [f"[ -d {quote(one)} ] || mkdir {quote(one)}" for one in directories]
        if any(one.is_hung for one in drift):
            quiet_wait = 0
        lines += [COMPOSE_UP, f"quiet {quiet_wait} {CONTAINERS['httpd']}"]
        anew = "docker compose --progress plain --ansi never up --no-start --no-deps --force-recreate"
        if remove:
            lines.append(f"docker rm --force {quote(*remove)}")
        # Ollama by itself, and first: httpd serves on meanwhile, and also if this Ollama does not come up.
        steps = [f"{anew} ollama"] if "ollama" in recreate else []
        if any(one.name == CONTAINERS["ollama"] and one.what != MISSING for one in drift):
            steps.append(f"bring_up {timeout} '--no-deps ollama' {CONTAINERS['ollama']}")
        if "httpd" in recreate:
            steps.append(f"{anew} httpd")
        steps.append(f"bring_up {timeout} --remove-orphans {quote(*CONTAINERS.values())}")
        lines += [
            f"if ! {{ {' && '.join(steps)}; }}; then",
            "echo 'The containers did not become healthy.' >&2",
            on_failure,
            "exit 1",
            "fi",
        ]
    # State over events: the mark says whether a reload is due, whichever run left it.
    lines += [
        f"if [ -e {RELOAD_PENDING} ]; then",
        f"  docker exec {CONTAINERS['httpd']} httpd -f {HTTPD_CONF} -k graceful",
        f"  rm -f {RELOAD_PENDING}",
        "  echo 'httpd took over its new configuration'",
        "fi",
    ]
    return "\n".join(lines)
