"""Apply or remove the firewall."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host
from pyinfra.api import FunctionCommand, operation

from hearth.docker.apt import APT
from hearth.firewall.facts import Firewall
from hearth.firewall.rules import TABLE, UNIT, Restrictions, find_differences, render_rules
from hearth.paths import FIREWALL_LOADED, FIREWALL_RULES, FIREWALL_SERVICE, FIREWALL_UNIT, ROOT
from hearth.runtime.commands import streamed_command
from hearth.runtime.explain import explain
from hearth.runtime.fact_snapshot import current_fact
from hearth.runtime.shell import quote
from hearth.runtime.text import join_words


@operation()
def apply_firewall(wanted: Restrictions, timeout: int) -> Generator[FunctionCommand, None, None]:
    """Restrict who may reach Hearth's ports; also after a reboot, and regardless of the engine's rules.

    The rules are checked before their file is replaced, and loaded atomically: there is no moment without them.

    Args:
        timeout: seconds to wait for other users of apt, if nftables must be installed.
    """
    state = current_fact(Firewall)
    rules = render_rules(wanted)
    about = describe(wanted)
    differences = find_differences(state, rules, about)
    if not differences:
        host.noop(about)
        return
    explain(*differences)
    yield streamed_command(apply_script(rules, not state.has_nft, timeout))


def describe(wanted: Restrictions) -> str:
    """Who may reach what, for the user."""
    ports: dict[tuple[str, ...], set[int]] = {wanted.networks: set(wanted.pages)} if wanted.networks else {}
    for address, port in wanted.ollama:
        if not address.startswith("127."):
            ports.setdefault(wanted.sources, set()).add(port)
    parts = [
        f"{f'only {join_words(some)}' if some else 'nobody'} may reach {join_words(map(str, sorted(numbers)))}"
        for some, numbers in ports.items()
        if numbers
    ]
    if router := wanted.router:
        parts.append(f"only {join_words(router.peers)} may send VRRP for {router.address}")
    return join_words(parts)


def apply_script(rules: str, install: bool, timeout: int) -> str:
    """Shell script that installs nftables if it is missing, checks the rules, and loads them permanently."""
    lines = ["set -e"]
    if install:
        lines += [f"apt_timeout={timeout}", APT, "apt_finish", "apt_update", "apt_install nftables"]
    refusal = (
        "The host rejects the firewall's rules (see above), and its firewall was not changed. For an LXC container, "
        "the node needs nftables: run `modprobe nf_tables` there. To deploy without a firewall, use "
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
        # The service is also "active" if somebody deleted its table: reload and restart both load all of it.
        f"systemctl reload-or-restart {FIREWALL_SERVICE}",
        f"nft list table {TABLE} >/dev/null",
        "echo 'The firewall is active.'",
    ]
    return "\n".join(lines)


@operation()
def remove_firewall() -> Generator[FunctionCommand, None, None]:
    """Remove Hearth's firewall: table, service and files. nftables itself stays."""
    explain(
        "firewall_allowed_networks = []: removing the firewall; everyone who reaches the host reaches Hearth's ports"
    )
    yield streamed_command(removal_script())


def removal_script() -> str:
    """Shell script that removes whatever exists of the firewall."""
    return "\n".join(
        [
            "set -e",
            f"systemctl disable --quiet --now {FIREWALL_SERVICE} 2>/dev/null || true",
            f"rm -f {FIREWALL_UNIT} {FIREWALL_UNIT}.new {FIREWALL_RULES} {FIREWALL_RULES}.new {FIREWALL_LOADED}",
            "systemctl daemon-reload",
            # A table may exist without its service.
            f"if nft list table {TABLE} >/dev/null 2>&1; then nft delete table {TABLE}; fi",
            "echo 'Removed the firewall'",
        ]
    )
