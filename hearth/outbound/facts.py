"""How a host is configured for its HTTP proxy."""

from __future__ import annotations

from collections.abc import Iterable

from typing_extensions import override

from hearth.outbound.files import DIRECTORIES, RIGHTS, OutboundState
from hearth.outbound.trusted_ca import TrustState
from hearth.paths import CA_CERTIFICATES, TRUSTED_CA
from hearth.runtime.sections import parse_digests, parse_sections
from hearth.runtime.state_fact import StateFact


class Outbound(StateFact[OutboundState]):
    """The proxy's files on a host, in one round trip: checksums, no contents."""

    @override
    def command(self) -> str:
        files, directories = " ".join(RIGHTS), " ".join(DIRECTORIES)
        return "; ".join(
            [
                f"echo @@rights; stat -c '%n %a:%u:%g' {files} 2>/dev/null",
                f"echo @@sums; sha256sum {files} 2>/dev/null",
                f"echo @@directories; stat -c '%n %a:%u:%g' {directories} 2>/dev/null",
                "echo @@engine; command -v dockerd",
                "true",
            ]
        )

    @override
    def process(self, output: Iterable[str]) -> OutboundState:
        sections = parse_sections(output)

        def pairs(name: str) -> list[list[str]]:
            return [line.split(maxsplit=1) for line in sections.get(name, []) if line.strip()]

        sums = {path: digest for digest, path in pairs("sums")}
        return OutboundState(
            files={path: (rights, sums.get(path, "")) for path, rights in pairs("rights")},
            directories=dict(pairs("directories")),
            has_engine=bool(sections.get("engine")),
        )


class Trust(StateFact[TrustState]):
    """The CAs that Hearth has added to those of a host."""

    @override
    def command(self) -> str:
        files = f"{TRUSTED_CA}/*.crt"
        return "; ".join(
            [
                f"echo @@sums; sha256sum {files} 2>/dev/null",
                # By a line of the signature, since the first lines of two certificates may be the same.
                f'echo @@untrusted; for file in {files}; do [ ! -e "$file" ] || '
                f'grep -qsxF -e "$(tail -n 3 "$file" | head -n 1)" {CA_CERTIFICATES}/ca-certificates.crt || '
                'echo "$file"; done',
                "true",
            ]
        )

    @override
    def process(self, output: Iterable[str]) -> TrustState:
        sections = parse_sections(output)
        return TrustState(
            files=parse_digests(sections.get("sums", [])),
            trusted=not any(sections.get("untrusted", [])),
        )
