"""The local CA: a key and a certificate on the computer that deploys, which sign the hosts' certificates.

`authority.pem` in its directory has both, readable only by its owner; `hearth-ca.crt` is for devices.
The CA limits itself by name constraints: even with its stolen key, nobody can sign certificates for public names and
addresses that devices accept.
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
# Some devices reject longer lifetimes; this is Apple's limit for public CAs.
LEAF_DAYS = 397
# The clock of a Pi without a battery, or of a phone, may be behind.
_BACKDATED = timedelta(days=1)
# In the certificates of gateways, which nobody compares with an address.
GATEWAY_NAME = "gateway.internal"
_PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class Authority:
    """A local CA.

    Attributes:
        certificate: the CA's.
        key: signing key; never shown.
    """

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def pem(self) -> bytes:
        """Its certificate, for devices."""
        return self.certificate.public_bytes(_PEM)

    def issue(self, names: Sequence[str], now: datetime) -> bytes:
        """Create a key and certificate for a host, as one PEM text: certificate first.

        Raises:
            CertificateError: the CA is not permitted to certify a name.
        """
        certificate, key = self._sign(names, now, "Hearth host certificate", ExtendedKeyUsageOID.SERVER_AUTH)
        return certificate + _private(key)

    def issue_for_gateway(self, now: datetime) -> bytes:
        """The same for a gateway, which authenticates with it at backends; no server can use it.

        Raises:
            CertificateError: the CA, which Hearth did not create, is not permitted to certify `GATEWAY_NAME`.
        """
        certificate, key = self._sign(
            [GATEWAY_NAME], now, "Hearth gateway certificate", ExtendedKeyUsageOID.CLIENT_AUTH
        )
        # httpd reads no PKCS #8 there (SSLProxyMachineCertificateFile).
        return certificate + _private(key, serialization.PrivateFormat.TraditionalOpenSSL)

    def _sign(
        self, names: Sequence[str], now: datetime, subject: str, usage: x509.ObjectIdentifier
    ) -> tuple[bytes, ec.EllipticCurvePrivateKey]:
        if outside := self.not_permitted(names):
            raise CertificateError(f"the local CA is not permitted to certify {', '.join(outside)}")
        key = ec.generate_private_key(ec.SECP256R1())
        ends = min(now + timedelta(days=LEAF_DAYS) - _BACKDATED, self.certificate.not_valid_after_utc)
        ours = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        theirs = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        usages = x509.ExtendedKeyUsage([usage])
        certificate = (
            # Not a host name: without DNS names in the certificate, OpenSSL would check this against the constraints.
            _builder(_name(subject), self.certificate.subject, key.public_key(), now, ends)
            .add_extension(x509.SubjectAlternativeName([general_name(name) for name in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(usages, critical=False)
            .add_extension(ours, critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(theirs), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return certificate.public_bytes(_PEM), key

    def not_permitted(self, names: Collection[str]) -> list[str]:
        """The names that its constraints exclude."""
        try:
            limits = self.certificate.extensions.get_extension_for_class(x509.NameConstraints).value
        except x509.ExtensionNotFound:  # a CA that the user created
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
    """Load the CA in a directory; None if there is none.

    Raises:
        CertificateError: it is unreadable, or readable by others.
    """
    path = directory / "authority.pem"
    try:
        content = path.read_bytes()
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CertificateError(f"{path}: {error.strerror}") from None
    if mode & 0o077:
        raise CertificateError(f"{path} has the local CA's key and is readable by others; run `chmod 600 {path}`")
    certificate = parse_chain(content, str(path))[0]
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise CertificateError(f"{path} has no readable private key; restore it from your backup") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise CertificateError(f"{path}: its key and certificate do not match; restore it from your backup")
    return Authority(certificate, key)


def create_authority(directory: Path, names: Collection[str], now: datetime) -> Authority:
    """Create the CA, or load the one that another run has just created: there is only one.

    Args:
        names: those that it may certify, besides private addresses and the suffixes in `PRIVATE_SUFFIXES`.

    Raises:
        CertificateError: the directory is not writable.
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
    created = Authority(certificate, key)
    path = directory / "authority.pem"
    draft = directory / f".authority-{secrets.token_hex(8)}"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(created.pem + _private(key))
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(draft)  # fails if it exists: hosts are deployed to in parallel
        except FileExistsError:
            found = load_authority(directory)
            assert found is not None
            created = found
        finally:
            draft.unlink()
        (directory / "hearth-ca.crt").write_bytes(created.pem)
    except OSError as error:
        raise CertificateError(f"could not write the local CA to {directory}: {error.strerror}") from None
    return created


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


def _private(
    key: ec.EllipticCurvePrivateKey, form: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8
) -> bytes:
    return key.private_bytes(_PEM, form, serialization.NoEncryption())
