"""The local authority: a key and a certificate on the computer that deploys, which sign the hosts' certificates.

`authority.pem` in its directory has both, readable by its owner alone; `hearth-ca.crt` is what devices are given.
The authority binds itself: by its name constraints, what it signs is worth nothing for the web's names and addresses,
even if its key were stolen.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hearth.settings.tls import PRIVATE_SUFFIXES, parse_address
from hearth.tls.certificate import AUTHORITY_NAME, CertificateError, general_name, parse_chain

PRIVATE_NETWORKS = (
    *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8"),
    *("fc00::/7", "fe80::/10", "::1/128"),
)
AUTHORITY_DAYS = 3650
# Devices refuse certificates with more days; Apple's limit for public ones, held here, too.
LEAF_DAYS = 397
# A Pi without a clock battery, or a phone, may be behind.
_BACKDATED = timedelta(days=1)
_PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class Authority:
    """An authority that is there.

    Attributes:
        certificate: its own.
        key: signs; never shown.
    """

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def pem(self) -> bytes:
        """Its certificate, for devices."""
        return self.certificate.public_bytes(_PEM)

    def issue(self, names: Sequence[str], now: datetime) -> bytes:
        """A new key and its certificate for a host, as one PEM text: certificate first.

        Raises:
            CertificateError: a name that the authority does not vouch for.
        """
        if outside := self.outside(names):
            raise CertificateError(f"the local authority does not vouch for {', '.join(outside)}")
        key = ec.generate_private_key(ec.SECP256R1())
        ends = min(now + timedelta(days=LEAF_DAYS) - _BACKDATED, self.certificate.not_valid_after_utc)
        ours = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        theirs = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        certificate = (
            # Not a host name: where there is none among the names, OpenSSL would hold this against the constraints.
            _builder(_name("Hearth host certificate"), self.certificate.subject, key.public_key(), now, ends)
            .add_extension(x509.SubjectAlternativeName([general_name(name) for name in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(usages, critical=False)
            .add_extension(ours, critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(theirs), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return certificate.public_bytes(_PEM) + _private(key)

    def outside(self, names: Collection[str]) -> list[str]:
        """Those of the names that its constraints leave out."""
        try:
            limits = self.certificate.extensions.get_extension_for_class(x509.NameConstraints).value
        except x509.ExtensionNotFound:  # an authority of the user's own making
            return []
        permitted = list(limits.permitted_subtrees or [])
        domains = [one.value for one in permitted if isinstance(one, x509.DNSName)]
        networks = [one.value for one in permitted if isinstance(one, x509.IPAddress)]
        return [name for name in names if not _is_within(name, domains, networks)]


def _is_within(name: str, domains: Sequence[str], networks: Sequence[object]) -> bool:
    if (address := parse_address(name)) is not None:
        return any(
            isinstance(network, ipaddress.IPv4Network | ipaddress.IPv6Network) and address in network
            for network in networks
        )
    return any(name == domain or name.endswith(f".{domain}") for domain in domains)


def load_authority(directory: Path) -> Authority | None:
    """The authority in a directory; None where there is none.

    Raises:
        CertificateError: it can't be read, or others can read it.
    """
    place = directory / "authority.pem"
    try:
        content = place.read_bytes()
        mode = place.stat().st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CertificateError(f"{place}: {error.strerror}") from None
    if mode & 0o077:
        raise CertificateError(f"{place} has the local authority's key, and others can read it; `chmod 600 {place}`")
    certificate = parse_chain(content, str(place))[0]
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise CertificateError(f"{place} has no private key that can be read; put it back from your copy") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise CertificateError(
            f"{place}: its key and its certificate do not belong together; put it back from your copy"
        )
    return Authority(certificate, key)


def make_authority(directory: Path, names: Collection[str], now: datetime) -> Authority:
    """Make the authority, or take the one that somebody else has made meanwhile: it is made once.

    Args:
        names: that it is to vouch for, beyond private addresses and the endings in `PRIVATE_SUFFIXES`.

    Raises:
        CertificateError: the directory can't be written to.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(f"{AUTHORITY_NAME} {secrets.token_hex(3)}")
    certificate = (
        _builder(subject, subject, key.public_key(), now, now + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(certificates=True), critical=True)
        .add_extension(x509.NameConstraints(_permitted(names), None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    made = Authority(certificate, key)
    place = directory / "authority.pem"
    draft = directory / f".authority-{secrets.token_hex(8)}"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(made.pem + _private(key))
            file.flush()
            os.fsync(file.fileno())
        try:
            place.hardlink_to(draft)  # fails where there is one: hosts are deployed to at the same time
        except FileExistsError:
            found = load_authority(directory)
            assert found is not None
            made = found
        finally:
            draft.unlink()
        (directory / "hearth-ca.crt").write_bytes(made.pem)
    except OSError as error:
        raise CertificateError(f"the local authority can't be kept in {directory}: {error.strerror}") from None
    return made


def _permitted(names: Collection[str]) -> list[x509.GeneralName]:
    domains = dict.fromkeys([*PRIVATE_SUFFIXES, *sorted(name for name in names if parse_address(name) is None)])
    addresses = [address for name in names if (address := parse_address(name)) is not None]
    networks = [ipaddress.ip_network(network) for network in PRIVATE_NETWORKS]
    own = [ipaddress.ip_network(one) for one in sorted(addresses, key=str) if not any(one in each for each in networks)]
    return [*(x509.DNSName(domain) for domain in domains), *(x509.IPAddress(network) for network in [*networks, *own])]


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(ends)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(digital_signature: bool = False, certificates: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=certificates,
        crl_sign=certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
