"""Backup and restore, through a real connection to this machine (pyinfra's `@local`) and real shells."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import Config, Inventory, State
from pyinfra.api.connect import connect_all
from pyinfra.api.host import Host

from hearth.backup import operations as backup
from hearth.backup import restore_operations as restore
from hearth.backup.manifest import BackupError
from hearth.backup.reader import Archive
from hearth.backup.selection import Plan
from hearth.backup.writer import Writer
from hearth.footprint.facts import Footprint, FootprintState
from hearth.footprint.image import Image
from hearth.runtime.byte_stream import CHUNK, ChannelError, read_from, write_to
from hearth.settings.load import load_settings
from hearth.settings.model import Settings
from hearth.stack.file_facts import Tree, TreeState
from hearth.stack.image_facts import Images, ImagesState
from tests.pyinfra.conftest import Run
from tests.pyinfra.shell import HOSTILE, Sandbox, check_syntax


@dataclass
class Here:
    """A connection to this machine."""

    state: State
    host: Host


@pytest.fixture(scope="module")
def here() -> Iterator[Here]:
    inventory = Inventory((["@local"], {}))  # type: ignore[no-untyped-call]
    state = State(inventory, Config())  # type: ignore[no-untyped-call]
    connect_all(state)
    yield Here(state, inventory.get_host("@local"))
    inventory.get_host("@local").disconnect()


# --- Bytes over a connection ----------------------------------------------------------------------


def test_bytes_come_as_they_are_and_piece_by_piece(here: Here) -> None:
    digest, pieces = hashlib.sha256(), 0
    with read_from(here.state, here.host, "head -c 3000000 /dev/zero; printf '\\377\\n'", {}) as reader:
        while piece := reader.read(CHUNK):
            assert len(piece) <= CHUNK
            digest.update(piece)
            pieces += 1
    assert digest.hexdigest() == hashlib.sha256(bytes(3000000) + b"\xff\n").hexdigest()
    assert pieces > 20


def test_bytes_go_as_they_are(here: Here, tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    write_to(here.state, here.host, f"cat > {tmp_path}/there", {}, io.BytesIO(content))
    assert (tmp_path / "there").read_bytes() == content


def test_a_command_that_fails_is_an_error_with_its_last_words(here: Here) -> None:
    with (
        pytest.raises(ChannelError, match=r"failed with exit code 3: disk is full"),
        read_from(here.state, here.host, "echo begun; echo 'disk is full' >&2; exit 3", {}) as reader,
    ):
        assert reader.read(100) == b"begun\n"
    with pytest.raises(ChannelError, match=r"failed with exit code 4: too small"):
        write_to(
            here.state, here.host, "head -c 10 >/dev/null; echo 'too small' >&2; exit 4", {}, io.BytesIO(bytes(10**7))
        )


# --- A backup -------------------------------------------------------------------------------------

BLOB = b"weights" * 100_000
BLOB_NAME = f"sha256-{hashlib.sha256(BLOB).hexdigest()}"
PART = {"digest": BLOB_NAME.replace("-", ":"), "size": len(BLOB)}
MANIFEST = json.dumps({"config": PART, "layers": []}).encode()
NAMED = "manifests/registry.ollama.ai/library/tinyllama/latest"
ABOUT = {"created": "2026-11-22T03:50:04+00:00", "commit": "7d0fd9a"}


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """What is to be read of a host whose /opt/hearth and store of models are directories of this test."""
    root, store = tmp_path / "opt", tmp_path / "store"
    for place, content in {
        root / "compose.yaml": b"name: hearth\n",
        root / "htdocs/index.html": b"<p>\xff",
        root / "images.lock": b"httpd:2.4.68 sha256:1\n",
        store / NAMED: MANIFEST,
        store / "blobs" / BLOB_NAME: BLOB,
    }.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    monkeypatch.setattr(backup, "ROOT", str(root))
    return Plan(
        files=("compose.yaml", "htdocs/index.html", "images.lock"),
        store=str(store),
        stored=(f"blobs/{BLOB_NAME}", NAMED),
        has_blobs=True,
        images={"httpd:2.4.68": Image(id="sha256:1", digests=("httpd@sha256:2",))},
        secrets="there are none",
    )


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings(chat_title="Kitchen")


@pytest.fixture
def archive(here: Here, plan: Plan, settings: Settings, tmp_path: Path) -> Archive:
    into = tmp_path / "backups" / "pi.tar"
    backup.build_archive(here.state, here.host, settings, plan, into, ABOUT, {})
    return Archive.load(into)


def test_a_backup_has_what_the_host_has(archive: Archive, settings: Settings) -> None:
    assert archive.tree() == {"compose.yaml": b"name: hearth\n", "htdocs/index.html": b"<p>\xff"}
    assert archive.read("records/images.lock") == b"httpd:2.4.68 sha256:1\n"
    assert archive.read(f"models/blobs/{BLOB_NAME}") == BLOB
    assert load_settings(archive.settings) == settings
    (model,) = archive.manifest.models
    assert (model.name, model.digest) == ("tinyllama:latest", hashlib.sha256(MANIFEST).hexdigest())
    assert (archive.manifest.host, archive.manifest.commit) == ("@local", "7d0fd9a")


def fails(here: Here, plan: Plan, settings: Settings, into: Path, match: str) -> None:
    with pytest.raises((BackupError, ChannelError), match=match):
        backup.build_archive(here.state, here.host, settings, plan, into, ABOUT, {})
    assert list(into.parent.iterdir()) == [], "nothing stays of it"


def test_a_backup_that_is_not_whole_is_none(here: Here, plan: Plan, settings: Settings, tmp_path: Path) -> None:
    into = tmp_path / "backups" / "pi.tar"
    blob = Path(plan.store) / "blobs" / BLOB_NAME
    blob.write_bytes(BLOB[:-1] + b"S")
    fails(here, plan, settings, into, "store of models is damaged")
    blob.unlink()
    fails(here, plan, settings, into, "Exiting with failure status|No such file")
    lacking = Plan(**(vars(plan) | {"stored": (NAMED,)}))
    fails(here, lacking, settings, into, "data of tinyllama:latest is missing")


def test_a_link_in_place_of_a_file_is_not_followed(here: Here, plan: Plan, settings: Settings, tmp_path: Path) -> None:
    page = tmp_path / "opt" / "htdocs" / "index.html"
    page.unlink()
    page.symlink_to("/etc/hostname")
    fails(here, plan, settings, tmp_path / "backups" / "pi.tar", "is no plain file")


def test_a_host_without_hearth_gives_a_sentence(run: Run, settings: Settings) -> None:
    arguments: dict[str, Any] = {"settings": settings, "files": frozenset(), "into": Path("x"), "about": ABOUT}
    result = run(backup.write_backup, {Footprint: FootprintState()}, **arguments, with_models=False)
    assert "Hearth was not deployed to this host; no backup was written" in result.refusals[0]


# --- A restore ------------------------------------------------------------------------------------


def test_models_arrive_whole_or_not_at_all(here: Here, tmp_path: Path) -> None:
    store = tmp_path / "store"
    right = hashlib.sha256(BLOB).hexdigest()
    script = restore.receive_script(str(store), f"blobs/{BLOB_NAME}", right)
    with pytest.raises(ChannelError, match="arrived with another content"):
        write_to(here.state, here.host, script, {}, io.BytesIO(BLOB[:-1]))
    assert list(store.iterdir()) == []
    write_to(here.state, here.host, script, {}, io.BytesIO(BLOB))
    assert [path.name for path in store.rglob("*") if path.is_file()] == [BLOB_NAME]
    assert (store / "blobs" / BLOB_NAME).read_bytes() == BLOB


def test_a_hostile_place_is_only_a_place(tmp_path: Path) -> None:
    check_syntax(restore.receive_script(f"/mnt/{HOSTILE}", "blobs/x", "0" * 64))
    check_syntax(restore.pull_script(HOSTILE, Image(id="sha256:1", digests=(HOSTILE,)), 60))
    sandbox = Sandbox(tmp_path)
    sandbox.program("docker")
    sandbox.run(restore.pull_script(HOSTILE, Image(id="sha256:1", digests=(HOSTILE,)), 60))
    assert f"docker pull {HOSTILE}" in sandbox.calls
    assert not sandbox.pwned()


def test_what_is_on_the_host_already_is_not_sent_again(run: Run, archive: Archive) -> None:
    there = FootprintState(
        store="/store",
        store_files={f"blobs/{BLOB_NAME}": len(BLOB)},
        manifests={NAMED.removeprefix("manifests/"): hashlib.sha256(MANIFEST).hexdigest()},
    )
    result = run(restore.send_models, {Footprint: there}, archive=archive, models_dir="")
    assert result.commands == []
    result = run(restore.send_models, {Footprint: FootprintState(store="/store")}, archive=archive, models_dir="")
    assert [command[1][2] for command in result.commands] == [f"models/blobs/{BLOB_NAME}", f"models/{NAMED}"]


HTTPD = "httpd:2.4.68"
BACKED_UP = {HTTPD: Image(id="sha256:1", digests=("httpd@sha256:2", "httpd@sha256:3"))}
DOCKER = 'case "$1 $2" in "pull httpd@sha256:2") exit 1;; "image inspect") echo sha256:1;; esac'


def test_images_are_pulled_by_the_digests_they_had(run: Run, tmp_path: Path) -> None:
    result = run(restore.pull_saved_images, {Images: ImagesState()}, images=BACKED_UP, timeout=60)
    sandbox = Sandbox(tmp_path)
    sandbox.program("docker", DOCKER)
    sandbox.program("sleep")
    assert sandbox.run(result.scripts[0]).returncode == 0
    assert sandbox.calls[-3:] == [
        "docker pull httpd@sha256:3",
        f"docker tag httpd@sha256:3 {HTTPD}",
        f"docker image inspect --format {{{{.Id}}}} {HTTPD}",
    ]
    assert (sandbox.root / "images.lock").read_text() == f"{HTTPD} sha256:1\n"


def test_an_image_that_is_gone_is_said_and_left_to_its_name(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    sandbox.program("docker", "exit 1")
    sandbox.program("sleep")
    done = sandbox.run(restore.pull_script(HTTPD, BACKED_UP[HTTPD], 60))
    assert done.returncode == 0
    assert "No registry has httpd:2.4.68 as it was backed up" in done.stdout
    assert not (sandbox.root / "images.lock").exists()


def test_present_images_are_not_pulled(run: Run) -> None:
    state = ImagesState({HTTPD: "sha256:1"}, {HTTPD: "sha256:1"})
    assert run(restore.pull_saved_images, {Images: state}, images=BACKED_UP, timeout=60).commands == []


def test_the_last_look_finds_what_differs(run: Run, archive: Archive) -> None:
    digests = {name.removeprefix("files/"): archive.manifest.members[name].sha256 for name in archive.names("files/")}
    state = FootprintState(
        store_files={f"blobs/{BLOB_NAME}": len(BLOB)},
        manifests={NAMED.removeprefix("manifests/"): hashlib.sha256(MANIFEST).hexdigest()},
    )
    facts: dict[type, Any] = {Tree: TreeState(digests), Footprint: state}
    same = run(restore.verify_restore, facts, archive=archive, models_dir="")
    assert same.commands == []
    assert same.noop == "2 files and 2 files of models are byte for byte as in the backup"
    other = run(
        restore.verify_restore,
        facts | {Tree: TreeState(digests | {"compose.yaml": "0"})},
        archive=archive,
        models_dir="",
    )
    assert other.refusals == ["not as in the backup: compose.yaml is another one"]


def test_an_archive_of_nothing_but_settings_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with Writer(path) as writer:
        writer.add_bytes("settings.json", b"{}")
        facts: dict[str, Any] = {"images": {}, "models": (), "has_blobs": False, "secrets": "", "host": "x"}
        writer.finish(**facts, **ABOUT)
    assert Archive.load(path).tree() == {}
