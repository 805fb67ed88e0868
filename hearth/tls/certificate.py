"""Certificates in PEM: parsing, and checks for a host. Pure rules."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization

# A deploy renews a local CA's certificate with fewer days left.
RENEW_DAYS = 30
# A deploy warns of the user's or a public CA's certificate with fewer days left.
WARN_DAYS = 14


# Prefix of the names of local CAs.
AUTHORITY_NAME = "Hearth local CA"


class CertificateError(ValueError):
    """An unusable certificate or key; the message names it and the reason, and never contains a key."""


def parse_chain(pem: bytes, what: str) -> list[x509.Certificate]:
    """Parse the certificates in a PEM text, in order.

    Args:
        what: their description in messages.

    Raises:
        CertificateError: there are none, or one is invalid.
    """
    try:
        return x509.load_pem_x509_certificates(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError(
            f'{what} has no readable certificate: a PEM file begins with "-----BEGIN CERT…"'
        ) from None


def names_of(certificate: x509.Certificate) -> frozenset[str]:
    """Names and addresses that a certificate covers. Only subjectAltName counts, as in browsers."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    addresses = (str(address) for address in names.get_values_for_type(x509.IPAddress))
    return frozenset((*names.get_values_for_type(x509.DNSName), *addresses))


def uncovered(certificate: x509.Certificate, names: Collection[str]) -> list[str]:
    """The names that the certificate does not cover. `*.example.org` covers exactly one more label."""
    covered = names_of(certificate)
    return [name for name in names if name not in covered and f"*.{name.partition('.')[2]}" not in covered]


def days_left(certificate: x509.Certificate, now: datetime) -> int:
    """Whole days until it expires; negative afterwards."""
    return (certificate.not_valid_after_utc - now).days


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 in the notation of devices: `AB:CD:…`."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether the CA's key signed it."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def is_local(certificate: x509.Certificate) -> bool:
    """Whether its issuer has the name of a local CA, from any computer."""
    return certificate.issuer.rfc4514_string().startswith(f"CN={AUTHORITY_NAME}")


def replacement_reason(
    chain: Sequence[x509.Certificate], names: Sequence[str], authority: x509.Certificate | None, now: datetime
) -> str:
    """Why a host's local certificate must be replaced; "" if it is valid.

    Args:
        chain: the host's certificates; empty if it has none or they are damaged.
        names: the exact names that it must cover.
        authority: the CA that must have signed it; None if unavailable, then this is not checked.
    """
    if not chain:
        return "the host has no usable certificate"
    leaf = chain[0]
    if authority is not None and not is_issued_by(leaf, authority):
        return "the host's certificate is from another CA"
    if names_of(leaf) != set(names):
        return f"the host's certificate is valid for {', '.join(sorted(names_of(leaf))) or 'no name'}"
    left = days_left(leaf, now)
    if left < 0:
        return f"the host's certificate expired on {leaf.not_valid_after_utc:%Y-%m-%d}"
    if left < RENEW_DAYS:
        return f"the host's certificate expires in {left} days"
    return ""


def join_pair(chain_pem: bytes, key_pem: bytes, names: Collection[str], now: datetime, where: tuple[str, str]) -> bytes:
    """Join certificate, chain and key to one PEM text, after checking them.

    A single file is replaced by a single rename: httpd never loads a certificate with the wrong key.

    Args:
        names: those that the certificate must cover, if any.
        where: descriptions of the certificate and the key in messages.

    Raises:
        CertificateError: which part is wrong, and what to use instead.
    """
    certificate_name, key_name = where
    chain = parse_chain(chain_pem, certificate_name)
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except TypeError:
        raise CertificateError(
            f"{key_name} is encrypted, so httpd would prompt for its password at every start; "
            "decrypt it with `openssl pkey -in OLD -out NEW`"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError(
            f'{key_name} has no readable private key: a PEM file begins with "-----BEGIN PRIVATE KEY-----"'
        ) from None
    leaf = chain[0]
    if leaf.public_key() != key.public_key():
        raise CertificateError(
            f"{key_name} is not the key of the first certificate in {certificate_name} "
            f"({leaf.subject.rfc4514_string()}); put the host's certificate first, then its CA's"
        )
    for one, above in pairwise(chain):
        if not is_issued_by(one, above):
            raise CertificateError(
                f"{certificate_name} is out of order: {above.subject.rfc4514_string()} did not sign the previous one, "
                f"{one.subject.rfc4514_string()}"
            )
    if missing := uncovered(leaf, names):
        raise CertificateError(
            f"{certificate_name} is valid for {', '.join(sorted(names_of(leaf))) or 'no name'}, but proxy_tls_names "
            f"also has {', '.join(missing)}"
        )
    if leaf.not_valid_after_utc <= now:
        raise CertificateError(f"{certificate_name} expired on {leaf.not_valid_after_utc:%Y-%m-%d}; use a newer one")
    if leaf.not_valid_before_utc > now:
        raise CertificateError(f"{certificate_name} is not yet valid, but from {leaf.not_valid_before_utc:%Y-%m-%d} on")
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    own = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    return b"".join([*(one.public_bytes(pem) for one in chain), own])


def today() -> datetime:
    """The current time in UTC, for comparison with certificates."""
    return datetime.now(UTC)


def general_name(name: str) -> x509.GeneralName:
    """Convert a name or address to a certificate's."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
