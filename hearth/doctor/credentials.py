"""The doctor's credentials for the host: never from the command line, which other users can read."""

from __future__ import annotations

import base64
import getpass
import os

KEY, PASSWORD = "HEARTH_KEY", "HEARTH_PASSWORD"


def authorization(user: str) -> str:
    """The value of the `Authorization` header; "" without a user and without a key.

    Args:
        user: whose password is read from the environment or prompted for; "" for an API key.
    """
    if not user:
        key = os.environ.get(KEY, "")
        return f"Bearer {key}" if key else ""
    password = os.environ.get(PASSWORD) or getpass.getpass(f"Password of {user}: ")
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
