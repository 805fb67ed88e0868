"""The lab's choice of httpd after the archive has changed: with recorded indexes, and with a local archive."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from lab import LabError, archive, httpd_source, versions
from lab.archive import Archive, File, SourcePackage
from tests.support.debian_archive import publish_index

# From Debian's indexes on 2026-11-28: 2.4.71 was listed by three suites and served by none.
RECORDED = {
    "trixie": ("2.4.71-1~deb13u1", "2.4.71", versions.HTTPD_SHA256),
    "bookworm": ("2.4.68-1~deb12u1", "2.4.68", "ed9a9d4500fb48bb28eaffb3ba71d06ccf86d498fa13ab9f781da010cc488498"),
    "forky": ("2.4.69-1", "2.4.69", "c551b9861e26f146f57e1b1765e69c89a60b3db0ec252ccab0d36283487016bb"),
    "sid": ("2.4.69-1", "2.4.69", "c551b9861e26f146f57e1b1765e69c89a60b3db0ec252ccab0d36283487016bb"),
    "trixie-security": ("2.4.71-1~deb13u1", "2.4.71", versions.HTTPD_SHA256),
    "bookworm-security": ("2.4.71-1~deb12u1", "2.4.71", versions.HTTPD_SHA256),
}


def _index(suite: str) -> str:
    """Part of a Sources index, with similarly named packages."""
    version, upstream, sha256 = RECORDED[suite]
    return f"""Package: apache-log4j2
Version: 2.19.0-2
Directory: pool/main/a/apache-log4j2
Checksums-Sha256:
 {"0" * 64} 1000 apache-log4j2_2.19.0.orig.tar.gz

Package: apache2
Binary: apache2, apache2-data, apache2-bin
Version: {version}
Files:
 d1e259552d25d0f7b5cd1486ba0f6c6e 10963450 apache2_{upstream}.orig.tar.gz
Checksums-Sha256:
 {"1" * 64} 3000 apache2_{version}.dsc
 {sha256} 10963450 apache2_{upstream}.orig.tar.gz
 {"2" * 64} 900000 apache2_{version}.debian.tar.xz
Directory: pool/main/a/apache2

