"""`python -m lab sources`, with archives and indexes that lack something."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab import archive, builder, go_modules, mirrors, python_index, sources
from lab.errors import LabError
from lab.mirrors import Entry, Mirrors
from tests.support.debian_archive import publish_index


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


def _publish(root: Path, suite: str, version: str, served: bool) -> None:
    """A suite with one package in that version."""
    package = f"a package of version {version}".encode()
    name = f"pool/hello_{version}_amd64.deb"
    index = (
        f"Package: hello\nVersion: {version}\nArchitecture: amd64\nMaintainer: x\nDescription: x\n"
        f"Filename: {name}\nSize: {len(package)}\nSHA256: {hashlib.sha256(package).hexdigest()}\n"
    ).encode()
    publish_index(root, suite, "main/binary-amd64/Packages", index)
    (root / "pool").mkdir(exist_ok=True)
    if served:
        (root / name).write_bytes(package)


@pytest.fixture
def hello(file_server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive that is this machine's mirror; the root that it serves."""
    root, address = file_server
    mirror = Mirrors(Entry(address, "trixie", ("main",)))
    monkeypatch.setattr(mirrors, "of_this_machine", lambda: mirror)
    # This archive is not signed.
    monkeypatch.setattr(
        Mirrors, "sources", lambda self, suite="trixie", updates=True: _unsigned(self.main.uri, suite, updates)
    )
    return root


def _unsigned(address: str, suite: str, updates: bool) -> str:
    suites = f"{suite} {suite}-updates" if updates else suite
    return f"Types: deb\nURIs: {address}\nSuites: {suites}\nComponents: main\nTrusted: yes\n"


def _check(tmp_path: Path, pool: ThreadPoolExecutor) -> sources.Result:
    return sources.packages(sources.Indexes(tmp_path), sources.Root("guest", "trixie", ("hello",)), pool)


def test_served_packages(tmp_path: Path, hello: Path, pool: ThreadPoolExecutor) -> None:
    _publish(hello, "trixie", "1.0-1", served=True)
    _publish(hello, "trixie-updates", "1.0-2", served=True)
    result = _check(tmp_path, pool)
    assert (result.state, result.text) == (sources.OK, "1 files of trixie, 0 MB")


def test_release_without_updates_is_used_if_an_update_is_not_served(
    tmp_path: Path, hello: Path, pool: ThreadPoolExecutor
) -> None:
    _publish(hello, "trixie", "1.0-1", served=True)
    _publish(hello, "trixie-updates", "1.0-2", served=False)
    result = _check(tmp_path, pool)
    assert result.state == sources.INSTEAD
    assert result.text == "1 files of trixie without its updates, 0 MB; hello_1.0-2_amd64.deb is not served (404)"


def test_package_that_is_not_served(tmp_path: Path, hello: Path, pool: ThreadPoolExecutor) -> None:
    _publish(hello, "trixie", "1.0-1", served=False)
    _publish(hello, "trixie-updates", "1.0-2", served=False)
    result = _check(tmp_path, pool)
    assert result.state == sources.MISSING
    assert "hello_1.0-1_amd64.deb is not served (404)" in result.text


def test_file_with_a_different_size(file_server: tuple[Path, str]) -> None:
    root, address = file_server
    (root / "file").write_bytes(b"12345")
    assert archive.problem_at(f"{address}/file", 5) == ""
    assert archive.problem_at(f"{address}/file", 6) == "served with 5 bytes instead of 6 as in the index"
    assert archive.problem_at("http://127.0.0.1:9/file").startswith("no response (")


def test_packages_of_the_recipes_are_checked() -> None:
    checked = {root.what: root for root in sources.roots()}
    assert {"systemd-sysv", "openssh-server", "linux-image-cloud-amd64"} <= set(
        checked["guest, and Docker in it"].names
    )
    assert "linux-image-cloud-arm64" in checked["guest (arm64)"].names
    assert "bash" in checked["base of the images"].names


def test_packages_of_this_machine_are_those_of_its_script() -> None:
    [rest, qemu] = sources.machine("ID=debian\nVERSION_CODENAME=bookworm\n")
    assert qemu.suite == "bookworm+backports"
    assert set(qemu.names) == {"qemu-system-x86", "qemu-utils"}
    assert {"mmdebstrap", "buildah", "chromium"} <= set(rest.names)
    [all_of_them] = sources.machine("VERSION_CODENAME=trixie\n")
    assert set(all_of_them.names) == {*rest.names, *qemu.names}


