"""The user that pyinfra logged in as."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pyinfra.api import FactBase
from typing_extensions import override


@dataclass(frozen=True)
class Privileges:
    """Who we are on the host.

    Attributes:
        user_id: numeric.
        has_sudo: the command is there.
        client: the address that we come from, as ssh sees it; "" without ssh.
    """

    user_id: int = -1
    has_sudo: bool = False
    client: str = ""


class Login(FactBase[Privileges]):
    """The user that pyinfra logged in as."""

    @override
    def command(self) -> str:
        return 'id -u; command -v sudo; echo "from ${SSH_CONNECTION%% *}"'

    @override
    def process(self, output: Iterable[str]) -> Privileges:
        user_id, *sudo, client = list(output)
        return Privileges(int(user_id), bool(sudo), client.removeprefix("from").strip())