Package: apache2-mod-python
Version: 3.5-1
Directory: pool/main/a/apache2-mod-python
"""


def _listed() -> list[SourcePackage]:
    found = []
    for suite in RECORDED:
        found += archive.parse_sources(_index(suite), "apache2", suite, "http://archive.example/debian/")
    return found


def _get_only(*served: str) -> object:
    """A download that only succeeds for these pairs of upstream version and suite."""

    def get(one: SourcePackage, target: Path, _: Path) -> None:
        if f"{one.upstream} {one.suite}" not in served:
            raise LabError("404 Not Found")
        target.write_text(one.upstream)

    return get


def _fetch(tmp_path: Path, *served: str) -> httpd_source.Choice:
    get = _get_only(*served)
    return httpd_source.fetch(tmp_path / "httpd.tar.gz", _listed(), tmp_path / "log", get)  # type: ignore[arg-type]


def test_index_is_parsed() -> None:
    [one] = archive.parse_sources(_index("bookworm"), "apache2", "bookworm", "http://archive.example/debian/")
    assert one.upstream == "2.4.68"
    assert one.tarball == File(
        "apache2_2.4.68.orig.tar.gz",
        "http://archive.example/debian/pool/main/a/apache2/apache2_2.4.68.orig.tar.gz",
        10963450,
        RECORDED["bookworm"][2],
    )


def test_pinned_source_comes_first_then_the_newest() -> None:
    ordered = [(kind, one.upstream, one.suite) for kind, one in httpd_source.candidates(_listed())]
    assert ordered == [
        ("pinned", "2.4.71", "trixie"),
        ("pinned", "2.4.71", "trixie-security"),
        ("pinned", "2.4.71", "bookworm-security"),
        ("newest", "2.4.69", "forky"),
        ("newest", "2.4.69", "sid"),
        ("newest", "2.4.68", "bookworm"),
    ]


def test_pinned_source_from_any_suite(tmp_path: Path) -> None:
    choice = _fetch(tmp_path, "2.4.71 bookworm-security", "2.4.68 bookworm")
    assert choice.version == "2.4.71"
    assert choice.sentence.startswith("httpd 2.4.71: the pinned source, from bookworm-security (2.4.71 is listed by ")


def test_next_source_is_used_if_a_listed_file_is_not_served(tmp_path: Path) -> None:
    choice = _fetch(tmp_path, "2.4.68 bookworm")
    assert choice.version == "2.4.68"
    assert (tmp_path / "httpd.tar.gz").read_text() == "2.4.68"
    assert choice.sentence == (
        "httpd 2.4.68: the newest source that is served, from bookworm (2.4.71 is listed by trixie, trixie-security, "
        "bookworm-security but not served; 2.4.69 is listed by forky, sid but not served)"
    )


def test_same_version_with_different_content_is_not_the_pinned_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "HTTPD_SHA256", "f" * 64)
    assert {kind for kind, _ in httpd_source.candidates(_listed())} == {"newest"}


def test_debians_package_is_used_if_no_source_is_available(tmp_path: Path) -> None:
    choice = _fetch(tmp_path)
    assert choice.tarball is None
    assert choice.sentence.startswith("Debian's package, since no source is available (2.4.71 is listed by trixie")


def test_reason_is_that_no_suite_lists_the_pinned_version(tmp_path: Path) -> None:
    choice = httpd_source.fetch(tmp_path / "t", [], tmp_path / "log")
    assert choice.sentence == "Debian's package, since no source is available (no suite lists the pinned 2.4.71)"


def test_choice_can_be_restricted_to_one_kind_of_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(httpd_source.VARIABLE, "pinned")
    with pytest.raises(LabError, match=r"no source of httpd for HEARTH_LAB_HTTPD=pinned \(2.4.71 is listed by"):
        _fetch(tmp_path, "2.4.68 bookworm")
    monkeypatch.setenv(httpd_source.VARIABLE, "package")
    assert _fetch(tmp_path, "2.4.68 bookworm").tarball is None
    monkeypatch.setenv(httpd_source.VARIABLE, "debian")
    with pytest.raises(LabError, match=r"HEARTH_LAB_HTTPD='debian': use one of pinned, newest, package"):
        _fetch(tmp_path)


def _publish(root: Path, suite: str, version: str, tarball: bytes) -> None:
    upstream = version.rsplit("-", 1)[0]
    index = (
        f"Package: apache2\nVersion: {version}\nDirectory: pool/apache2\nChecksums-Sha256:\n"
        f" {hashlib.sha256(tarball).hexdigest()} {len(tarball)} apache2_{upstream}.orig.tar.gz\n"
    ).encode()
    publish_index(root, suite, "main/source/Sources", index)


def test_archive_that_lists_files_it_does_not_serve(tmp_path: Path, file_server: tuple[Path, str]) -> None:
    root, address = file_server
    newer, older = b"the newer source" * 99, b"the older source" * 99
    _publish(root, "trixie", "2.4.72-1", newer)
    _publish(root, "bookworm", "2.4.70-1~deb12u1", older)
    (root / "pool/apache2").mkdir(parents=True)
    (root / "pool/apache2/apache2_2.4.70.orig.tar.gz").write_bytes(older)
    # "gone" is a suite that the archive no longer has.
    sources = f"Types: deb-src\nURIs: {address}\nSuites: trixie gone bookworm\nComponents: main\nTrusted: yes\n"
    indexes = Archive(tmp_path / "indexes", sources)
    indexes.refresh()
    listed = indexes.source_packages("apache2")
    assert [one.upstream for one in listed] == ["2.4.72", "2.4.70"]
    assert [archive.problem(one.tarball) for one in listed] == ["not served (404)", ""]

    choice = httpd_source.fetch(tmp_path / "httpd.tar.gz", listed, tmp_path / "log")
    assert choice.version == "2.4.70"
    assert (tmp_path / "httpd.tar.gz").read_bytes() == older
    assert choice.sentence == (
        "httpd 2.4.70: the newest source that is served, from bookworm "
        "(no suite lists the pinned 2.4.71; 2.4.72 is listed by trixie but not served)"
    )

    # A served file must have the checksum in the index.
    (root / "pool/apache2/apache2_2.4.70.orig.tar.gz").write_bytes(b"x" * len(older))
    assert httpd_source.fetch(tmp_path / "other.tar.gz", listed, tmp_path / "log").tarball is None
    assert not (tmp_path / "other.tar.gz").exists()


def test_archive_that_does_not_respond(tmp_path: Path) -> None:
    sources = "Types: deb-src\nURIs: http://127.0.0.1:9\nSuites: trixie\nComponents: main\nTrusted: yes\n"
    with pytest.raises(LabError, match="Could not fetch the indexes"):
        Archive(tmp_path, sources).refresh()