REQUIREMENTS = """
rich==13.9.4 \\
    --hash=sha256:{one} \\
    --hash=sha256:{two}
Some_Thing==1.0 ; sys_platform == 'win32' --hash=sha256:{two}
"""


def test_pins_are_parsed() -> None:
    one, two = "1" * 64, "2" * 64
    rich, thing = python_index.pins(REQUIREMENTS.format(one=one, two=two))
    assert rich == python_index.Pin("rich", "13.9.4", frozenset({one, two}))
    assert thing == python_index.Pin("Some_Thing", "1.0", frozenset({two}))


@pytest.fixture
def index(file_server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """An empty Python package index that pip is configured with."""
    root, address = file_server
    (root / "simple").mkdir()
    monkeypatch.setenv("PIP_INDEX_URL", f"{address}/simple")
    python_index._index.cache_clear()
    yield root, address
    python_index._index.cache_clear()


def test_pinned_python_package(index: tuple[Path, str]) -> None:
    root, _ = index
    pin = python_index.Pin("Some_Thing", "1.0", frozenset({"1" * 64}))
    assert python_index.problem(pin) == "the index responds with 404"
    page = root / "simple/some-thing/index.html"
    page.parent.mkdir()
    page.write_text(f'<a href="../../files/some_thing-1.0.tar.gz#sha256={"2" * 64}">some_thing-1.0.tar.gz</a>')
    assert python_index.problem(pin) == "the index has 1 files, none with a pinned checksum"
    page.write_text(f'<a href="../../files/some_thing-1.0.tar.gz#sha256={"1" * 64}">some_thing-1.0.tar.gz</a>')
    assert python_index.problem(pin) == "not served (404)"
    (root / "files").mkdir()
    (root / "files/some_thing-1.0.tar.gz").write_bytes(b"")
    assert python_index.problem(pin) == ""


def test_fetched_python_package_must_have_the_pinned_checksum(index: tuple[Path, str], tmp_path: Path) -> None:
    root, _ = index
    target = tmp_path / "fetched"
    pin = python_index.Pin("thing", "1.0", frozenset({hashlib.sha256(b"as it was").hexdigest()}))
    with pytest.raises(LabError, match=r"thing 1\.0 could not be fetched: the index responds with 404"):
        python_index.fetch(pin, target)
    (root / "simple/thing").mkdir()
    (root / "simple/thing/index.html").write_text(f'<a href="thing.tar.gz#sha256={next(iter(pin.sums))}">thing</a>')
    with pytest.raises(LabError, match=r"thing 1\.0: the index responds with 404"):
        python_index.fetch(pin, target)
    (root / "simple/thing/thing.tar.gz").write_bytes(b"another")
    with pytest.raises(LabError, match="checksum of the file in the index is not the pinned one"):
        python_index.fetch(pin, target)
    assert not target.exists()
    (root / "simple/thing/thing.tar.gz").write_bytes(b"as it was")
    python_index.fetch(pin, target)
    assert target.read_bytes() == b"as it was"


def test_both_formats_of_an_index_are_parsed() -> None:
    text = json.dumps({"files": [{"url": "https://files.example/a.whl", "hashes": {"sha256": "1" * 64}}]})
    assert python_index._files(text, "application/vnd.pypi.simple.v1+json") == [
        ("https://files.example/a.whl", "1" * 64)
    ]


def test_required_go_of_a_module() -> None:
    assert go_modules.required_go("module x\n\ngo 1.24.1\n") == "1.24.1"
    assert go_modules.required_go("module x\n\ngo 1.23\n\ntoolchain go1.25.3\n") == "1.25.3"


def test_go_module(file_server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    root, address = file_server
    monkeypatch.setattr(builder, "go_settings", lambda: {"GOPROXY": f"{address},direct"})
    module, files = "example.org/program", root / "example.org/program/@v"
    assert go_modules.problem(module, "1.0.0", "1.24") == "the module proxy responds with 404"
    files.mkdir(parents=True)
    (files / "v1.0.0.mod").write_text("module example.org/program\n\ngo 1.25.0\n")
    assert go_modules.problem(module, "1.0.0", "1.24") == "it requires Go 1.25.0, which is not served (404)"
    assert go_modules.problem(module, "1.0.0", "1.25.0") == "not served (404)"
    (files / "v1.0.0.zip").write_bytes(b"")
    assert go_modules.problem(module, "1.0.0", "1.25.0") == ""
    monkeypatch.setattr(builder, "go_settings", lambda: {"GOPROXY": "direct"})
    assert go_modules.problem(module, "1.0.0", "1.25.0") is None
