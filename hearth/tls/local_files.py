"""TLS inputs on the computer that deploys: the user's own files, or the local CA."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from hearth.settings.model import Settings
from hearth.settings.secret_source import Source, SourceError, read_secret
from hearth.tls.certificate import CertificateError, join_pair, parse_chain
from hearth.tls.local_ca import Authority, load_authority


@dataclass(frozen=True)
class TlsInputs:
    """TLS inputs for a host, read before any host is changed.

    Attributes:
        pair: certificates and key as one PEM text (`files`); never shown.
        directory: of the local CA (`local-ca`, and gateways with TLS to backends).
        authority: the local CA; None if it is yet to be created, or is on another computer.
        all_names: names of all hosts that a new CA is for.
        trust: PEM text of the root certificate of a private ACME server.
    """

    pair: bytes = field(default=b"", repr=False)
    directory: Path = Path()
    authority: Authority | None = None
    all_names: tuple[str, ...] = ()
    trust: bytes = b""


def load_tls_inputs(settings: Settings, all_settings: Iterable[Settings], now: datetime) -> TlsInputs:
    """Load the files that a host's settings name on this computer, and check them.

    Args:
        all_settings: settings of all hosts of the inventory.

    Raises:
        CertificateError: naming the setting.
    """
    inputs = TlsInputs()
    if settings.proxy_tls == "local-ca" or settings.tls_backends:
        inputs = _authority(settings, all_settings)
    match settings.proxy_tls:
        case "files":
            inputs = replace(inputs, pair=_own_files(settings, now))
        case "acme" if settings.proxy_acme_trust:
            trust = _read(settings.proxy_acme_trust, "proxy_acme_trust")
            parse_chain(trust, f"proxy_acme_trust = {settings.proxy_acme_trust!r}")
            inputs = replace(inputs, trust=trust)
    return inputs


def _own_files(settings: Settings, now: datetime) -> bytes:
    certificate, key = settings.proxy_tls_certificate, settings.proxy_tls_key
    assert key is not None, "settings without it are rejected"
    return join_pair(
        _read(certificate, "proxy_tls_certificate"),
        _key(key),
        settings.proxy_tls_names,
        now,
        (f"proxy_tls_certificate = {certificate!r}", f"proxy_tls_key ({key.description})"),
    )


def _authority(settings: Settings, all_settings: Iterable[Settings]) -> TlsInputs:
    directory = Path(settings.proxy_tls_ca).expanduser()
    authority = load_authority(directory)
    own_names = settings.proxy_tls_names if settings.proxy_tls == "local-ca" else ()
    if authority is not None and (outside := authority.not_permitted(own_names)):
        raise CertificateError(
            f"proxy_tls_names has {', '.join(outside)}, which the local CA in {directory} is not permitted to certify: "
            "it was created for private addresses, *.local and similar names, and the names in the settings at that "
            f"time. Use another name; or run `mv {directory} {directory}.old`, deploy, and install the new CA on every "
            "device (docs/tls.md)"
        )
    names = [
        name
        for one in all_settings
        if one.proxy_tls == "local-ca" and one.proxy_tls_ca == settings.proxy_tls_ca
        for name in one.proxy_tls_names
    ]
    return TlsInputs(directory=directory, authority=authority, all_names=tuple(dict.fromkeys([*own_names, *names])))


def _key(source: Source) -> bytes:
    try:
        return read_secret(source).get_secret_value().encode()
    except SourceError as error:
        raise CertificateError(f"proxy_tls_key: {error}") from None


def _read(path: str, setting: str) -> bytes:
    file = Path(path).expanduser()
    try:
        return file.read_bytes()
    except OSError as error:
        raise CertificateError(
            f"{setting} = {path!r}: could not read {file} on this computer: {error.strerror}"
        ) from None
