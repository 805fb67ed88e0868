"""Certificates and keys on the host."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from pyinfra import host, logger
from pyinfra.api import FunctionCommand, StringCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from hearth.paths import RELOAD_PENDING, ROOT, TLS, TLS_FILES, TLS_LIVE
from hearth.runtime.byte_stream import ChannelError, write_to
from hearth.runtime.commands import connection_arguments, refused_command, report_failure
from hearth.runtime.explain import explain
from hearth.runtime.fact_snapshot import current_fact
from hearth.runtime.shell import quote
from hearth.settings.model import Settings
from hearth.tls.certificate import CertificateError, fingerprint, parse_chain, today
from hearth.tls.facts import DIRECTORIES, Certificates
from hearth.tls.local_ca import create_authority
from hearth.tls.local_files import TlsInputs
from hearth.tls.plan import Plan, plan_certificates


@operation()
def install_certificate(
    settings: Settings, tls_inputs: TlsInputs
) -> Generator[FunctionCommand | StringCommand, None, None]:
    """Install the host's certificate and key for httpd, if the current ones are invalid or expire soon.

    A key is streamed over ssh; it appears in no command line, temporary file or log. The reload mark then makes httpd
    reload.

    Args:
        settings: with TLS.
        tls_inputs: the TLS inputs on this computer.
    """
    acme_name = settings.proxy_tls_names[0] if settings.proxy_tls == "acme" else ""
    state = current_fact(Certificates, acme_name=acme_name)
    plan = plan_certificates(settings, tls_inputs, state, today())
    explain(*plan.warnings, kind="unknown")
    if plan.refusal:
        yield refused_command(plan.refusal)
        return
    if not plan.install and not plan.directories:
        host.noop("certificates up to date")
        return
    explain(*plan.reasons)
    if plan.directories:
        yield StringCommand(directories_script(plan.directories))
    if plan.install:
        yield FunctionCommand(_send, (settings, tls_inputs, plan, connection_arguments()), {})


def _send(
    state: State, host: Host, settings: Settings, tls_inputs: TlsInputs, plan: Plan, arguments: dict[str, Any]
) -> bool:
    try:
        files = _contents(host, settings, tls_inputs, plan)
        write_to(state, host, receive_script(sorted(files)), arguments, io.BytesIO(pack_certificate(files)))
    except (CertificateError, ChannelError, OSError) as error:
        return report_failure(host, f"could not install the certificate: {error}")
    return True


def _contents(host: Host, settings: Settings, tls_inputs: TlsInputs, plan: Plan) -> dict[str, bytes]:
    """The files to install. Only here is the local CA created and used, so a dry run creates nothing."""
    files: dict[str, bytes] = {}
    if settings.proxy_tls == "acme" and tls_inputs.trust:
        files["acme-trust.pem"] = tls_inputs.trust
    if settings.proxy_tls == "files":
        files |= _with_digest("server", tls_inputs.pair)
    if settings.proxy_tls != "local-ca" and not settings.tls_backends:
        return files
    authority = tls_inputs.authority
    if authority is None:
        authority = create_authority(tls_inputs.directory, tls_inputs.all_names, today())
        logger.info(
            f"{host.print_prefix}created a local CA in {tls_inputs.directory}: back it up. Devices trust it once you "
            f"install it there (docs/tls.md). SHA-256 fingerprint: {fingerprint(authority.certificate)}"
        )
    files["ca.crt"] = authority.pem
    if plan.issue:
        pair = authority.issue(settings.proxy_tls_names, today())
        ends = parse_chain(pair, "the new certificate")[0].not_valid_after_utc
        logger.info(f"{host.print_prefix}issued a certificate that expires on {ends:%Y-%m-%d}")
        files |= _with_digest("server", pair)
    if plan.issue_for_gateway:
        files |= _with_digest("gateway", authority.issue_for_gateway(today()))
        logger.info(f"{host.print_prefix}issued the certificate with which this gateway authenticates at its backends")
    return files


def _with_digest(name: str, pair: bytes) -> dict[str, bytes]:
    return {f"{name}.pem": pair, f"{name}.sha256": f"{hashlib.sha256(pair).hexdigest()}  {name}.pem\n".encode()}


def directories_script(paths: Sequence[str]) -> str:
    """Shell script that creates directories, or corrects their owner and mode."""
    lines = [f"install -d -m 0755 {ROOT}"]
    for path in paths:
        mode, user, group = DIRECTORIES[path].split(":")
        lines.append(f"install -d -m {mode} -o {user} -g {group} {path}")
    return " && ".join(lines)


def pack_certificate(files: Mapping[str, bytes]) -> bytes:
    """A tar archive of files for `/opt/hearth/tls/live`, with owner and mode."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            mode, user, group = TLS_FILES[name].split(":")
            member.size, member.mode, member.uid, member.gid = len(files[name]), int(mode, 8), int(user), int(group)
            archive.addfile(member, io.BytesIO(files[name]))
    return buffer.getvalue()


def receive_script(names: list[str]) -> str:
    """Shell script that unpacks the archive on its standard input, and replaces each file atomically.

    Certificate and key are one file, so httpd never loads one without the other. The reload mark comes first: it stays
    if the run is interrupted.
    """
    incoming = f"{TLS}/.incoming"
    places = [quote(f"{incoming}/{name}") for name in names]
    return "\n".join(
        [
            "set -e",
            "umask 077",
            f"rm -rf {incoming}",
            f"mkdir {incoming}",
            f"trap 'rm -rf {incoming}' EXIT",
            f"tar -xmf - -C {incoming} --same-owner --same-permissions --numeric-owner",
            f"sync {' '.join(places)}",
            f"touch {RELOAD_PENDING}",
            *(f"mv -f {place} {TLS_LIVE}/" for place in places),
        ]
    )
