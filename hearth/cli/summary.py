"""The summary of a run: what each host runs and what was changed, or what failed and how to fix it.

pyinfra has no hook for a summary, and an operation would count as a change. So it is printed when the process exits. It
uses facts that were collected anyway; only a host that was changed is queried once more.
"""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Mapping
from typing import Any

from pyinfra import logger
from pyinfra.api import StringCommand
from pyinfra.api.host import Host
from pyinfra.api.operation import OperationMeta
from pyinfra.api.state import BaseStateCallback, State, StateStage
from pyinfra.context import ctx_state

from hearth.cli.login_errors import explain_login_error
from hearth.cli.summary_text import (
    HostSummary,
    Result,
    Step,
    format_duration,
    format_summary,
    image_version,
    page_addresses,
)
from hearth.doctor.client_environment import inspect_client
from hearth.models.facts import model_sizes
from hearth.paths import CONTAINERS
from hearth.runtime.command_line import CommandLine
from hearth.runtime.explain import EXPLAIN_LOG
from hearth.runtime.journal import current_journal, journal_of, record_failure
from hearth.runtime.sections import parse_sections
from hearth.runtime.ssh_address import network_address
from hearth.settings.model import Settings
from hearth.settings.model_names import full_name

_QUERY = (
    "echo @@docker; timeout 40 docker version --format '{{.Server.Version}}' 2>/dev/null; "
    f"echo @@models; timeout 40 docker exec {CONTAINERS['ollama']} ollama list 2>/dev/null; true"
)


def print_summary_at_exit(asked: CommandLine) -> None:
    """Print the summary when this process exits. `python -m hearth.drift` prints its own output instead."""
    if not os.environ.get(EXPLAIN_LOG):
        state: State = ctx_state.get()  # type: ignore[no-untyped-call]
        _listen_for_connect_errors(state)
        atexit.register(_print_summary, state, asked, time.monotonic())


def mark_ready(root: Mapping[str, Any], settings: Settings | None = None) -> None:
    """Call at the end of a deploy file: the current host is ready to be changed.

    Args:
        root: pyinfra arguments with which commands run as root.
        settings: of a deploy, whose summary describes the running stack.
    """
    known = current_journal()
    known.prepared, known.settings, known.arguments = True, settings, root
    state: State = ctx_state.get()  # type: ignore[no-untyped-call]
    if not any(isinstance(one, _VersionQuery) for one in state.callback_handlers):
        state.add_callback_handler(_VersionQuery())  # type: ignore[no-untyped-call]


def _listen_for_connect_errors(state: State) -> None:
    """Learn why a connection to a host failed.

    pyinfra forgets its callbacks once it has the inventory, and connects before a deploy file can add one.
    """
    trigger = state.trigger_callbacks

    def trigger_and_record(name: str, *arguments: Any) -> None:
        if name == "host_connect_error":
            _record_connect_error(state, *arguments)
        trigger(name, *arguments)

    state.trigger_callbacks = trigger_and_record  # type: ignore[method-assign,assignment]


def _record_connect_error(state: State, one: Host, error: Exception) -> None:
    if one in state.activated_hosts:
        return  # during a reboot there is no connection for some time
    data = one.data.dict()  # type: ignore[no-untyped-call]
    user, port = str(data.get("ssh_user") or ""), int(data.get("ssh_port") or 22)
    called = str(data.get("ssh_hostname") or one.name)
    explanation = explain_login_error(error, inspect_client(), called, user, port)
    record_failure(one, [f"{error}.", f"{explanation}."] if explanation else [f"{error}."])


class _VersionQuery(BaseStateCallback):
    """Queries the new state of a host after its last operation, if anything was changed."""

    @staticmethod
    def operation_host_success(state: State, host: Host, op_hash: str, retry_count: int = 0) -> None:  # noqa: ARG004
        known = journal_of(state, host.name)
        if known.settings is None or not host.op_hash_order or op_hash != host.op_hash_order[-1]:
            return
        metas = [data.operation_meta for data in state.ops[host].values()]
        if any(meta.is_complete() and meta.did_change() for meta in metas):
            _, output = host.run_shell_command(StringCommand(_QUERY), **known.arguments)
            sections = parse_sections(output.stdout_lines)
            # Without an engine, Docker's client prints an empty line.
            known.docker = next(iter(sections.get("docker", [])), "") or known.docker
            known.sizes |= model_sizes(sections.get("models", []))


def _print_summary(state: State, asked: CommandLine, started: float) -> None:
    if not state.initialised:
        return
    hosts = [one for one in state.inventory if state.is_host_in_limit(one)]
    is_dry = asked.is_dry or state.current_stage < StateStage.Execute
    summaries = [(one, _summarize(state, one)) for one in hosts]
    if not hosts:
        logger.info("--> Nothing was done: the inventory has no hosts")
    for one, summary in summaries:
        if summary.versions or summary.failed or any(step.result == "not done" for step in summary.steps):
            (logger.error if summary.failed else logger.info)("--> " + f"{one.name}:")
            for line in format_summary(summary, is_dry):
                logger.info(f"    {line}")
    verb = (
        "Failed after" if any(summary.failed for _, summary in summaries) else "Inspected in" if is_dry else "Done in"
    )
    logger.info(f"--> {verb} {format_duration(time.monotonic() - started)}")


def _summarize(state: State, one: Host) -> HostSummary:
    known = journal_of(state, one.name)
    settings = known.settings
    metas = {key: state.ops[one][key].operation_meta for key in one.op_hash_order if key in state.ops[one]}
    steps = [Step(", ".join(sorted(state.op_meta[key].names)), _result(state, meta)) for key, meta in metas.items()]
    reason = " ".join(known.reasons)
    for meta in metas.values():
        if not reason and meta.is_complete() and meta.did_error():
            reason = " ".join(line.strip() for line in meta.stderr_lines[-3:])
    connected = one in state.activated_hosts
    if settings is None:
        return HostSummary(one.name, "execute" if connected else "connect", known.prepared, steps, reason)
    data = one.data.dict()  # type: ignore[no-untyped-call]
    address = network_address(one.name, data)
    forwards = {str(port): here for port, here in data.get("x_forwards", {}).items()}
    titles = {"ollama": "Ollama", "httpd": "httpd"}
    versions = [f"{titles[service]} {image_version(image)}" for service, image in settings.images.items()]
    return HostSummary(
        one.name,
        "execute",
        known.prepared,
        steps,
        reason,
        page_addresses(settings, address, forwards, known.local_name) if settings.serves_page else [],
        {name: known.sizes.get(full_name(name), "") for name in settings.offered_models},
        [*versions, f"Docker {known.docker}"] if known.docker else versions,
    )


def _result(state: State, meta: OperationMeta) -> Result:
    if meta.is_complete():
        return "failed" if meta.did_error() else "changed" if meta.did_change() else "same"
    if state.current_stage < StateStage.Execute:
        return "changed" if meta._maybe_is_change else "same"  # the result of change detection; no new query
    return "not done"
