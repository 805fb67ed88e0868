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
        client: address of the deploying computer in the ssh connection; "" without ssh.
    """

    user_id: int = -1
    has_sudo: bool = False
    client: str = ""


class Login(FactBase[Privileges]):
    """The login user of pyinfra, and its privileges."""

    @staticmethod
    @override
    def default() -> Privileges:
        return Privileges()

    @override
    def command(self) -> str:
        return 'id -u; command -v sudo; echo "from ${SSH_CONNECTION%% *}"'

    @override
    def process(self, output: Iterable[str]) -> Privileges:
        lines = list(output)
        if not lines[-1].startswith("from"):
            return Privileges()  # the command did not run: the login shell exits, or runs something else
        user_id, *sudo, client = lines
        return Privileges(int(user_id), bool(sudo), client.removeprefix("from").strip())
