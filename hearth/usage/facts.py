"""Usage of a host by day and caller; primitives, since they are printed as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from typing_extensions import override

from hearth.paths import CONTAINERS, ROOT
from hearth.runtime.sections import parse_sections
from hearth.runtime.shell import quote
from hearth.runtime.state_fact import StateFact

PROGRAM = Path(__file__).with_name("access_log.awk")


class Usage(StateFact[dict[str, Any]]):
    """The sums over httpd's access log, as far back as Docker keeps it.

    They are computed on the host, while Docker reads the log (also its rotated and compressed files): there is no copy
    of it, and no line leaves the host.

    `access`: False if the login lacks the permission (sudo requires a password); all other keys are missing then.
    `error`: "" or why Docker has no log. `usage`: by day and caller, each with `day` (ISO 8601, UTC), `kind` (`user`,
    `api_key`, `address`), `caller` (`-` if the log has no addresses), `requests`, `seconds`, `received` and `sent`
    (bytes, with headers).
    """

    @override
    def command(self, days: str = "") -> str:
        """`days`: only today (UTC) and the days before it, so many in total; "" for all."""
        program = "\n".join(line for line in PROGRAM.read_text().splitlines() if not line.lstrip().startswith("#"))
        since = f'--since "$(date -u -d {quote(f"-{int(days) - 1} days")} +%F)T00:00:00Z" ' if days else ""
        name = CONTAINERS["httpd"]
        script = "\n".join(
            [
                # A backend has no access log.
                f"if [ -e {ROOT}/compose.yaml ] && ! grep -qx '  httpd:' {ROOT}/compose.yaml; then echo @@usage; "
                f"elif error=$(docker inspect --format ok {name} 2>&1); then echo @@usage; "
                f"docker logs {since}{name} 2>/dev/null | awk {quote(program)}; "
                'else echo @@error; echo "$error"; fi',
                "true",
            ]
        )
        # As the login user: whether sudo is needed is not known in advance, and no password is entered.
        become = '[ "$(id -u)" = 0 ] && s= || s="sudo -n"; $s true 2>/dev/null || exit 0; echo @@access; $s '
        return become + quote("sh", "-c", script)

    @override
    def process(self, output: Iterable[str]) -> dict[str, Any]:
        sections = parse_sections(output)
        if "access" not in sections:
            return {"access": False}
        usage = sorted(map(_entry, sections.get("usage", [])), key=lambda one: (one["day"], -one["seconds"]))
        error = " ".join(line for line in sections.get("error", []) if line.strip())
        return {"access": True, "error": error, "usage": usage}


def _entry(line: str) -> dict[str, Any]:
    day, kind, caller, requests, seconds, received, sent = line.split("\t")
    return {
        "day": f"{datetime.strptime(day, '%d/%b/%Y').date():%Y-%m-%d}",
        "kind": kind,
        "caller": caller,
        "requests": int(requests),
        "seconds": float(seconds),
        "received": int(received),
        "sent": int(sent),
    }
