"""Users and API clients for tests: their settings, and httpd's files with their credentials."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from hearth.access.credential_files import update_files
from hearth.access.credentials import Credentials
from hearth.paths import HTTPD_SECRET_FILES
from tests.proxy.httpd import PREFIX

ANNA, BEN = "the-password-of-anna", "Bens Paßwort: mit Leerzeichen"
KEY, OTHER_KEY = "nb-4f0c86d1a2b37e5f9c08", "sk-proj-0/9+8_7-6.5~4=3!2"
SETTINGS: Mapping[str, Any] = {
    "proxy_users": {"anna": {"env": "A"}, "ben": {"env": "B"}},
    "proxy_api_keys": {"notebook": {"env": "N"}, "editor": {"env": "E"}},
}
CREDENTIALS = Credentials(
    {"anna": SecretStr(ANNA), "ben": SecretStr(BEN)}, {"notebook": SecretStr(KEY), "editor": SecretStr(OTHER_KEY)}
)
MOUNT = f"{PREFIX}/conf/secrets"


def write_files(directory: Path, credentials: Credentials = CREDENTIALS) -> Path:
    """Write the files like a deploy, each with a rename. (Setting owners and modes would need root.)"""
    directory.mkdir(exist_ok=True)
    present = {
        name: SecretStr((directory / name).read_text()) for name in HTTPD_SECRET_FILES if (directory / name).exists()
    }
    for name, content in update_files(present, credentials).items():
        (directory / f"{name}.new").write_text(content.get_secret_value())
        (directory / f"{name}.new").rename(directory / name)
    return directory
