"""What goes into a backup, what a restore does with it, and how both are compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hearth.backup.manifest import BackupError, Manifest, Member
from hearth.backup.model_store import blobs_of, list_models, missing_blobs
from hearth.backup.restore_plan import find_differences, find_surprises, image_references, models_to_send
from hearth.backup.selection import member_name, plan_backup, settings_to_use
from hearth.footprint.facts import FootprintState
from hearth.footprint.image import Image
from hearth.footprint.owned_files import lasting_files, our_files
from hearth.render.compose import render_compose
from hearth.render.stack_files import render_tree
from hearth.settings.load import load_settings
from hearth.settings.model import Settings

RENDERED = frozenset({"compose.yaml", "httpd/httpd.conf", "htdocs/index.html"})
RELEASE = "releases/20261122T035004Z-7d0fd9a"
BLOB = f"blobs/sha256-{'a' * 64}"
NAMED = "manifests/registry.ollama.ai/library/tinyllama/latest"
HOST = FootprintState(
    has_root=True,
    files=RENDERED
    | {"images.lock", "engine.json", "images.lock.new", ".reload-httpd", ".incoming.tar", "htdocs/holiday.jpg"}
    | {"releases/accepted", "releases/log.jsonl", f"{RELEASE}/release.json", f"{RELEASE}/tree/compose.yaml"}
    | {"releases/.new/release.json", "notes.txt"},
    has_docker=True,
    store="/store/models",
    store_files={BLOB: 10, NAMED: 300},
)


def test_only_hearths_files_are_included() -> None:
    plan = plan_backup(HOST, RENDERED, with_models=False)
    assert set(plan.files) == RENDERED | {
        "images.lock",
        "engine.json",
        "releases/accepted",
        "releases/log.jsonl",
        f"{RELEASE}/release.json",
        f"{RELEASE}/tree/compose.yaml",
    }
    assert plan.stored == (NAMED,), "names and digests of models are always included"
    assert plan.secrets == "none"


def test_model_data_is_included_on_request() -> None:
    assert plan_backup(HOST, RENDERED, with_models=True).stored == (BLOB, NAMED)


def test_other_files_among_the_models_are_not_included() -> None:
    """macOS leaves .DS_Store in every directory of a share, and file managers make copies."""
    folder = NAMED.rpartition("/")[0]
    others = ("manifests/.DS_Store", f"{folder}/.DS_Store", f"{folder}/latest (2)", "manifests/a/b/c/d/e")
    host = replace(HOST, store_files=HOST.store_files | dict.fromkeys(others, 6148))
    assert plan_backup(host, RENDERED, with_models=False).stored == (NAMED,)


def test_secrets_are_not_included_and_reported() -> None:
    plan = plan_backup(replace(HOST, files=HOST.files | {"secrets/key"}), RENDERED, with_models=True)
    assert not any("secrets" in path for path in plan.files)
    assert plan.secrets == "not included"


def test_credentials_are_uninstalled_but_never_backed_up() -> None:
    paths = {"secrets/httpd/people", "secrets/httpd/programs.conf", "secrets/.incoming/people"}
    assert our_files(paths | RENDERED, RENDERED) >= paths
    assert not lasting_files(paths | RENDERED, RENDERED) & paths
    plan = plan_backup(replace(HOST, files=HOST.files | paths), RENDERED, with_models=True)
    assert not any("secrets" in path for path in plan.files)
    assert plan.secrets == "not included"


@pytest.mark.parametrize("path", ["tls/live/server.pem", "tls/live/ca.crt", "acme/store/accounts/a/account.pem"])
def test_tls_files_are_not_backed_up(path: str) -> None:
    plan = plan_backup(replace(HOST, files=HOST.files | {path}), RENDERED, with_models=True)
    assert path not in plan.files
    assert plan.secrets == "not included"


def test_host_without_hearth_cannot_be_backed_up() -> None:
    with pytest.raises(BackupError, match="was not deployed"):
        plan_backup(FootprintState(), RENDERED, with_models=False)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("compose.yaml", "files/compose.yaml"),
        ("engine.json", "records/engine.json"),
        ("releases/accepted", "files/releases/accepted"),
        (NAMED, f"models/{NAMED}"),
        (BLOB, f"models/{BLOB}"),
    ],
)
def test_member_names(path: str, name: str) -> None:
    assert member_name(path) == name


# --- Settings -------------------------------------------------------------------------------------


def test_settings_round_trip(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(
        ollama_model_sizes_gb={"llama3.2:1b": 1.3},
        allowed_origins=["http://192.168.1.20:8080"],
        proxy_extra_routes=[{"path": "/flask/", "to": "http://host.docker.internal:5001/", "methods": ["GET"]}],
    )
    archived = json.loads(json.dumps(settings.model_dump(mode="json")))
    assert load_settings(archived) == settings
    assert settings_to_use(archived, settings.model_dump(mode="json")) == (archived, [])


def test_backup_settings_win_and_differences_are_reported() -> None:
    used, lines = settings_to_use({"proxy_port": 85, "gone": 1}, {"proxy_port": 86, "brand_new": True})
    assert used == {"proxy_port": 85, "gone": 1, "brand_new": True}
    assert lines == [
        "proxy_port: using the backup's 85, not the inventory's 86",
        "brand_new: the backup is older than this setting; using the inventory's True",
    ]


def test_image_references_from_the_compose_file(settings: Settings) -> None:
    assert image_references(render_compose(settings).encode()) == {
        "ollama": settings.ollama_image,
        "httpd": settings.proxy_image,
    }
    assert "compose.yaml" in render_tree(settings)


@pytest.mark.parametrize("text", [b"", b"services: {}", b"services: [", b"- a"])
def test_foreign_compose_file_is_refused(text: bytes) -> None:
    with pytest.raises(BackupError, match="services ollama and httpd"):
        image_references(text)


# --- Models ---------------------------------------------------------------------------------------


def model(*sizes: int) -> bytes:
    parts = [{"digest": f"sha256:{size:064x}", "size": size} for size in sizes]
    return json.dumps({"config": parts[0], "layers": parts[1:]}).encode()


def test_list_models() -> None:
    content = model(3, 400, 20)
    (one,) = list_models({"registry.ollama.ai/library/llama3.2/1b": content})
    assert (one.name, one.size, one.digest) == ("llama3.2:1b", 423, hashlib.sha256(content).hexdigest())


def test_missing_or_incomplete_blobs_are_named() -> None:
    manifests = {"registry.ollama.ai/library/a/latest": model(3, 400), "registry.ollama.ai/library/b/latest": model(3)}
    there = {f"sha256-{3:064x}": 3, f"sha256-{400:064x}": 399}
    assert missing_blobs(manifests, there) == {"a:latest": [f"sha256-{400:064x}"]}


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"config": {}, "layers": []}', b'{"config": 1, "layers": 2}'])
def test_invalid_model_manifest_is_an_error(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"manifest|Expecting"):
        blobs_of(content)


# --- Restored -------------------------------------------------------------------------------------


def make_manifest(has_blobs: bool = True, **more: Any) -> Manifest:
    members = {
        f"models/{BLOB}": Member(size=10, sha256="a" * 64),
        f"models/{NAMED}": Member(size=300, sha256="b" * 64),
        "files/compose.yaml": Member(size=5, sha256="c" * 64),
    }
    facts: dict[str, Any] = {
        "format": 1,
        "host": "pi",
        "created": "",
        "commit": "",
        "images": {"httpd:2.4.68": Image(id="sha256:1", digests=())},
        "models": [{"name": "tinyllama:latest", "digest": "b" * 64, "size": 10}],
        "secrets": "",
    }
    return Manifest(**(facts | more), has_blobs=has_blobs, members=members)


THERE = replace(HOST, manifests={NAMED.removeprefix("manifests/"): "b" * 64})


def test_blobs_are_sent_before_manifests() -> None:
    assert models_to_send(make_manifest(), FootprintState()) == [f"models/{BLOB}", f"models/{NAMED}"]
    assert models_to_send(make_manifest(), THERE) == []
    assert models_to_send(make_manifest(has_blobs=False), FootprintState()) == []


def test_model_with_a_different_digest_is_sent() -> None:
    other = replace(THERE, manifests={NAMED.removeprefix("manifests/"): "d" * 64})
    assert models_to_send(make_manifest(), other) == [f"models/{NAMED}"]


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ({}, "compose.yaml is missing"),
        ({"compose.yaml": "d" * 64}, "compose.yaml is different"),
        ({"compose.yaml": ""}, "compose.yaml is of the wrong owner or mode"),
    ],
)
def test_every_difference_to_the_backup_is_reported(there: dict[str, str], said: str) -> None:
    files = {"compose.yaml": "c" * 64}
    assert find_differences(make_manifest(), files, there, THERE) == [said]
    assert find_differences(make_manifest(), files, files, THERE) == []
    assert find_differences(make_manifest(), files, files, FootprintState()) != []


def test_unavoidable_differences_are_reported() -> None:
    moved = replace(THERE, images={"httpd:2.4.68": Image(id="sha256:2", digests=())}, manifests={})
    image, one = find_surprises(make_manifest(), moved)
    assert "httpd:2.4.68 is not the image of the backup" in image
    assert "tinyllama:latest is not the one in the backup" in one
    same = replace(THERE, images={"httpd:2.4.68": Image(id="sha256:1", digests=())})
    assert find_surprises(make_manifest(), same) == []
