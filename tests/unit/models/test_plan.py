"""Rules about models: names, tasks, and their disk."""

from __future__ import annotations

import json

import pytest

from hearth.footprint.owned_files import lasting_files, our_files
from hearth.models.disk import ModelDisk, disk_obstacles, not_mounted, parse_findmnt, parse_mount_points, parse_record
from hearth.models.plan import Task, compare_manifests, manifest_digests, plan_pulls, unlisted_models
from hearth.settings.model_names import (
    full_name,
    manifest_url,
    missing_models,
    name_from_manifest,
    name_key,
    source_name,
)

# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("tinyllama", "tinyllama:latest"),
        ("llama3.2:1b", "llama3.2:1b"),
        ("registry.ollama.ai/library/llama3.2", "llama3.2:latest"),
        ("registry.ollama.ai/someone/model:q4", "someone/model:q4"),
        ("10.0.0.1:5000/library/x", "10.0.0.1:5000/library/x:latest"),
    ],
)
def test_full_name(name: str, full: str) -> None:
    assert full_name(name) == full


def test_name_key_ignores_case() -> None:
    assert name_key("Llama3.2:1B") == name_key("llama3.2:1b") != name_key("llama3.2:3b")


@pytest.mark.parametrize(
    ("model", "registry", "url"),
    [
        ("llama3.2:1b", "", "https://registry.ollama.ai/v2/library/llama3.2/manifests/1b"),
        ("someone/model", "", "https://registry.ollama.ai/v2/someone/model/manifests/latest"),
        ("hf.co/someone/model:q4", "", "https://hf.co/v2/someone/model/manifests/q4"),
        ("tinyllama", "http://10.0.2.2:5000", "http://10.0.2.2:5000/v2/library/tinyllama/manifests/latest"),
        ("hf.co/someone/m:q4", "http://10.0.2.2:5000", "https://hf.co/v2/someone/m/manifests/q4"),
        (
            "registry.ollama.ai/library/m",
            "http://10.0.2.2:5000",
            "https://registry.ollama.ai/v2/library/m/manifests/latest",
        ),
        ("someone/m:x", "https://models.example", "https://models.example/v2/someone/m/manifests/x"),
    ],
)
def test_manifest_url(model: str, registry: str, url: str) -> None:
    assert manifest_url(model, registry) == url


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("registry.ollama.ai/library/llama3.2/1b", "llama3.2:1b"),
        ("registry.ollama.ai/someone/model/tag", "someone/model:tag"),
        ("hf.co/library/model/tag", "hf.co/library/model:tag"),
    ],
)
def test_name_from_manifest(path: str, name: str) -> None:
    assert name_from_manifest(path) == full_name(name) == name


@pytest.mark.parametrize(
    ("model", "source"),
    [
        ("tinyllama", "http://r:5000/library/tinyllama"),
        ("someone/m:x", "http://r:5000/someone/m:x"),
        ("hf.co/someone/m:x", "hf.co/someone/m:x"),
    ],
)
def test_models_of_other_registries_are_not_pulled_from_the_private_one(model: str, source: str) -> None:
    assert source_name(model, "http://r:5000") == source
    assert source_name(model, "") == model


# --- tasks ----------------------------------------------------------------------------------------


def test_missing_models_are_unique_and_in_order() -> None:
    assert missing_models(["b", "a", "B:latest", "c"], ["C:latest"]) == ["b", "a"]


def test_unlisted_models() -> None:
    present = ["tinyllama:latest", "llama3.2:1B", "llama3.2:3b", "someone/tinyllama:latest"]
    assert unlisted_models(["TinyLlama", "llama3.2:1b"], present) == ["llama3.2:3b", "someone/tinyllama:latest"]


def test_host_in_sync_has_no_task() -> None:
    assert plan_pulls(["a", "b"], ["a:latest", "b:latest"], [], []) == []


def test_each_model_has_one_task_and_repairs_come_first() -> None:
    plan = plan_pulls(["a", "b", "c", "d"], ["c:latest", "d:latest"], ["b", "old:1b", "d"], ["c", "d"])
    assert plan == [
        Task("old:1b", "check"),
        Task("b", "repair"),
        Task("d", "repair"),
        Task("a", "pull"),
        Task("c", "update"),
    ]


# --- changed in the registry ----------------------------------------------------------------------


def manifest(*layers: str, config: str = "c0", **more: object) -> str:
    return json.dumps({"config": {"digest": config}, "layers": [{"digest": one, **more} for one in layers]})


def test_reformatted_manifest_is_not_a_change() -> None:
    local = {"a:latest": manifest("l1", "l2", size=3)}
    remote = {"A": "200\n" + json.dumps(json.loads(manifest("l2", "l1", size=3, mediaType="x")), indent=3)}
    assert compare_manifests(local, remote) == (frozenset(), {})


def test_different_file_in_the_registry_is_a_change() -> None:
    local = {name: manifest("l1") for name in ("a:latest", "b:latest", "c:latest")}
    remote = {"a": "200\n" + manifest("l1"), "b": "200\n" + manifest("l2"), "c": "200\n" + manifest("l1", config="c1")}
    assert compare_manifests(local, remote) == (frozenset({"b", "c"}), {})


