"""TLS: what this computer has of it, read before any host is changed."""

from __future__ import annotations

from collections.abc import Iterable

from pyinfra import host
from pyinfra.api import DeployError

from hearth.settings.model import Settings
from hearth.tls.certificate import CertificateError, today
from hearth.tls.local_files import TlsInputs, load_tls_inputs


def read_tls_inputs(settings: Settings, everyone: Iterable[Settings]) -> TlsInputs:
    """Certificate, key or authority for the current host.

    Args:
        everyone: settings of all hosts of the inventory.

    Raises:
        DeployError: something of it is not there, or can't be right.
    """
    try:
        return load_tls_inputs(settings, everyone, today())
    except CertificateError as error:
        raise DeployError(f"{host.name}: {error}; nothing was changed") from None
