"""Install the credentials of users and API clients, and the keys of providers, for httpd."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import DeployError, deploy

from hearth.access import operations
from hearth.access.credentials import read_credentials
from hearth.settings.model import Settings
from hearth.settings.secret_source import SourceError


@deploy("Access")
def access(settings: Settings) -> None:
    """Does nothing without credentials and providers: the change of httpd.conf removes those of earlier deploys.

    Raises:
        DeployError: a password or key can't be read. Deploy code of all hosts runs before anything is changed.
    """
    if not settings.has_secrets:
        return
    try:
        credentials = read_credentials(settings)
    except SourceError as error:
        lines = "\n  ".join(f"{host.name}: {line}" for line in str(error).splitlines())
        raise DeployError(f"could not read these credentials, nothing was changed:\n  {lines}") from None
    operations.install_credentials(name="Install credentials", credentials=credentials)
