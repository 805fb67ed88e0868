"""The CA certificates that a host trusts in addition: the file of `host_trusted_ca` on this computer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from hearth.paths import TRUSTED_CA
from hearth.settings.model import Settings
from hearth.tls.certificate import CertificateError, parse_chain


@dataclass(frozen=True)
class TrustState:
    """The CAs that Hearth has added to those of a host.

    Attributes:
        files: path → SHA-256 (hex).
        trusted: all of them are among the host's CA certificates.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    trusted: bool = True


def authority_files(authorities: Iterable[bytes]) -> dict[str, bytes]:
    """Path on the host → content, for the certificates of `read_trusted_ca`."""
    return {f"{TRUSTED_CA}/{hashlib.sha256(one).hexdigest()[:16]}.crt": one for one in authorities}


def is_trusted(state: TrustState, wanted: Mapping[str, bytes]) -> bool:
    """Whether a host trusts exactly these CAs of Hearth's."""
    digests = {path: hashlib.sha256(content).hexdigest() for path, content in wanted.items()}
    return state.trusted and state.files == digests


def read_trusted_ca(settings: Settings) -> tuple[bytes, ...]:
    """The certificates of `host_trusted_ca`, each as PEM; nothing else that the file contains.

    Raises:
        CertificateError: the file can't be read, or has a certificate that no host should trust as a CA.
    """
    if not settings.host_trusted_ca:
        return ()
    path = Path(settings.host_trusted_ca).expanduser()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CertificateError(
            f"host_trusted_ca = {settings.host_trusted_ca!r}: could not read {path} on this computer: {error.strerror}"
        ) from None
    return check_trusted_ca(content, f"host_trusted_ca = {settings.host_trusted_ca!r}", datetime.now(UTC))


def check_trusted_ca(content: bytes, what: str, now: datetime) -> tuple[bytes, ...]:
    """The certificates of a PEM text, each once.

    Args:
        what: the file in messages.

    Raises:
        CertificateError: there are none, or one is not a CA's, or has expired.
    """
    certificates = parse_chain(content, what)
    for certificate in certificates:
        name = certificate.subject.rfc4514_string() or "without a name"
        try:
            is_ca = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except x509.ExtensionNotFound:
            is_ca = certificate.version is x509.Version.v1
        if not is_ca:
            raise CertificateError(
                f"{what}: the certificate {name} is not a CA's, so nothing would trust what it signs; use the "
                "certificate of the CA that issued it"
            )
        if certificate.not_valid_after_utc <= now:
            raise CertificateError(
                f"{what}: the CA certificate {name} expired on {certificate.not_valid_after_utc:%Y-%m-%d}; use its "
                "successor, or remove it from the file"
            )
    return tuple(dict.fromkeys(one.public_bytes(Encoding.PEM) for one in certificates))
