"""What the computer that deploys has of a host's TLS: files of the user's own, or the local authority."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from hearth.settings.model import Settings
from hearth.settings.secret_source import Source, SourceError, read_secret
from hearth.tls.certificate import CertificateError, join_pair, parse_chain
from hearth.tls.local_ca import Authority, load_authority


@dataclass(frozen=True)
class TlsInputs:
    """Read before any host is changed.

    Attributes:
        pair: certificates and key as one PEM text (`files`); never shown.
        directory: of the local authority (`local-ca`).
        authority: the one that is there; None where it is still to be made, or is on another computer.
        everyone: names of all hosts that it is for, should it be made.
        trust: PEM text of what an ACME server of the user's own is reached with.
    """

    pair: bytes = field(default=b"", repr=False)
    directory: Path = Path()
    authority: Authority | None = None
    everyone: tuple[str, ...] = ()
    trust: bytes = b""


def load_tls_inputs(settings: Settings, everyone: Iterable[Settings], now: datetime) -> TlsInputs:
    """Read what a host's settings name on this computer, and look whether it can be right.

    Args:
        everyone: settings of all hosts of the inventory.

    Raises:
        CertificateError: naming the setting.
    """
    match settings.proxy_tls:
        case "files":
            return TlsInputs(pair=_own_files(settings, now))
        case "local-ca":
            return _authority(settings, everyone)
        case "acme" if settings.proxy_acme_trust:
            trust = _read(settings.proxy_acme_trust, "proxy_acme_trust")
            parse_chain(trust, f"proxy_acme_trust = {settings.proxy_acme_trust!r}")
            return TlsInputs(trust=trust)
    return TlsInputs()


def _own_files(settings: Settings, now: datetime) -> bytes:
    certificate, key = settings.proxy_tls_certificate, settings.proxy_tls_key
    assert key is not None, "settings without it are refused"
    return join_pair(
        _read(certificate, "proxy_tls_certificate"),
        _key(key),
        settings.proxy_tls_names,
        now,
        (f"proxy_tls_certificate = {certificate!r}", f"proxy_tls_key ({key.description})"),
    )


def _authority(settings: Settings, everyone: Iterable[Settings]) -> TlsInputs:
    directory = Path(settings.proxy_tls_ca).expanduser()
    authority = load_authority(directory)
    if authority is not None and (outside := authority.outside(settings.proxy_tls_names)):
        raise CertificateError(
            f"proxy_tls_names has {', '.join(outside)}, and the local authority in {directory} does not vouch for "
            "that: it was made for private addresses, *.local and the like, and the names that there were then. Use "
            f"another name; or `mv {directory} {directory}.old`, deploy, and tell every device of the new one "
            "(docs/tls.md)"
        )
    names = [
        name
        for one in everyone
        if one.proxy_tls == "local-ca" and one.proxy_tls_ca == settings.proxy_tls_ca
        for name in one.proxy_tls_names
    ]
    return TlsInputs(
        directory=directory, authority=authority, everyone=tuple(dict.fromkeys([*settings.proxy_tls_names, *names]))
    )


def _key(source: Source) -> bytes:
    try:
        return read_secret(source).get_secret_value().encode()
    except SourceError as error:
        raise CertificateError(f"proxy_tls_key: {error}") from None


def _read(path: str, setting: str) -> bytes:
    place = Path(path).expanduser()
    try:
        return place.read_bytes()
    except OSError as error:
        raise CertificateError(
            f"{setting} = {path!r}: {place} can't be read on this computer: {error.strerror}"
        ) from None
