"""Give Ollama's container the GPU, and see that it is used."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host
from pyinfra.api import FunctionCommand, operation

from hearth.docker.apt import APT, package_removal_script
from hearth.docker.compose_up import COMPOSE_UP
from hearth.gpu.facts import PACKAGE, GpuUse, Toolkit
from hearth.gpu.messages import describe_gpu_loss, describe_toolkit
from hearth.gpu.use import CHECK_GPU, find_gpu_loss
from hearth.paths import CDI_DIRS, CONTAINERS, GPU_TOOLKIT_RECORD, ROOT
from hearth.rollout.operations import has_gateways, leave_out
from hearth.runtime.commands import streamed_command
from hearth.runtime.explain import explain
from hearth.runtime.shell import quote

Commands = Generator[FunctionCommand, None, None]

_KEYRING = "/etc/apt/keyrings/nvidia-container-toolkit.asc"
_SOURCES = "/etc/apt/sources.list.d/nvidia-container-toolkit.sources"
_SPEC = f"{CDI_DIRS[0]}/nvidia.yaml"
# Comes with version 1.18 and later: it also writes the specification at each start, and after an upgrade of the driver.
_REFRESH = "nvidia-cdi-refresh.service"


@operation()
def install_toolkit(apt_url: str, timeout: int) -> Commands:
    """Install NVIDIA's container toolkit if there is none, and have it describe the GPU for containers (CDI).

    Args:
        apt_url: the setting `ollama_gpu_apt_url`.
        timeout: seconds to wait for other users of apt.
    """
    state = host.get_fact(Toolkit)
    change = describe_toolkit(state, apt_url)
    if not change:
        host.noop("containers have access to the GPU")
        return
    explain(change)
    yield streamed_command(toolkit_script(not state.has_ctk or state.half_installed, apt_url, timeout))


def toolkit_script(install: bool, apt_url: str, timeout: int) -> str:
    """Shell script that installs the toolkit if `install`, and has it write the CDI specification."""
    lines = ["set -e"]
    if install:
        deb822 = f"Types: deb\\nURIs: {apt_url}/stable/deb/%s\\nSuites: /\\nSigned-By: {_KEYRING}\\n"
        lines += [
            f"install -d -m 0755 {ROOT} /etc/apt/keyrings",
            # Before the installation: an uninstall removes the package only if Hearth installed it, or began to.
            f"touch {GPU_TOOLKIT_RECORD} && sync {GPU_TOOLKIT_RECORD}",
            f"apt_timeout={timeout}",
            APT,
            "apt_finish",
            "apt_update",
            "apt_install ca-certificates",
            f"/usr/lib/apt/apt-helper download-file {quote(f'{apt_url}/gpgkey')} {_KEYRING}.new",
            f"mv {_KEYRING}.new {_KEYRING}",
            f'printf {quote(deb822)} "$(dpkg --print-architecture)" > {_SOURCES}',
            f"sync {_KEYRING} {_SOURCES}",
            "apt_update",
            f"apt_install {PACKAGE}",
        ]
    lines += [
        # Create the devices on a host without a display, where nothing has used them since its start.
        "nvidia-smi >/dev/null 2>&1 || true",
        "! command -v nvidia-modprobe >/dev/null || nvidia-modprobe -u -c 0 || true",
        f"if systemctl cat {_REFRESH} >/dev/null 2>&1; then",
        f"  systemctl restart {_REFRESH}",
        "else",
        f"  install -d -m 0755 {CDI_DIRS[0]}",
        f"  nvidia-ctk --quiet cdi generate --output={_SPEC}",
        "fi",
        "echo 'Containers have access to the GPU.'",
    ]
    return "\n".join(lines)


def toolkit_removal_script(timeout: int) -> str:
    """Shell script that removes the toolkit, its repository and its specification, and the record of them."""
    return package_removal_script(PACKAGE, f"{_SOURCES} {_KEYRING} {_SPEC} {GPU_TOOLKIT_RECORD}", timeout)


@operation()
def use_gpu(models: tuple[str, ...], timeout: int, drain_timeout: int) -> Commands:
    """Restart an Ollama that has lost its GPU, as after a suspend, and check that the GPU is used again.

    Args:
        models: those that users are meant to use, preferred ones first; a loaded one is the evidence.
        timeout: seconds for Ollama to become healthy.
        drain_timeout: seconds to let in-flight responses finish.
    """
    state = host.get_fact(GpuUse)
    loss = find_gpu_loss(state)
    if not loss:
        host.noop("nothing shows that the GPU is not used")
        return
    explain(describe_gpu_loss(loss, state.wanted))
    if has_gateways():
        yield from leave_out(drain_timeout)
    yield streamed_command(restart_script(models, timeout, drain_timeout))


def restart_script(models: tuple[str, ...], timeout: int, drain_timeout: int) -> str:
    """Bash script that restarts Ollama, loads the first model, and fails with Ollama's own log lines if the processor
    computes it."""
    ollama, httpd = CONTAINERS["ollama"], CONTAINERS["httpd"]
    check = f"check_gpu {quote(models[0])}" if models else "! print_gpu_log | grep -F 'library=cpu' >&2"
    script = "\n".join(
        [
            f"ollama={ollama} root={ROOT}",
            f"cd {ROOT}",
            COMPOSE_UP,
            CHECK_GPU,
            f"drain {drain_timeout} {httpd}",
            f"docker restart {ollama} >/dev/null || exit 1",
            f"bring_up {timeout} '--no-deps ollama' {ollama} || exit 1",
            check,
        ]
    )
    return f"bash -s <<'HEARTH'\nmain() {{\n{script}\n}}\nmain </dev/null\nHEARTH"
