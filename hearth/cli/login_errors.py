"""Why pyinfra could not log in to a host, and how to fix it: one message per known cause. Pure rules."""

from __future__ import annotations

from collections.abc import Iterator
from socket import gaierror

from paramiko.ssh_exception import AuthenticationException, BadHostKeyException, NoValidConnectionsError

from hearth.doctor.causes.cause import fill
from hearth.doctor.causes.network import LOCAL_NETWORK_PRIVACY
from hearth.doctor.client_environment import ClientEnvironment
from hearth.doctor.socket_errors import reason_of
from hearth.doctor.target import parse_ip

_SILENT = (
    "No response from {address}. Is the host on, on this network, and is this still its address? Your router lists it; "
    "`hostname -I` on the host shows it"
)


def explain_login_error(
    error: BaseException, environment: ClientEnvironment, address: str, user: str, port: int
) -> str:
    """The cause of a failed login and its fix; "" if unknown.

    Args:
        error: pyinfra's, with the original error as its context.
        environment: this computer.
        address, user, port: of the host, from the inventory.
    """
    words = {"address": address, "port": port, "who": f"{user}@{address}" if user else address}
    for one in _causes(error):
        text = _meaning(one, environment, address)
        if text:
            return fill(text, words)
    return ""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes. Paramiko wraps the system's error for each address in one of its own."""
    while error is not None:
        yield from error.errors.values() if isinstance(error, NoValidConnectionsError) else ()
        yield error
        error = error.__cause__ or error.__context__


def _meaning(error: BaseException, environment: ClientEnvironment, address: str) -> str:
    match error:
        case gaierror():
            return "Can't resolve the name {address}. Use the host's IP address in the inventory; your router lists it"
        case AuthenticationException():
            return (
                "The host rejects {who}. Hearth logs in with an ssh key and never prompts for ssh's password: run "
                "`ssh-copy-id {who}` once (first `ssh-keygen`, if you have no key)"
            )
        case BadHostKeyException():
            return (
                "Its host key has changed: another machine has this address, or the host was reinstalled. If you "
                "expect that: `ssh-keygen -R {address}`"
            )
        case OSError():
            return _meaning_of_number(error, environment, address)
    return ""


def _meaning_of_number(error: OSError, environment: ClientEnvironment, address: str) -> str:
    reason = reason_of(error, environment.system)
    ip = parse_ip(address)
    # A name may be local, too.
    is_near = ip is None or ip.is_private
    match reason:
        case "refused":
            return (
                "The host is up but does not accept ssh on port {port}. Enable ssh (`sudo systemctl enable --now ssh` "
                "on the host), or set `ssh_port` in the inventory"
            )
        case "host-unreachable" if (
            environment.system == "Darwin" and is_near and not environment.exempt_from_local_network_privacy
        ):
            cause = LOCAL_NETWORK_PRIVACY
            terminal = {"terminal": environment.terminal_named}
            return f"{fill(cause.why, terminal)} {fill(cause.cure, terminal)} See {cause.docs}".rstrip(".")
        case "timeout" | "host-unreachable" | "host-down":
            return _SILENT
        case "network-unreachable":
            return "This computer has no route to {address}: connect it to that network, or check its VPN"
    return ""
