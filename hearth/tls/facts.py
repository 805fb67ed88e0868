"""A host's certificates."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from typing_extensions import override

from hearth.paths import ACME, ACME_STORE, ROOT, TLS, TLS_FILES, TLS_LIVE
from hearth.runtime.sections import parse_digests, parse_sections
from hearth.runtime.shell import quote
from hearth.runtime.state_fact import StateFact

# Path → mode and owner (numbers: user, group).
DIRECTORIES = {TLS: "700:0:0", TLS_LIVE: "755:0:0", ACME: "700:0:0", ACME_STORE: "700:33:33"}

# Without the key in the same file.
_SHOW_CERTIFICATES = "sed -n '/^-----BEGIN CERT/,/^-----END CERT/p'"


@dataclass(frozen=True)
class CertificatesState:
    """Certificates of a host.

    Attributes:
        digests: name of a file in `/opt/hearth/tls/live` → SHA-256 (hex); "" if owner or mode is wrong.
        recorded: digest of `server.pem`, recorded by a deploy.
        chain: PEM text of the certificates in it.
        directories: those of `DIRECTORIES` with correct owner and mode.
        acme_chain: PEM text of the certificates that the CA issued last.
        acme_errors: number of consecutive failures.
        acme_trouble: httpd's message for the last failure.
        gateway_recorded, gateway_chain: as `recorded` and `chain`, of `gateway.pem`.
    """

    digests: dict[str, str] = field(default_factory=dict)
    recorded: str = ""
    chain: str = ""
    directories: frozenset[str] = frozenset()
    acme_chain: str = ""
    acme_errors: int = 0
    acme_trouble: str = ""
    gateway_recorded: str = ""
    gateway_chain: str = ""


class Certificates(StateFact[CertificatesState]):
    """TLS files. Of a key, only its file's digest is read. `acme_name`: the first ACME name, or ""."""

    @override
    def command(self, acme_name: str) -> str:
        names = quote(*TLS_FILES)
        acme = [
            f"echo @@acme; cat {quote(f'{ACME_STORE}/domains/{acme_name}')}/pubcert*.pem 2>/dev/null",
            f"echo @@job; cat {quote(f'{ACME_STORE}/staging/{acme_name}/job.json')} 2>/dev/null",
        ]
        return "; ".join(
            [
                f"[ -d {ROOT} ] || exit 0",
                f"echo @@directories; stat -c '%a:%u:%g:%F %n' {quote(*DIRECTORIES)} 2>/dev/null",
                *(acme if acme_name else []),
                f"cd {TLS_LIVE} 2>/dev/null || exit 0",
                f"echo @@modes; stat -c '%a:%u:%g:%F %n' {names} 2>/dev/null",
                f"echo @@digests; sha256sum {names} 2>/dev/null",
                "echo @@recorded; cat server.sha256 2>/dev/null",
                f"echo @@chain; {_SHOW_CERTIFICATES} server.pem 2>/dev/null",
                "echo @@gateway_recorded; cat gateway.sha256 2>/dev/null",
                f"echo @@gateway_chain; {_SHOW_CERTIFICATES} gateway.pem 2>/dev/null",
                "true",
            ]
        )

    @override
    def process(self, output: Iterable[str]) -> CertificatesState:
        sections = defaultdict(list, parse_sections(output))
        files = {f"{mode}:regular file {name}": name for name, mode in TLS_FILES.items()}
        correct = {files[line] for line in sections["modes"] if line in files}
        directories = {f"{mode}:directory {path}": path for path, mode in DIRECTORIES.items()}
        digests = parse_digests(sections["digests"])
        errors, trouble = _job("\n".join(sections["job"]))
        return CertificatesState(
            digests={name: digest if name in correct else "" for name, digest in digests.items()},
            recorded=next(iter(sections["recorded"]), "").partition(" ")[0],
            chain="\n".join(sections["chain"]),
            gateway_recorded=next(iter(sections["gateway_recorded"]), "").partition(" ")[0],
            gateway_chain="\n".join(sections["gateway_chain"]),
            directories=frozenset(directories[line] for line in sections["directories"] if line in directories),
            acme_chain="\n".join(sections["acme"]),
            acme_errors=errors,
            acme_trouble=trouble,
        )


def _job(text: str) -> tuple[int, str]:
    """Consecutive failures of a job of httpd's mod_md, and its last message; the file may be incomplete."""
    try:
        job = json.loads(text)
        last = job.get("last", {})
        return int(job.get("errors", 0)), str(last.get("detail") or last.get("status-description", ""))
    except (ValueError, AttributeError, TypeError):
        return 0, ""
