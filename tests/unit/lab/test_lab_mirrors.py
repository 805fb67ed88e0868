"""The lab's package sources, derived from the machine's. Addresses are fictitious."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import LabError, mirrors

DEB822 = """\
Types: deb
# a comment within
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""


def test_deb822_file_with_the_labs_suites() -> None:
    found = mirrors.choose(mirrors.parse_deb822(DEB822)).sources()
    assert "URIs: http://mirror.example/debian\nSuites: trixie trixie-updates\n" in found
    assert "URIs: http://mirror.example/debian-security\nSuites: trixie-security\n" in found
    assert "bookworm" not in found


def test_one_line_format_has_the_same_result() -> None:
    text = """
    # deb http://mirror.example/off bookworm main
    deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.example/debian bookworm main
    deb-src http://mirror.example/debian bookworm main
    deb http://mirror.example/debian-security bookworm-security main contrib  # trailing
    """
    chosen = mirrors.choose(mirrors.parse_one_line(text))
    assert chosen.main.uri == "http://mirror.example/debian"
    assert chosen.main.signed_by == mirrors.KEYRING
    assert chosen.security is not None
    assert chosen.security.components == ("main", "contrib")


@pytest.mark.parametrize(
    "entry",
    [
        "deb [signed-by=/etc/apt/keyrings/docker.asc] https://packages.example/linux/debian bookworm stable",
        "deb [signed-by=/etc/apt/keyrings/vendor.gpg] https://apt.vendor.example bookworm main",
        "deb https://packages.example/pgdg bookworm-pgdg main",
    ],
)
def test_third_party_archives_are_not_mistaken_for_debian(entry: str) -> None:
    with pytest.raises(LabError, match="No Debian archive"):
        mirrors.choose(mirrors.parse_one_line(entry))


def test_disabled_and_source_only_stanzas_are_ignored() -> None:
    off = DEB822.replace("Types: deb\n", "Enabled: no\nTypes: deb\n")
    assert [entry.suite for entry in mirrors.parse_deb822(off)] == ["bookworm-security"]
    assert mirrors.parse_deb822(DEB822.replace("Types: deb deb-src", "Types: deb-src"))[-1].suite == "bookworm-updates"


def test_embedded_key_is_kept() -> None:
    key = "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n -----END PGP PUBLIC KEY BLOCK-----\n"
    text = f"Types: deb\nURIs: http://mirror.example/debian\nSuites: trixie\nComponents: main\n{key}"
    assert key.replace("Signed-By:", "Signed-By: ") in mirrors.choose(mirrors.parse_deb822(text)).sources()


def test_keyring_path_exists_in_every_release() -> None:
    """As in Debian 13's own file."""
    trixie = DEB822.replace("bookworm", "trixie").replace("keyring.gpg", "keyring.pgp")
    found = mirrors.choose(mirrors.parse_deb822(trixie)).sources("bookworm")
    assert found.count(f"Signed-By: {mirrors.KEYRING}\n") == 2
    assert ".pgp" not in found


def test_updates_can_be_left_out() -> None:
    chosen = mirrors.choose(mirrors.parse_deb822(DEB822))
    assert "trixie-updates" in chosen.sources()
    assert "trixie-security" in chosen.sources()
    alone = chosen.sources(updates=False)
    assert "Suites: trixie\n" in alone
    assert "-updates" not in alone
    assert "-security" not in alone


def test_source_indexes_come_from_the_archive_of_each_suite() -> None:
    chosen = mirrors.choose(mirrors.parse_deb822(DEB822))
    main, security = chosen.source_indexes(["trixie", "trixie-security", "sid"]).split("\n\n")
    assert "Types: deb-src\n" in main
    assert "Suites: trixie sid\n" in main
    assert f"URIs: {chosen.main.uri}\n" in main
    assert "Suites: trixie-security\n" in security
    assert chosen.security is not None
    assert f"URIs: {chosen.security.uri}\n" in security


def test_both_kinds_of_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text("deb http://mirror.example/debian trixie main\n")
    (tmp_path / "sources.list.d/vendor.list.disabled").write_text("deb http://off.example/debian trixie main\n")
    assert mirrors.of_this_machine(tmp_path).main.uri == "http://mirror.example/debian"
