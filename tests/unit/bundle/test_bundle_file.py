"""A bundle as a file: what it must have, and which files are refused."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hearth.backup.manifest import BackupError
from hearth.backup.model_store import list_models
from hearth.backup.reader import Archive
from hearth.backup.writer import Writer
from hearth.bundle.create import Options, read_settings
from hearth.bundle.manifest import INDEX, Bundle, BundleManifest, Needs, debian, find_missing, find_needs
from hearth.bundle.operations import image_entries, load_script, remove_script
from hearth.runtime.tar import Entry, TarStream
from hearth.settings.model import Settings

LAYER, CONFIG, WEIGHTS = b"layer" * 999, b"{}", b"weights" * 3000
IMAGE = b'{"layers": []}'
NAMED = "models/manifests/registry.ollama.ai/library/tinyllama/latest"


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


MODEL = json.dumps({"config": {"digest": f"sha256:{sha(WEIGHTS)}", "size": len(WEIGHTS)}, "layers": []}).encode()
MEMBERS = {
    INDEX: b"Package: tini\n",
    "packages/tini_0.19.0-3+b8~deb13u1_amd64.deb": b"!<arch>\n" * 100,
    f"images/sha256-{sha(IMAGE)}": IMAGE,
    f"images/sha256-{sha(CONFIG)}": CONFIG,
    f"images/sha256-{sha(LAYER)}": LAYER,
    f"models/blobs/sha256-{sha(WEIGHTS)}": WEIGHTS,
    NAMED: MODEL,
}
FACTS: dict[str, Any] = {
    "created": "2026-11-28T12:00:00+00:00",
    "commit": "7d0fd9a",
    "models": list_models({NAMED.removeprefix("models/manifests/"): MODEL}),
    "has_blobs": True,
    "release": "trixie",
    "architecture": "amd64",
    "packages": ("docker.io", "docker-cli", "docker-compose", "iptables", "ca-certificates"),
    "images": {
        "httpd:2.4.71": {
            "manifest": f"sha256:{sha(IMAGE)}",
            "media_type": "application/vnd.oci.image.manifest.v1+json",
            "config": f"sha256:{sha(CONFIG)}",
            "layers": [f"sha256:{sha(LAYER)}"],
            "size": 5000,
        }
    },
}


def write(path: Path, members: dict[str, bytes] = MEMBERS) -> Path:
    with Writer(path) as writer:
        for name, content in members.items():
            writer.add_bytes(name, content)
        writer.finish_as(BundleManifest, **FACTS)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "house.hearth")


def test_bundle_round_trips(path: Path) -> None:
    bundle = Bundle.load(path)
    assert {name: bundle.read(name) for name in bundle.manifest.members} == MEMBERS
    assert bundle.manifest.images["httpd:2.4.71"].layers == (f"sha256:{sha(LAYER)}",)


def test_every_damaged_block_is_detected(path: Path) -> None:
    content = path.read_bytes()
    found = 0
    for place in range(0, len(content.rstrip(b"\0")), 512):
        at = place + 3
        if content[at] == 0:
            continue
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises(BackupError):
            Bundle.load(path)
        found += 1
    assert found > 50


@pytest.mark.parametrize("part", [0, 0.2, 0.5, 0.9, 0.999])
def test_truncated_bundle_is_refused(path: Path, part: float) -> None:
    content = path.read_bytes().rstrip(b"\0")
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(BackupError, match=r"is not a bundle|damaged"):
        Bundle.load(path)


def test_layer_with_another_digest_is_refused(tmp_path: Path) -> None:
    """Even where the manifest's checksum is that of the wrong content."""
    name = f"images/sha256-{sha(LAYER)}"
    with pytest.raises(BackupError, match=f"is damaged: {name} does not match its name"):
        Bundle.load(write(tmp_path / "x", MEMBERS | {name: b"another layer"}))


def test_backups_and_bundles_are_told_apart(path: Path, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="is a bundle, not a backup"):
        Archive.load(path)
    backup = tmp_path / "pi.tar"
    with Writer(backup) as writer:
        writer.add_bytes("settings.json", b"{}")
        writer.finish(host="pi", created="", commit="", images={}, models=(), has_blobs=False, secrets="none")
    with pytest.raises(BackupError, match="is a backup, not a bundle"):
        Bundle.load(backup)


def test_bundle_without_an_index_of_packages_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match=f"it has no {INDEX}"):
        Bundle.load(write(tmp_path / "x", {name: text for name, text in MEMBERS.items() if name != INDEX}))


def test_models_have_the_members_that_their_manifest_lists(path: Path) -> None:
    bundle = Bundle.load(path)
    blob = f"models/blobs/sha256-{sha(WEIGHTS)}"
    assert bundle.model_members(["TinyLlama"]) == {NAMED, blob}, "Ollama ignores case"
    assert bundle.model_members(["llama3.2:1b"]) == frozenset()


# --- What hosts need --------------------------------------------------------------------------------


def needs(settings: Settings, release: str = "trixie") -> Needs:
    return find_needs([settings], debian(release, "amd64"))


