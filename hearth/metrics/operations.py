"""Install or remove the metrics' service."""

from __future__ import annotations

from collections.abc import Generator, Mapping

from pyinfra import host
from pyinfra.api import FunctionCommand, operation

from hearth.docker.apt import APT
from hearth.metrics.facts import Metrics
from hearth.metrics.rules import find_differences, missing_packages
from hearth.paths import METRICS_PROGRAM, METRICS_RUN, METRICS_SCRIPT, METRICS_SERVICE, METRICS_UNIT, ROOT
from hearth.runtime.commands import streamed_command
from hearth.runtime.explain import explain
from hearth.runtime.fact_snapshot import current_fact
from hearth.runtime.shell import quote

# Debian's package starts a service of its own, which is not needed; an existing one stays as it is.
_OTHER_SERVICE = "mtail.service"


@operation()
def install_metrics(files: dict[str, str], timeout: int) -> Generator[FunctionCommand, None, None]:
    """Make the service run that collects the metrics.

    Args:
        files: absolute path → content.
        timeout: seconds to wait for other users of apt, if packages must be installed.
    """
    state = current_fact(Metrics)
    differences = find_differences(state, files)
    if not differences:
        host.noop("the metrics are collected")
        return
    explain(*differences)
    yield streamed_command(install_script(files, missing_packages(state), timeout))


def install_script(files: Mapping[str, str], packages: tuple[str, ...], timeout: int) -> str:
    """Shell script that installs missing packages, writes the files, and (re)starts the service."""
    lines = ["set -e"]
    if packages:
        lines += [f"apt_timeout={timeout}", APT, "apt_finish"]
        if "mtail" in packages:
            lines.append(f"systemctl mask --runtime --quiet {_OTHER_SERVICE}")
        lines += ["apt_update", f"apt_install {quote(*packages)}"]
        if "mtail" in packages:
            lines += [
                f"systemctl unmask --runtime --quiet {_OTHER_SERVICE}",
                f"systemctl disable --quiet --now {_OTHER_SERVICE} 2>/dev/null || true",
            ]
    lines += ["umask 022", f"install -d -m 0755 {ROOT} {METRICS_SCRIPT.rpartition('/')[0]}"]
    for path, text in files.items():
        lines += [f"printf %s {quote(text)} > {path}.new", f"sync {path}.new", f"mv -f {path}.new {path}"]
    lines += [
        "systemctl daemon-reload",
        f"systemctl enable --quiet {METRICS_SERVICE}",
        f"systemctl restart {METRICS_SERVICE}",
        "echo 'The metrics are collected.'",
    ]
    return "\n".join(lines)


@operation()
def remove_metrics() -> Generator[FunctionCommand, None, None]:
    """Remove the metrics' service. The packages that it used stay."""
    explain('metrics_access = "": removing the metrics\' service')
    yield streamed_command(removal_script())


def removal_script() -> str:
    """Shell script that removes whatever exists of the service. Runs when httpd's container no longer mounts its
    directory."""
    paths = (METRICS_UNIT, METRICS_SCRIPT, METRICS_PROGRAM)
    return "\n".join(
        [
            "set -e",
            f"systemctl disable --quiet --now {METRICS_SERVICE} 2>/dev/null || true",
            f"rm -f {' '.join(f'{path} {path}.new' for path in paths)}",
            f"rmdir {METRICS_SCRIPT.rpartition('/')[0]} 2>/dev/null || true",
            "systemctl daemon-reload",
            f"rm -rf {METRICS_RUN}",
            "echo 'Removed the metrics'",
        ]
    )
