"""The login user of pyinfra, and its privileges."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pyinfra.api import FactBase
from typing_extensions import override


@dataclass(frozen=True)
class Privileges:
    """The login user on the host.

    Attributes:
        user_id: numeric; -1 if the command did not run.
        has_sudo: the command exists.
        sudo_is_free: sudo needs no password.
        client: address of the deploying computer in the ssh connection; "" without ssh.
    """

    user_id: int = -1
    has_sudo: bool = False
    client: str = ""
    sudo_is_free: bool = False


class Login(FactBase[Privileges]):
    """The login user of pyinfra, and its privileges."""

    @staticmethod
    @override
    def default() -> Privileges:
        return Privileges()

    @override
    def command(self) -> str:
        # -k: regardless of a password that was entered a moment ago, and would have to be entered again later in the
        # run. By exit code, and without sudo's errors: pyinfra itself would prompt at some of them.
        return (
            'id -u; command -v sudo && sudo -k -n -H true 2>/dev/null && echo @@free; echo "from ${SSH_CONNECTION%% *}"'
        )

    @override
    def process(self, output: Iterable[str]) -> Privileges:
        lines = list(output)
        if not lines[-1].startswith("from"):
            return Privileges()  # the command did not run: the login shell exits, or runs something else
        user_id, *sudo, client = lines
        return Privileges(int(user_id), bool(sudo), client.removeprefix("from").strip(), "@@free" in sudo)
