"""The firewall: put up as the settings say, or taken away."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host
from pyinfra.api import FunctionCommand, operation

from hearth.docker.apt import APT
from hearth.firewall.facts import Firewall
from hearth.firewall.rules import TABLE, UNIT, find_differences, render_rules
from hearth.paths import FIREWALL_LOADED, FIREWALL_RULES, FIREWALL_SERVICE, FIREWALL_UNIT, ROOT
from hearth.runtime.commands import streamed_command
from hearth.runtime.explain import explain
from hearth.runtime.shell import quote
from hearth.runtime.text import join_words


@operation()
def apply_firewall(
    networks: tuple[str, ...], ports: frozenset[tuple[str, int]], timeout: int
) -> Generator[FunctionCommand, None, None]:
    """Let only these networks reach these ports; also after a reboot, and whatever the engine does.

    The rules are tried before their file takes its place, and loaded in one step: there is no moment without them.

    Args:
        networks: at least one.
        ports: (address, port) that Hearth publishes, or is about to.
        timeout: seconds to wait for others who use apt, where nftables is to be installed.
    """
    state = host.get_fact(Firewall)
    rules = render_rules(networks, ports)
    open_to_others = sorted({port for address, port in ports if not address.startswith("127.")})
    about = f"only {join_words(networks)} may reach {join_words(str(port) for port in open_to_others)}"
    differences = find_differences(state, rules, about)
    if not differences:
        host.noop(about)
        return
    explain(*differences)
    yield streamed_command(limit_script(rules, not state.has_nft, timeout))


def limit_script(rules: str, install: bool, timeout: int) -> str:
    """Shell script that installs nftables if it is missing, tries the rules, and puts them in force for good."""
    lines = ["set -e"]
    if install:
        lines += [f"apt_timeout={timeout}", APT, "apt_finish", "apt_update", "apt_install nftables"]
    refusal = (
        "The host refuses the rules of the firewall (see above), and nothing of it was changed. In a container (LXC), "
        "the machine that it runs on must know nftables: `modprobe nf_tables` there. Without a firewall: "
        "firewall_allowed_networks = []"
    )
    lines += [
        f"install -d -m 0755 {ROOT}",
        "umask 022",
        f"printf %s {quote(rules)} > {FIREWALL_RULES}.new",
        f"if ! nft -c -f {FIREWALL_RULES}.new; then",
        f"  rm -f {FIREWALL_RULES}.new",
        f"  echo {quote(refusal)} >&2",
        "  exit 1",
        "fi",
        f"printf %s {quote(UNIT)} > {FIREWALL_UNIT}.new",
        f"sync {FIREWALL_RULES}.new {FIREWALL_UNIT}.new",
        f"mv -f {FIREWALL_RULES}.new {FIREWALL_RULES}",
        f"mv -f {FIREWALL_UNIT}.new {FIREWALL_UNIT}",
        "systemctl daemon-reload",
        f"systemctl enable --quiet {FIREWALL_SERVICE}",
        # The service is "active" as well where somebody took its table away: both ways load all of it.
        f"systemctl reload-or-restart {FIREWALL_SERVICE}",
        f"nft list table {TABLE} >/dev/null",
        "echo 'The firewall is up.'",
    ]
    return "\n".join(lines)


@operation()
def remove_firewall() -> Generator[FunctionCommand, None, None]:
    """Take Hearth's firewall away: its table, its service and its file. nftables itself stays."""
    explain("firewall_allowed_networks = []: the firewall is removed; whoever reaches the host reaches Hearth's ports")
    yield streamed_command(removal_script())


def removal_script() -> str:
    """Shell script that does so, whatever of it is there."""
    return "\n".join(
        [
            "set -e",
            f"systemctl disable --quiet --now {FIREWALL_SERVICE} 2>/dev/null || true",
            f"rm -f {FIREWALL_UNIT} {FIREWALL_UNIT}.new {FIREWALL_RULES} {FIREWALL_RULES}.new {FIREWALL_LOADED}",
            "systemctl daemon-reload",
            # Of a table that is there without its service.
            f"if nft list table {TABLE} >/dev/null 2>&1; then nft delete table {TABLE}; fi",
            "echo 'Removed the firewall'",
        ]
    )
