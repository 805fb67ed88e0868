"""TLS: whether the port speaks it, and whether the certificate is right."""

from __future__ import annotations

import http.client
import ssl
import time
from dataclasses import replace

from hearth.doctor.causes import port as causes
from hearth.doctor.causes.cause import Cause, Finding
from hearth.doctor.checks.result import Step
from hearth.doctor.checks.server_identity import probe_server
from hearth.doctor.http_client import Endpoint

# Public authorities' certificates of 90 days are renewed when 30 are left, and those of a few days are the rarer ones.
_FEW_DAYS = 14
# OpenSSL's verification results (X509_V_ERR_…).
_DATES = frozenset({9, 10})
_NAMES = frozenset({62, 63, 64})


def cause_of(error: OSError) -> Cause:
    """What a failed handshake means."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _DATES:
            return causes.CERTIFICATE_DATE
        if error.verify_code in _NAMES:
            return causes.CERTIFICATE_NAME
        return causes.CERTIFICATE_UNKNOWN
    return causes.TLS_FAILS


def check_tls(way: Endpoint, authority: str = "") -> tuple[Step, Endpoint]:
    """The step, and the way to go on: without looking at a certificate that was found wrong.

    Args:
        authority: a PEM file with the certificate of an authority to trust, beside those of this machine.
    """
    target = way.target
    context = ssl.create_default_context()
    if authority:
        context.load_verify_locations(authority)
    checked = replace(way, tls=context)
    try:
        connection = checked.open()
    except (OSError, http.client.HTTPException) as error:
        words = {"host": target.host, "error": reason(error), "other_url": target.at(target.port, "http").url}
        cause = cause_of(error) if isinstance(error, OSError) else causes.TLS_FAILS
        plain = replace(way, target=target.at(target.port, "http"), authorization="")
        if cause is causes.TLS_FAILS and probe_server(plain) is not None:
            cause = causes.HTTPS_TO_HTTP
        seen = f"the handshake failed: {words['error']}"
        return Step("tls", seen, (Finding(cause, seen, words),), ends=cause not in _CERTIFICATES), way
    assert isinstance(connection.sock, ssl.SSLSocket)
    version = connection.sock.version() or ""
    days = _days_left(connection.sock)
    connection.close()
    seen = f"{version}, and the certificate is valid for {target.host}, for {days} more days"
    findings = (Finding(causes.CERTIFICATE_ENDS_SOON, seen, {"days": days}),) if days < _FEW_DAYS else ()
    return Step("tls", seen, findings, {"version": version, "days": days}), checked


def _days_left(connection: ssl.SSLSocket) -> int:
    shown = connection.getpeercert() or {}
    return int(ssl.cert_time_to_seconds(str(shown["notAfter"])) - time.time()) // 86400


_CERTIFICATES = (causes.CERTIFICATE_DATE, causes.CERTIFICATE_NAME, causes.CERTIFICATE_UNKNOWN)


def reason(error: Exception) -> str:
    """OpenSSL's words without its numbers and files."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).lower().replace("_", " ")
    return str(error) or type(error).__name__
