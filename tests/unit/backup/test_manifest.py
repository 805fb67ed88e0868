"""Backups as files: written atomically, and read only if intact."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hearth.backup.manifest import MANIFEST, BackupError, check_member, file_name
from hearth.backup.reader import Archive
from hearth.backup.writer import Writer

BLOB = b"weights" * 1000
BLOB_NAME = f"models/blobs/sha256-{hashlib.sha256(BLOB).hexdigest()}"
FACTS: dict[str, Any] = {
    "host": "pi.local",
    "created": "2026-11-22T03:50:04+00:00",
    "commit": "7d0fd9a",
    "images": {"httpd:2.4.68": {"id": "sha256:1", "digests": ["httpd@sha256:2"]}},
    "models": [{"name": "tinyllama:latest", "digest": "ab", "size": 7000}],
    "has_blobs": True,
    "secrets": "none",
}
MEMBERS = {
    "settings.json": b'{"proxy_port": 85}',
    "files/compose.yaml": b"name: hearth\n",
    "files/htdocs/index.html": b"",
    "records/images.lock": b"httpd:2.4.68 sha256:1\n",
    "models/manifests/registry.ollama.ai/library/tinyllama/latest": b"{}",
    BLOB_NAME: BLOB,
}


def write(path: Path, members: dict[str, bytes] = MEMBERS) -> Path:
    with Writer(path) as writer:
        for name, content in members.items():
            writer.add_bytes(name, content)
        writer.finish(**FACTS)
    return path


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    return write(tmp_path / "backups" / "pi.local.tar")


def test_backup_round_trips(backup: Path) -> None:
    archive = Archive.load(backup)
    assert {name: archive.read(name) for name in archive.manifest.members} == MEMBERS
    assert archive.settings == {"proxy_port": 85}
    assert archive.tree() == {"compose.yaml": b"name: hearth\n", "htdocs/index.html": b""}
    assert archive.manifest.images["httpd:2.4.68"].digests == ("httpd@sha256:2",)
    assert archive.manifest.members["files/compose.yaml"].sha256 == hashlib.sha256(b"name: hearth\n").hexdigest()


def test_backup_is_private_to_its_owner(backup: Path) -> None:
    assert backup.stat().st_mode & 0o777 == 0o600


class Broken:
    """A host that loses power in the middle."""

    def read(self, _: int) -> bytes:
        raise OSError("connection lost")


@pytest.mark.parametrize("source", [io.BytesIO(b"short"), Broken()])
def test_interrupted_backup_leaves_nothing(tmp_path: Path, source: Any) -> None:
    path = tmp_path / "pi.tar"
    with pytest.raises((BackupError, OSError)), Writer(path) as writer:
        writer.add("files/compose.yaml", 1000, source)
    assert list(tmp_path.iterdir()) == []


def test_unfinished_backup_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pi.tar"
    with Writer(path) as writer:
        writer.add_bytes("settings.json", b"{}")
        whole = tmp_path / ".pi.tar.partial"
        assert whole.exists(), "it has another name until it is whole"
    assert not path.exists()
    assert not whole.exists()


def test_every_damaged_block_is_detected(backup: Path) -> None:
    content = backup.read_bytes()
    end = len(content.rstrip(b"\0"))
    found = 0
    for place in range(0, end, 512):
        at = place + 3  # in a header or in data; 3 is within the shortest name
        if content[at] == 0:
            continue
        backup.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises(BackupError):
            Archive.load(backup)
        found += 1
    assert found > 20


@pytest.mark.parametrize("part", [0, 0.01, 0.3, 0.6, 0.9, 0.9999])
def test_truncated_backup_is_refused(backup: Path, part: float) -> None:
    content = backup.read_bytes().rstrip(b"\0")  # a tar file ends with kilobytes of zeros
    backup.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(BackupError, match=r"is not a backup|incomplete|damaged"):
        Archive.load(backup)


def test_missing_backup_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match=r"could not read .*nosuch\.tar: No such file"):
        Archive.load(tmp_path / "nosuch.tar")


def rewrite(path: Path, change: Callable[[dict[str, Any]], None] = lambda _: None, *more: tarfile.TarInfo) -> None:
    """Rewrite the backup with a different manifest and additional members; existing digests stay correct."""
    with tarfile.open(path) as tar:
        old = [(info, (tar.extractfile(info) or io.BytesIO()).read()) for info in tar.getmembers()]
    manifest = json.loads(old.pop()[1])
    change(manifest)
    with tarfile.open(path, "w") as tar:
        for info, content in old:
            tar.addfile(info, io.BytesIO(content))
        for info in more:
            tar.addfile(info, io.BytesIO(b"x" * info.size))
        text = json.dumps(manifest).encode()
        last = tarfile.TarInfo(MANIFEST)
        last.size = len(text)
        tar.addfile(last, io.BytesIO(text))


def test_newer_format_is_refused_with_its_number(backup: Path) -> None:
    rewrite(backup, lambda manifest: manifest.update(format=2, members="kept elsewhere now"))
    with pytest.raises(BackupError, match=r"has format 2, .* supports format 1; use a newer version of Hearth"):
        Archive.load(backup)


@pytest.mark.parametrize("change", [{"members": None}, {"models": [{"name": 1}]}, {"host": None}])
def test_invalid_manifest_is_refused(backup: Path, change: dict[str, Any]) -> None:
    rewrite(backup, lambda manifest: manifest.update(change))
    with pytest.raises(BackupError, match=r"is damaged: \w+.* in its manifest\.json"):
        Archive.load(backup)


HOSTILE = [
    "../../etc/cron.d/evil",
    "/etc/cron.d/evil",
    "files/../../../etc/passwd",
    "files/.ssh/authorized_keys",
    "files/a/./b",
    "files//etc/passwd",
    "files/",
    "elsewhere/compose.yaml",
    "models/blobs/sha256-short",
    "models/blobs/../../x",
    "records/a/b",
    "files/a\n",
    "manifest.json/x",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_member_with_an_unsafe_path_is_refused(backup: Path, name: str) -> None:
    with pytest.raises(BackupError):
        check_member(name)
    info = tarfile.TarInfo(name)
    info.size = 1
    digest = hashlib.sha256(b"x").hexdigest()
    rewrite(backup, lambda manifest: manifest["members"].update({name: {"size": 1, "sha256": digest}}), info)
    with pytest.raises(BackupError, match=r"tampered|is damaged|is not a backup"):
        Archive.load(backup)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_member_that_is_not_a_file_is_refused(backup: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("files/link")
    info.type, info.linkname = kind, "/etc/passwd"
    rewrite(backup, lambda _: None, info)
    with pytest.raises(BackupError, match="is not a file"):
        Archive.load(backup)


def test_members_must_match_the_manifest(backup: Path) -> None:
    info = tarfile.TarInfo("files/more.html")
    rewrite(backup, lambda _: None, info)
    with pytest.raises(BackupError, match=r"does not match its manifest\.json: files/more\.html"):
        Archive.load(backup)
    rewrite(backup, lambda manifest: manifest["members"].pop("files/compose.yaml"))
    with pytest.raises(BackupError, match="does not match its manifest"):
        Archive.load(backup)


def test_duplicate_member_is_refused(backup: Path) -> None:
    rewrite(backup, lambda _: None, tarfile.TarInfo("files/htdocs/index.html"))
    with pytest.raises(BackupError, match="duplicate"):
        Archive.load(backup)


def test_blob_must_match_its_name(tmp_path: Path) -> None:
    path = write(tmp_path / "pi.tar", MEMBERS | {BLOB_NAME: b"other weights"})
    with pytest.raises(BackupError, match="does not match its name"):
        Archive.load(path)


def test_other_files_are_not_backups(tmp_path: Path) -> None:
    path = tmp_path / "photo.tar"
    path.write_bytes(b"GIF89a" * 500)
    with pytest.raises(BackupError, match="is not a backup"):
        Archive.load(path)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("192.168.1.189", "192.168.1.189-20261122T035004Z.tar"),
        ("fe80::1%eth0", "fe80__1_eth0-20261122T035004Z.tar"),
        ("../../x", "_.._x-20261122T035004Z.tar"),
        ("@docker/pi", "_docker_pi-20261122T035004Z.tar"),
    ],
)
def test_file_name_contains_the_host(host: str, name: str) -> None:
    assert file_name(host, 1795319404) == name
