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
from hearth.backup.manifest import BackupError
from hearth.backup.reader import Archive
from hearth.backup.restore_operations import pull_saved_images, pull_script, receive_script, send_models, verify_restore
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


# --- streams over a connection ----------------------------------------------------------------------


def test_bytes_are_received_unchanged_in_pieces(here: Here) -> None:
    digest, pieces = hashlib.sha256(), 0
    with read_from(here.state, here.host, "head -c 3000000 /dev/zero; printf '\\377\\n'", {}) as reader:
        while piece := reader.read(CHUNK):
            assert len(piece) <= CHUNK
            digest.update(piece)
            pieces += 1
    assert digest.hexdigest() == hashlib.sha256(bytes(3000000) + b"\xff\n").hexdigest()
    assert pieces > 20


def test_bytes_are_sent_unchanged(here: Here, tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    write_to(here.state, here.host, f"cat > {tmp_path}/there", {}, io.BytesIO(content))
    assert (tmp_path / "there").read_bytes() == content


def test_failed_command_is_an_error_with_its_output(here: Here) -> None:
    with (
        pytest.raises(ChannelError, match=r"failed with exit code 3: disk is full"),
        read_from(here.state, here.host, "echo begun; echo 'disk is full' >&2; exit 3", {}) as reader,
    ):
        assert reader.read(100) == b"begun\n"
    with pytest.raises(ChannelError, match=r"failed with exit code 4: too small"):
        write_to(
            here.state, here.host, "head -c 10 >/dev/null; echo 'too small' >&2; exit 4", {}, io.BytesIO(bytes(10**7))
        )


# --- backup ---------------------------------------------------------------------------------------

BLOB = b"weights" * 100_000
BLOB_NAME = f"sha256-{hashlib.sha256(BLOB).hexdigest()}"
PART = {"digest": BLOB_NAME.replace("-", ":"), "size": len(BLOB)}
MANIFEST = json.dumps({"config": PART, "layers": []}).encode()
NAMED = "manifests/registry.ollama.ai/library/tinyllama/latest"
ABOUT = {"created": "2026-11-22T03:50:04+00:00", "commit": "7d0fd9a"}


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """The plan for a host whose /opt/hearth and model store are directories of this test."""
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
        secrets="none",
    )


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings(chat_title="Kitchen")


@pytest.fixture
def archive(here: Here, plan: Plan, settings: Settings, tmp_path: Path) -> Archive:
    into = tmp_path / "backups" / "pi.tar"
    backup.build_archive(here.state, here.host, settings, plan, into, ABOUT, {})
    return Archive.load(into)


def test_backup_has_the_hosts_content(archive: Archive, settings: Settings) -> None:
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
    assert list(into.parent.iterdir()) == [], "nothing is left of it"


def test_incomplete_backup_is_discarded(here: Here, plan: Plan, settings: Settings, tmp_path: Path) -> None:
    into = tmp_path / "backups" / "pi.tar"
    blob = Path(plan.store) / "blobs" / BLOB_NAME
    blob.write_bytes(BLOB[:-1] + b"S")
    fails(here, plan, settings, into, "model store is damaged")
    blob.unlink()
    fails(here, plan, settings, into, "Exiting with failure status|No such file")
    lacking = Plan(**(vars(plan) | {"stored": (NAMED,)}))
    fails(here, lacking, settings, into, "data of tinyllama:latest is missing")


def test_symbolic_links_are_not_followed(here: Here, plan: Plan, settings: Settings, tmp_path: Path) -> None:
    page = tmp_path / "opt" / "htdocs" / "index.html"
    page.unlink()
    page.symlink_to("/etc/hostname")
    fails(here, plan, settings, tmp_path / "backups" / "pi.tar", "is not a regular file")


def test_host_without_hearth_gets_a_message(run: Run, settings: Settings) -> None:
    arguments: dict[str, Any] = {"settings": settings, "files": frozenset(), "into": Path("x"), "about": ABOUT}
    result = run(backup.write_backup, {Footprint: FootprintState()}, **arguments, with_models=False)
    assert "Hearth was not deployed to this host; no backup was written" in result.refusals[0]


# --- restore --------------------------------------------------------------------------------------


