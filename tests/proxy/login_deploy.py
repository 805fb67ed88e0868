"""A deploy file for tests: what every run needs of a host, and what it reads. Prints one line of JSON."""

from __future__ import annotations

import io
import json

from pyinfra import host, state
from pyinfra.api import StringCommand

from hearth.cli.session import find_login, root_arguments
from hearth.preflight.facts import HostFacts
from hearth.runtime.byte_stream import read_from, write_to
from hearth.runtime.lock import _start_lock_program, acquire_deploy_lock
from hearth.runtime.shell import quote
from hearth.runtime.sudo import root_connection_arguments, settle_sudo_password

# Everything that a shell or a terminal may change: zero bytes, line ends, bytes that are not UTF-8, quotes, long lines.
SENT = bytes(range(256)) * 1500 + b"\r\n\\n!'\"$(x)`" + b"end-" * 9
TEXT = 'it\'s \\n and \\\\, 100% "$HOME" `id` !1 …\n\tend'

login = find_login()
root = root_arguments(login)
settle_sudo_password(root, login.sudo_is_free)
acquire_deploy_lock(root)
second = _start_lock_program(root)
arguments = root_connection_arguments(root)
write_to(state, host, "cat > /tmp/sent", arguments, io.BytesIO(SENT))
with read_from(state, host, "cat /tmp/sent", arguments) as reader:
    received = reader.read(1 << 30)
_, text = host.run_shell_command(StringCommand(f"printf %s {quote(TEXT)}"), **arguments)
failed, refusal = host.run_shell_command(StringCommand("cat /nowhere; echo 'said this' >&2; exit 7"), **arguments)
_, locale = host.run_shell_command(StringCommand('echo "$LC_ALL-$LANGUAGE"'), **arguments)
_, apt = host.run_shell_command(StringCommand("apt-get -s install no-such-package"), **arguments)
facts = host.get_fact(HostFacts, paths=("/var/lib/docker",), models_dir="", **root)
print(
    json.dumps(
        {
            "holder": second.output if second else "",
            "streamed": received == SENT,
            "text": text.output_lines == TEXT.split("\n"),
            "failed": not failed,
            "errors": refusal.output_lines,
            "locale": locale.output_lines,
            "apt": apt.output_lines[-1],
            "system": facts.os_release.get("ID"),
        }
    )
)
