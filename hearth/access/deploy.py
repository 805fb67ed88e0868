"""Who may call: users and API clients, as httpd knows them."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import DeployError, deploy

from hearth.access import operations
from hearth.access.credentials import read_credentials
from hearth.settings.model import Settings
from hearth.settings.secret_source import SourceError


@deploy("Access")
def access(settings: Settings) -> None:
    """Nothing where nobody has to sign in: what an earlier deploy left is emptied along with the change of httpd.conf.

    Raises:
        DeployError: a password or key can't be had. Deploy code of all hosts runs before anything is changed.
    """
    if not settings.uses_credentials:
        return
    try:
        callers = read_credentials(settings)
    except SourceError as error:
        lines = "\n  ".join(f"{host.name}: {line}" for line in str(error).splitlines())
        raise DeployError(f"these passwords and keys can't be had, and nothing was changed:\n  {lines}") from None
    operations.install_credentials(name="Let in users and API clients", callers=callers)