def test_models_are_received_atomically(here: Here, tmp_path: Path) -> None:
    store = tmp_path / "store"
    right = hashlib.sha256(BLOB).hexdigest()
    script = receive_script(str(store), f"blobs/{BLOB_NAME}", right)
    with pytest.raises(ChannelError, match="content changed in transit"):
        write_to(here.state, here.host, script, {}, io.BytesIO(BLOB[:-1]))
    assert list(store.iterdir()) == []
    write_to(here.state, here.host, script, {}, io.BytesIO(BLOB))
    assert [path.name for path in store.rglob("*") if path.is_file()] == [BLOB_NAME]
    assert (store / "blobs" / BLOB_NAME).read_bytes() == BLOB


def test_hostile_store_path_is_harmless(tmp_path: Path) -> None:
    check_syntax(receive_script(f"/mnt/{HOSTILE}", "blobs/x", "0" * 64))
    check_syntax(pull_script(HOSTILE, Image(id="sha256:1", digests=(HOSTILE,)), 60))
    sandbox = Sandbox(tmp_path)
    sandbox.program("docker")
    sandbox.run(pull_script(HOSTILE, Image(id="sha256:1", digests=(HOSTILE,)), 60))
    assert f"docker pull {HOSTILE}" in sandbox.calls
    assert not sandbox.pwned()


def test_present_models_are_not_sent_again(run: Run, archive: Archive) -> None:
    there = FootprintState(
        store="/store",
        store_files={f"blobs/{BLOB_NAME}": len(BLOB)},
        manifests={NAMED.removeprefix("manifests/"): hashlib.sha256(MANIFEST).hexdigest()},
    )
    result = run(send_models, {Footprint: there}, archive=archive, models_dir="")
    assert result.commands == []
    result = run(send_models, {Footprint: FootprintState(store="/store")}, archive=archive, models_dir="")
    assert [command[1][1] for command in result.commands] == [f"models/blobs/{BLOB_NAME}", f"models/{NAMED}"]


HTTPD = "httpd:2.4.68"
BACKED_UP = {HTTPD: Image(id="sha256:1", digests=("httpd@sha256:2", "httpd@sha256:3"))}
DOCKER = 'case "$1 $2" in "pull httpd@sha256:2") exit 1;; "image inspect") echo sha256:1;; esac'


def test_images_are_pulled_by_their_digests(run: Run, tmp_path: Path) -> None:
    result = run(pull_saved_images, {Images: ImagesState()}, images=BACKED_UP, timeout=60)
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


def test_unavailable_image_is_reported_and_left_to_the_regular_pull(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    sandbox.program("docker", "exit 1")
    sandbox.program("sleep")
    done = sandbox.run(pull_script(HTTPD, BACKED_UP[HTTPD], 60))
    assert done.returncode == 0
    assert "The backed-up image of httpd:2.4.68 is no longer in any registry" in done.stdout
    assert not (sandbox.root / "images.lock").exists()


def test_present_images_are_not_pulled(run: Run) -> None:
    state = ImagesState({HTTPD: "sha256:1"}, {HTTPD: "sha256:1"})
    assert run(pull_saved_images, {Images: state}, images=BACKED_UP, timeout=60).commands == []


def test_verification_finds_differences(run: Run, archive: Archive) -> None:
    digests = {name.removeprefix("files/"): archive.manifest.members[name].sha256 for name in archive.names("files/")}
    state = FootprintState(
        store_files={f"blobs/{BLOB_NAME}": len(BLOB)},
        manifests={NAMED.removeprefix("manifests/"): hashlib.sha256(MANIFEST).hexdigest()},
    )
    facts: dict[type, Any] = {Tree: TreeState(digests), Footprint: state}
    same = run(verify_restore, facts, archive=archive, models_dir="")
    assert same.commands == []
    assert same.noop == "2 files and 2 model files match the backup"
    other = run(
        verify_restore,
        facts | {Tree: TreeState(digests | {"compose.yaml": "0"})},
        archive=archive,
        models_dir="",
    )
    assert other.refusals == ["differs from the backup: compose.yaml is different"]


def test_archive_with_only_settings_is_readable(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with Writer(path) as writer:
        writer.add_bytes("settings.json", b"{}")
        facts: dict[str, Any] = {"images": {}, "models": (), "has_blobs": False, "secrets": "", "host": "x"}
        writer.finish(**facts, **ABOUT)
    assert Archive.load(path).tree() == {}
