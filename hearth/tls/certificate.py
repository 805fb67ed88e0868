"""Certificates as PEM text: what they say, and whether they are right for a host. Pure rules."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization

# A local certificate with fewer days left is replaced by the next deploy.
RENEW_DAYS = 30
# A certificate of the user's own, or of a public authority, with fewer days left is spoken of.
WARN_DAYS = 14


# How the names of local authorities begin.
AUTHORITY_NAME = "Hearth local CA"


class CertificateError(ValueError):
    """A certificate or key that can't be used; the message says which and why. It never holds a key."""


def parse_chain(pem: bytes, what: str) -> list[x509.Certificate]:
    """The certificates in a PEM text, in their order.

    Args:
        what: their name in messages.

    Raises:
        CertificateError: there are none, or one can't be read.
    """
    try:
        return x509.load_pem_x509_certificates(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError(
            f'{what} has no certificate that can be read: a PEM file begins with "-----BEGIN CERT…"'
        ) from None


def names_of(certificate: x509.Certificate) -> frozenset[str]:
    """Names and addresses that a certificate is for. Browsers look at subjectAltName alone, and so does this."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    addresses = (str(address) for address in names.get_values_for_type(x509.IPAddress))
    return frozenset((*names.get_values_for_type(x509.DNSName), *addresses))


def uncovered(certificate: x509.Certificate, names: Collection[str]) -> list[str]:
    """Those of the names that the certificate is not for. `*.example.org` is for one label in its place."""
    covered = names_of(certificate)
    return [name for name in names if name not in covered and f"*.{name.partition('.')[2]}" not in covered]


def days_left(certificate: x509.Certificate, now: datetime) -> int:
    """Whole days until it ends; negative afterwards."""
    return (certificate.not_valid_after_utc - now).days


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 as devices show it: `AB:CD:…`."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether the authority's key signed it."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def is_local(certificate: x509.Certificate) -> bool:
    """Whether a local authority, of whichever computer, says that it issued it."""
    return certificate.issuer.rfc4514_string().startswith(f"CN={AUTHORITY_NAME}")


def replacement_reason(
    chain: Sequence[x509.Certificate], names: Sequence[str], authority: x509.Certificate | None, now: datetime
) -> str:
    """Why a host's local certificate is to be replaced; "" where it is right.

    Args:
        chain: what the host has, none where it has none or damaged ones.
        names: that it should be for, exactly.
        authority: that should have signed it; None where it is not at hand, and nothing is asked about it.
    """
    if not chain:
        return "the host has no certificate that can be used"
    leaf = chain[0]
    if authority is not None and not is_issued_by(leaf, authority):
        return "the host's certificate is from another authority"
    if names_of(leaf) != set(names):
        return f"the host's certificate is for {', '.join(sorted(names_of(leaf))) or 'no name'}"
    left = days_left(leaf, now)
    if left < 0:
        return f"the host's certificate ended on {leaf.not_valid_after_utc:%Y-%m-%d}"
    if left < RENEW_DAYS:
        return f"the host's certificate ends in {left} days"
    return ""


def join_pair(chain_pem: bytes, key_pem: bytes, names: Collection[str], now: datetime, where: tuple[str, str]) -> bytes:
    """Certificate, chain and key as one PEM text, after a look whether they belong together and are right.

    One file is replaced by one rename: httpd never finds a certificate with another one's key.

    Args:
        names: that the certificate must be for, if any are given.
        where: what the certificate and the key are called in messages.

    Raises:
        CertificateError: which part is wrong, and what would be right.
    """
    certificate_name, key_name = where
    chain = parse_chain(chain_pem, certificate_name)
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except TypeError:
        raise CertificateError(
            f"{key_name} is encrypted, and httpd would ask for its password at each start; "
            "`openssl pkey -in OLD -out NEW` writes one without"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError(
            f'{key_name} has no private key that can be read: "-----BEGIN PRIVATE KEY-----"'
        ) from None
    leaf = chain[0]
    if leaf.public_key() != key.public_key():
        raise CertificateError(
            f"{key_name} is not the key of the first certificate in {certificate_name} "
            f"({leaf.subject.rfc4514_string()}); the host's own certificate comes first there, then the authority's"
        )
    for one, above in pairwise(chain):
        if not is_issued_by(one, above):
            raise CertificateError(
                f"{certificate_name} is out of order: {above.subject.rfc4514_string()} did not sign the one before it, "
                f"{one.subject.rfc4514_string()}"
            )
    if missing := uncovered(leaf, names):
        raise CertificateError(
            f"{certificate_name} is for {', '.join(sorted(names_of(leaf))) or 'no name'}, and proxy_tls_names has "
            f"{', '.join(missing)} as well"
        )
    if leaf.not_valid_after_utc <= now:
        raise CertificateError(
            f"{certificate_name} ended on {leaf.not_valid_after_utc:%Y-%m-%d}; a newer one would be right"
        )
    if leaf.not_valid_before_utc > now:
        raise CertificateError(f"{certificate_name} begins on {leaf.not_valid_before_utc:%Y-%m-%d}, which is not yet")
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    own = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    return b"".join([*(one.public_bytes(pem) for one in chain), own])


def today() -> datetime:
    """Now, as certificates have it."""
    return datetime.now(UTC)


def general_name(name: str) -> x509.GeneralName:
    """A name or address as a certificate has it."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
