"""NVIDIA's container toolkit on a host, and what Ollama computes on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from typing_extensions import override

from hearth.gpu.use import GPU_USE_PROBE, GpuUseState, parse_gpu_use
from hearth.paths import CDI_DIRS, CONTAINERS
from hearth.runtime.packages import package_section, parse_package
from hearth.runtime.sections import parse_sections
from hearth.runtime.shell import DOCKER_WITH_TIMEOUT
from hearth.runtime.state_fact import StateFact

# nvidia-ctk, without the runtime and the libraries of the time before CDI.
PACKAGE = "nvidia-container-toolkit-base"


@dataclass(frozen=True)
class ToolkitState:
    """NVIDIA's container toolkit.

    Attributes:
        has_ctk: the command `nvidia-ctk` exists, from any source.
        half_installed: an interrupted apt left the package unpacked but not configured.
        is_described: a CDI specification has NVIDIA's GPUs.
        is_current: it is for the driver that the kernel has loaded.
    """

    has_ctk: bool = False
    half_installed: bool = False
    is_described: bool = False
    is_current: bool = False


class Toolkit(StateFact[ToolkitState]):
    """The toolkit and its CDI specification, in one round trip. Only collected for NVIDIA's GPUs."""

    @override
    def command(self) -> str:
        directories = " ".join(f"{one}/*" for one in CDI_DIRS)
        return "\n".join(
            [
                "echo @@ctk; command -v nvidia-ctk",
                package_section(PACKAGE),
                "version=$(sed -n 's/^NVRM version: .*Kernel Module[^0-9]*\\([0-9][0-9.]*\\).*/\\1/p' "
                "/proc/driver/nvidia/version 2>/dev/null)",
                # The last one counts. It names the driver's libraries with their version.
                f"spec=$(grep -lsE 'nvidia\\.com/gpu' {directories} | tail -n 1)",
                'echo @@spec; [ -z "$spec" ] || { echo described; ! grep -qF -e "$version" "$spec" || echo current; }',
                "true",
            ]
        )

    @override
    def process(self, output: Iterable[str]) -> ToolkitState:
        sections = parse_sections(output)
        package = parse_package(sections)
        return ToolkitState(
            has_ctk=bool(sections.get("ctk")),
            half_installed=package not in ("installed", "not-installed", "config-files"),
            is_described="described" in sections.get("spec", []),
            is_current="current" in sections.get("spec", []),
        )


class GpuUse(StateFact[GpuUseState]):
    """What the running Ollama computes on."""

    @override
    def command(self) -> str:
        return (
            f"command -v docker >/dev/null || exit 0; {DOCKER_WITH_TIMEOUT}ollama={CONTAINERS['ollama']}\n"
            f"{GPU_USE_PROBE}\ntrue"
        )

    @override
    def process(self, output: Iterable[str]) -> GpuUseState:
        return parse_gpu_use(parse_sections(output).get("gpu_use", []))
