"""The Compose project: healthy containers that match compose.yaml, with the current httpd.conf."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping

from pyinfra import host
from pyinfra.api import FunctionCommand, operation
from pyinfra.api.exceptions import FactPreconditionError

from hearth.docker.compose_up import COMPOSE_UP
from hearth.paths import CONTAINERS, DRAINED_MARKS, HTTPD_CONF, RELOAD_PENDING, ROOT
from hearth.rollout.operations import drained_services, leave_out
from hearth.runtime.commands import refused_command, streamed_command
from hearth.runtime.fact_snapshot import current_fact
from hearth.runtime.shell import quote
from hearth.stack.container_facts import UNREAD_MARKS, Project
from hearth.stack.containers import MISSING, Drift, find_drift
from hearth.stack.messages import explain_containers

# Docker's own.
DEFAULT_MTU = 1500


@operation()
def compose_up(
    images: Mapping[str, str],
    timeout: int,
    on_failure: str,
    drain_timeout: int = 30,
    directories: tuple[str, ...] = (),
    limited: frozenset[str] | None = None,
    mtu: int = DEFAULT_MTU,
) -> Generator[FunctionCommand, None, None]:
    """Make the containers match compose.yaml, wait until they are healthy, and reload httpd if its configuration
    changed.

    Does nothing if the containers' configuration hashes, images, states and networks already match.

    Args:
        images: service → image reference.
        timeout: seconds for all containers to become healthy.
        on_failure: shell script for when they don't; it prints the reason and rolls back.
        drain_timeout: seconds to let in-flight responses finish before a container is replaced.
        directories: mounted by the containers, created if missing; the parent of each must exist.
        limited: services whose memory limits are in force; None if unknown.
        mtu: of the networks.
    """
    try:
        state = current_fact(Project)
    except FactPreconditionError as error:
        yield refused_command(str(error))
        return
    ids = {service: state.images.get(reference, "") for service, reference in images.items()}
    drift = find_drift(state.hashes, list(state.containers), ids, limited, state.unread)
    do_up = bool(drift) or not state.hashes
    if not do_up and not state.reload_pending:
        host.noop("containers up to date")
        return
    explain_containers(state, drift, tuple(images))
    drained = {CONTAINERS[service] for service in drained_services()}
    if any(one.name in drained and one.what != MISSING for one in drift):
        yield from leave_out(0 if any(one.is_hung for one in drift) else drain_timeout)
        if "httpd" not in images:
            drain_timeout = 0  # that was the wait
    yield streamed_command(
        converge_script(drift if do_up else None, timeout, on_failure, drain_timeout, directories, mtu, tuple(images))
    )


def converge_script(
    drift: list[Drift] | None,
    timeout: int,
    on_failure: str,
    drain_timeout: int = 30,
    directories: tuple[str, ...] = (),
    mtu: int = DEFAULT_MTU,
    present: Collection[str] = tuple(CONTAINERS),
) -> str:
    """Shell script that removes and recreates what Compose would not detect, starts everything, and reloads httpd.

    Args:
        drift: what differs, or None if httpd only needs a reload.
        timeout: seconds for all containers to become healthy.
        on_failure: shell script for when they don't.
        drain_timeout: seconds to let in-flight responses finish before a container is replaced; ignored for a container
            that hangs, since its responses never finish.
        directories: created if missing, without parents.
        mtu: of the networks; existing ones with another are recreated, and the containers with them.
        present: the services of compose.yaml.
    """
    lines = ["set -e", f"cd {ROOT}"]
    if drift is not None:
        services = {name: service for service, name in CONTAINERS.items() if service in present}
        remove = [one.name for one in drift if one.remedy == "remove"]
        recreate = {services[one.name] for one in drift if one.remedy == "recreate" and one.name in services}
        lines += [f"[ -d {quote(one)} ] || mkdir {quote(one)}" for one in directories]
        if any(one.is_hung for one in drift):
            drain_timeout = 0
        lines += [
            COMPOSE_UP,
            f"drain {drain_timeout} {CONTAINERS['httpd']}",
            f"match_mtu {'' if mtu == DEFAULT_MTU else mtu}",
        ]
        recreate_command = "docker compose --progress plain --ansi never up --no-start --no-deps --force-recreate"
        if remove:
            lines.append(f"docker rm --force {quote(*remove)}")
        # Ollama alone and first: httpd keeps serving meanwhile, even if this Ollama does not start.
        steps = [f"{recreate_command} ollama"] if "ollama" in recreate else []
        replaced = {one.name for one in drift if one.what != MISSING}
        if "ollama" in present and CONTAINERS["ollama"] in replaced:
            if "httpd" in present and CONTAINERS["httpd"] in replaced:
                # Unless httpd refused to read that it has to leave this Ollama out: `mark` in rollout/gateway.bash.
                reads = f"docker exec {CONTAINERS['httpd']} httpd -t -f {HTTPD_CONF} >/dev/null 2>&1"
                first = f"bring_up {timeout} '--no-deps httpd' {CONTAINERS['httpd']}"
                steps.insert(0, f"{{ [ ! -e {DRAINED_MARKS} ] || {reads} || {first}; }}")
            steps.append(f"bring_up {timeout} '--no-deps ollama' {CONTAINERS['ollama']}")
        if "httpd" in recreate:
            steps.append(f"{recreate_command} httpd")
        steps.append(f"bring_up {timeout} --remove-orphans {quote(*services)}")
        lines += [
            f"if ! {{ {' && '.join(steps)}; }}; then",
            "echo 'The containers did not become healthy.' >&2",
            on_failure,
            "exit 1",
            "fi",
            f"rm -f {quote(*UNREAD_MARKS)}",
        ]
    if "httpd" not in present:
        return "\n".join(lines)
    # State over events: the mark says that a reload is due, no matter which run left it.
    lines += [
        f"if [ -e {RELOAD_PENDING} ]; then",
        f"  docker exec {CONTAINERS['httpd']} httpd -f {HTTPD_CONF} -k graceful",
        f"  rm -f {RELOAD_PENDING}",
        "  echo 'httpd reloaded its configuration'",
        "fi",
    ]
    return "\n".join(lines)