def test_missing_model_is_neither_changed_nor_unknown() -> None:
    assert compare_manifests({}, {"a": "no response within 20 s"}) == (frozenset(), {})


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("no response within 20 s", "no response within 20 s"),
        ("hf.co is temporarily unavailable (503)", "503"),
        ("", "no response"),
        ("200\n<html>Sign in to the hotel's network</html>", "invalid response"),
        ('200\n{"layers": []}', "invalid response"),
        ('200\n{"layers": [], "config": {"digest": "sha256:aa"}}', "invalid response"),
        ('200\n{"errors": [{"code": "x"}]}', "invalid response"),
        ("200\n[1]", "invalid response"),
    ],
)
def test_invalid_response_is_unknown(answer: str, why: str) -> None:
    changed, unknown = compare_manifests({"a:latest": manifest("l1")}, {"a": answer})
    assert not changed
    assert why in unknown["a"]


def test_damaged_manifest_on_the_host_counts_as_changed() -> None:
    assert compare_manifests({"a:latest": ""}, {"a": "200\n" + manifest("l1")}) == (frozenset({"a"}), {})


def test_manifest_without_files_is_invalid() -> None:
    with pytest.raises(ValueError, match="without files"):
        manifest_digests('{"layers": [], "config": null}')


# --- the disk -------------------------------------------------------------------------------------

SSD = ModelDisk("/mnt/ssd/ollama", "4f68", "/dev/sda1", "/mnt/ssd")
CARD = ModelDisk("/mnt/ssd/ollama", "5e3d", "/dev/mmcblk0p2", "/")


def test_disk_is_parsed_from_findmnt() -> None:
    lines = [
        "/mnt/ssd/ollama",
        'UUID="" SOURCE="systemd-1" TARGET="/mnt/ssd"',
        'UUID="4f68" SOURCE="/dev/sda1" TARGET="/mnt/ssd"',
    ]
    assert parse_findmnt(lines) == SSD
    assert parse_findmnt(["/mnt/ssd/ollama"]) is None
    assert parse_findmnt([]) is None


def test_disk_record_round_trips() -> None:
    assert parse_record(SSD.dump().splitlines()) == SSD
    assert parse_record(["directory=/mnt/ssd/ollama"]) is None
    assert parse_record([]) is None


def test_unmounted_disk_is_detected() -> None:
    fstab = parse_mount_points(
        [
            "# UUID=1 /mnt ext4",
            "UUID=2 / ext4",
            "UUID=3 /mnt/ssd/ ext4 nofail 0 2",
            "/swap none swap sw",
            "nas:/x /srv nfs",
            "",
        ]
    )
    assert fstab == {"/", "/mnt/ssd", "/srv"}
    assert not_mounted(["/mnt/ssd/ollama"], fstab, {"/"}) == ["/mnt/ssd"]
    assert not_mounted(["/mnt/ssd"], fstab, {"/"}) == ["/mnt/ssd"], "the mount point itself"
    assert not_mounted(["/mnt/ssd/ollama"], fstab, {"/", "/mnt/ssd"}) == []
    assert not_mounted(["/mnt/ssd2"], fstab, {"/"}) == [], "a name with the same prefix"
    assert not_mounted(["/models", "/mnt/ssd/x"], fstab, {"/"}) == ["/mnt/ssd"], "behind a symbolic link"


def test_absent_disk_is_named_with_the_fix() -> None:
    (obstacle,) = disk_obstacles("/mnt/ssd/ollama", ["/mnt/ssd"], CARD, SSD)
    assert "ollama_models_dir = '/mnt/ssd/ollama'" in obstacle
    assert "`sudo mount /mnt/ssd`" in obstacle


def test_different_disk_is_named_with_the_previous_one_and_how_to_confirm() -> None:
    (obstacle,) = disk_obstacles("/mnt/ssd/ollama", [], CARD, SSD)
    assert "/dev/sda1 (UUID 4f68) mounted at /mnt/ssd" in obstacle
    assert "/dev/mmcblk0p2 (UUID 5e3d) mounted at /" in obstacle
    assert "sudo rm /opt/hearth/models-disk" in obstacle


@pytest.mark.parametrize(
    "now",
    [
        None,
        SSD,
        ModelDisk("/mnt/ssd/ollama", "4f68", "/dev/sdb1", "/mnt/ssd"),  # a new name after a reboot
        ModelDisk("/mnt/ssd/ollama", "", "/dev/sda1", "/mnt/ssd"),  # UUID unknown this time
    ],
)
def test_same_disk_is_accepted(now: ModelDisk | None) -> None:
    assert disk_obstacles("/mnt/ssd/ollama", [], now, SSD) == []


def test_new_directory_in_the_settings_is_accepted() -> None:
    assert disk_obstacles("/srv/models", [], ModelDisk("/srv/models", "5e3d", "/dev/x", "/"), SSD) == []
    assert disk_obstacles("/mnt/ssd/ollama", [], CARD, None) == []


def test_records_are_uninstalled_but_not_backed_up() -> None:
    present = {"models-disk", ".pulling-models", "images.lock", "mine.txt"}
    assert our_files(present, frozenset()) == {"models-disk", ".pulling-models", "images.lock"}
    assert lasting_files(present, frozenset()) == {"images.lock"}, "other hosts have other disks"
