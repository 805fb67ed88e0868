"""Why pyinfra could not log in to a host, and what to do: a sentence for each reason that is known. Pure rules."""

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
    "Nothing answers at {address}. Is it on, on this network, and is that still its address? Your router lists it; "
    "`hostname -I` on the host shows it"
)


def explain_login_error(error: BaseException, place: ClientEnvironment, address: str, user: str, port: int) -> str:
    """What a failed login means, and what to do about it; "" where that is not known.

    Args:
        error: pyinfra's, with what it was made of as its context.
        place: this computer.
        address, user, port: of the host, as the inventory has them.
    """
    words = {"address": address, "port": port, "who": f"{user}@{address}" if user else address}
    for one in _made_of(error):
        text = _meaning(one, place, address)
        if text:
            return fill(text, words)
    return ""


def _made_of(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it was made of. Paramiko puts what the system said of each address into one of its own."""
    while error is not None:
        yield from error.errors.values() if isinstance(error, NoValidConnectionsError) else ()
        yield error
        error = error.__cause__ or error.__context__


def _meaning(error: BaseException, place: ClientEnvironment, address: str) -> str:
    match error:
        case gaierror():
            return (
                "The name {address} is known to nobody here. Put the host's IP address into the inventory; your router "
                "lists it"
            )
        case AuthenticationException():
            return (
                "It does not let {who} in. Hearth logs in with an ssh key and never asks for ssh's password: once, "
                "`ssh-copy-id {who}` (before it `ssh-keygen`, if you have no key)"
            )
        case BadHostKeyException():
            return (
                "It is another machine than the one that was known by that address, or was flashed anew since. If you "
                "know why: `ssh-keygen -R {address}`"
            )
        case OSError():
            return _meaning_of_number(error, place, address)
    return ""


def _meaning_of_number(error: OSError, place: ClientEnvironment, address: str) -> str:
    reason = reason_of(error, place.system)
    ip = parse_ip(address)
    # A name may well be one of the local network's.
    is_near = ip is None or ip.is_private
    match reason:
        case "refused":
            return (
                "It is there, and takes no ssh on port {port}. Switch ssh on (`sudo systemctl enable --now ssh` on the "
                "host), or set `ssh_port` in the inventory"
            )
        case "host-unreachable" if place.system == "Darwin" and is_near and not place.exempt_from_local_network_privacy:
            cause = LOCAL_NETWORK_PRIVACY
            terminal = {"terminal": place.terminal_named}
            return f"{fill(cause.why, terminal)} {fill(cause.cure, terminal)} See {cause.docs}".rstrip(".")
        case "timeout" | "host-unreachable" | "host-down":
            return _SILENT
        case "network-unreachable":
            return "This computer is in no network that leads to {address}: connect it, or look at its VPN"
    return ""
