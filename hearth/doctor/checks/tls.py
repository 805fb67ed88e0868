"""TLS: whether the port speaks it, and whether the certificate is valid."""

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

# Certificates of public CAs for 90 days are renewed 30 days before they expire; those for a few days are rarer.
_FEW_DAYS = 14
# OpenSSL's verification results (X509_V_ERR_…).
_DATES = frozenset({9, 10})
_NAMES = frozenset({62, 63, 64})


def cause_of(error: OSError) -> Cause:
    """The cause of a failed handshake."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _DATES:
            return causes.CERTIFICATE_DATE
        if error.verify_code in _NAMES:
            return causes.CERTIFICATE_NAME
        return causes.CERTIFICATE_UNKNOWN
    return causes.TLS_FAILS


def check_tls(endpoint: Endpoint, authority: str = "") -> tuple[Step, Endpoint]:
    """The step, and the endpoint for the next ones, which does not verify a certificate that was found invalid.

    Args:
        authority: a PEM file with the certificate of a CA to trust, in addition to this machine's.
    """
    target = endpoint.target
    context = ssl.create_default_context()
    if authority:
        context.load_verify_locations(authority)
    checked = replace(endpoint, tls=context)
    try:
        connection = checked.open()
    except (OSError, http.client.HTTPException) as error:
        values = {"host": target.host, "error": reason(error), "other_url": target.at(target.port, "http").url}
        cause = cause_of(error) if isinstance(error, OSError) else causes.TLS_FAILS
        plain = replace(endpoint, target=target.at(target.port, "http"), authorization="")
        if cause is causes.TLS_FAILS and probe_server(plain) is not None:
            cause = causes.HTTPS_TO_HTTP
        observed = f"the handshake failed: {values['error']}"
        return Step("tls", observed, (Finding(cause, observed, values),), ends=cause not in _CERTIFICATES), endpoint
    assert isinstance(connection.sock, ssl.SSLSocket)
    version = connection.sock.version() or ""
    days = _days_left(connection.sock)
    connection.close()
    observed = f"{version}; the certificate is valid for {target.host} and expires in {days} days"
    findings = (Finding(causes.CERTIFICATE_ENDS_SOON, observed, {"days": days}),) if days < _FEW_DAYS else ()
    return Step("tls", observed, findings, {"version": version, "days": days}), checked


def _days_left(connection: ssl.SSLSocket) -> int:
    certificate = connection.getpeercert() or {}
    return int(ssl.cert_time_to_seconds(str(certificate["notAfter"])) - time.time()) // 86400


_CERTIFICATES = (causes.CERTIFICATE_DATE, causes.CERTIFICATE_NAME, causes.CERTIFICATE_UNKNOWN)


def reason(error: Exception) -> str:
    """OpenSSL's message without its numbers and files."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).lower().replace("_", " ")
    return str(error) or type(error).__name__
