"""TLS inputs on this computer, read before any host is changed."""

from __future__ import annotations

from collections.abc import Iterable

from pyinfra import host
from pyinfra.api import DeployError

from hearth.settings.model import Settings
from hearth.tls.certificate import CertificateError, today
from hearth.tls.local_files import TlsInputs, load_tls_inputs


def read_tls_inputs(settings: Settings, all_settings: Iterable[Settings]) -> TlsInputs:
    """Load certificate and key, or the local CA, for the current host.

    Args:
        all_settings: settings of all hosts of the inventory.

    Raises:
        DeployError: something is missing or invalid.
    """
    try:
        return load_tls_inputs(settings, all_settings, today())
    except CertificateError as error:
        raise DeployError(f"{host.name}: {error}; nothing was changed") from None