def test_needs_are_those_of_the_settings(make_settings: Callable[..., Settings]) -> None:
    plain = needs(make_settings())
    assert plain.packages == ("docker.io", "docker-cli", "docker-compose", "iptables", "ca-certificates")
    assert plain.models == ("llama3.2:1b",)
    more = needs(
        make_settings(
            firewall_allowed_networks=["10.0.0.0/8"],
            host_local_name=True,
            host_virtual_address="10.0.0.5",
            metrics_access="networks",
            proxy_allowed_networks=["10.0.0.0/8"],
            ollama_model_variants={"tutor": {"base": "qwen3:0.6b", "system": "Use short words."}},
        )
    )
    assert set(more.packages) - set(plain.packages) == {
        "nftables",
        "avahi-daemon",
        "keepalived",
        "mtail",
        "jq",
        "curl",
        "openssl",
    }
    assert more.models == ("llama3.2:1b", "qwen3:0.6b"), "what variants are made from"
    assert "docker-ce" in needs(make_settings(), "bookworm").packages


def test_a_backend_needs_the_firewall_that_lets_only_its_gateway_in(tmp_path: Path) -> None:
    """Also if the bundle is for the backend alone."""
    inventory = tmp_path / "house.py"
    gateway = {"host_role": "gateway", "ollama_pools": {"default": [{"host": "192.168.1.20"}]}}
    inventory.write_text(f"house = [('192.168.1.10', {gateway!r}), ('192.168.1.20', {{'host_role': 'backend'}})]\n")
    found = {}
    for name in ("192.168.1.10", "192.168.1.20"):
        (settings,) = read_settings(Options(str(inventory), tmp_path / "x", "trixie", "amd64", limit=(name,)))
        found[name] = needs(settings)
    assert "nftables" in found["192.168.1.20"].packages
    assert "nftables" not in found["192.168.1.10"].packages
    assert [*found["192.168.1.10"].images, *found["192.168.1.10"].models] == ["httpd:2.4.71"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"proxy_image": f"httpd:2.4.71@sha256:{'0' * 64}"}, r"proxy_image = 'httpd:2\.4\.71@.*use 'httpd:2\.4\.71'"),
        (
            {
                "proxy_tls": "acme",
                "proxy_tls_names": ["pi.example.com"],
                "proxy_acme_contact": "me@example.com",
                "proxy_acme_terms": "accepted",
            },
            'proxy_tls = "acme": .*use "local-ca"',
        ),
        ({"ollama_gpu": "nvidia"}, 'ollama_gpu = "nvidia": .*use "vulkan" or "off"'),
    ],
)
def test_settings_that_need_the_internet_are_refused(
    make_settings: Callable[..., Settings], values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        needs(make_settings(**values))


def test_what_a_bundle_lacks_is_named(path: Path, make_settings: Callable[..., Settings]) -> None:
    manifest = Bundle.load(path).manifest
    enough = {"proxy_image": "httpd:2.4.71", "ollama_image": "httpd:2.4.71", "ollama_models": ["tinyllama"]}
    assert find_missing(manifest, needs(make_settings(**enough))) == []
    other = {"proxy_image": "httpd:2.4.72", "ollama_models": ["tinyllama", "qwen3:4b"], "host_local_name": True}
    assert find_missing(manifest, needs(make_settings(**enough | other))) == [
        "the package avahi-daemon",
        "the image httpd:2.4.72",
        "the model qwen3:4b",
    ]


# --- What is sent -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 511, 1 << 17, 10**7])
def test_stream_is_a_tar_archive(size: int) -> None:
    contents = {"a": b"", "b/c": b"x" * 512, "d": bytes(range(256)) * 2000}
    counts: list[int] = []
    stream = TarStream(
        [Entry(name, len(text), partial(io.BytesIO, text)) for name, text in contents.items()], counts.append
    )
    content = b"".join(iter(lambda: stream.read(size), b""))
    assert counts[-1] == len(content)
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        assert {one.name: tar.extractfile(one).read() for one in tar} == contents  # type: ignore[union-attr]
        assert {(one.mode, one.uid, one.uname) for one in tar} == {(0o644, 0, "root")}


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("httpd:2.4.71", "docker.io/library/httpd:2.4.71"),
        ("ollama/ollama:0.32.15", "docker.io/ollama/ollama:0.32.15"),
        ("registry.example:5000/ollama:1", "registry.example:5000/ollama:1"),
    ],
)
def test_images_keep_their_reference(path: Path, reference: str, name: str) -> None:
    bundle = Bundle.load(path)
    bundle.manifest.images[reference] = bundle.manifest.images["httpd:2.4.71"]
    entries = {one.name: one for one in image_entries(bundle, reference)}
    with entries["index.json"].open() as index, entries["manifest.json"].open() as docker:
        (described,) = json.load(index)["manifests"]
        assert json.load(docker)[0]["RepoTags"] == [reference]
    assert described["annotations"]["io.containerd.image.name"] == name
    assert described["digest"] == f"sha256:{sha(IMAGE)}"
    assert described["size"] == len(IMAGE)
    with entries[f"blobs/sha256/{sha(LAYER)}"].open() as layer:
        assert layer.read() == LAYER


@pytest.mark.parametrize("make", [load_script, remove_script])
def test_scripts_quote_the_reference(make: Callable[[str], str]) -> None:
    assert "'a; b'" in make("a; b")
    assert " a; b" not in make("a; b")
