"""What an uninstall removes, and what it keeps."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hearth.footprint.facts import FootprintState, Neighbour, Owned
from hearth.footprint.image import Image
from hearth.paths import BACK, FRONT, OUT, PROJECT, ROOT
from hearth.uninstall.plan import Removal, plan_removal

OLLAMA, HTTPD = "ollama/ollama:0.17.4", "httpd:2.4.68"
RENDERED = frozenset({"compose.yaml", "httpd/httpd.conf", "htdocs/index.html", "htdocs/chat.js"})
RELEASE = "releases/20261122T035004Z-7d0fd9a"
OURS = (
    Neighbour("1", "hearth-ollama", "sha256:o", PROJECT, ROOT, frozenset({BACK, OUT}), frozenset({"hearth-models"})),
    Neighbour("2", "hearth-httpd", "sha256:h", PROJECT, ROOT, frozenset({BACK, FRONT})),
)
HOST = FootprintState(
    has_root=True,
    files=RENDERED | {"images.lock", "engine.json", "releases/accepted", f"{RELEASE}/tree/htdocs/old.js"},
    directories=frozenset({"httpd", "htdocs", "releases", RELEASE, f"{RELEASE}/tree", f"{RELEASE}/tree/htdocs"}),
    config='{"live-restore": true, "log-driver": "json-file"}',
    record='{"live-restore": true, "log-driver": "json-file"}',
    lock={OLLAMA: "sha256:o", HTTPD: "sha256:h"},
    has_docker=True,
    containers=OURS,
    networks={name: Owned(PROJECT) for name in (FRONT, BACK, OUT)},
    volume=Owned(PROJECT, "/var/lib/docker/volumes/hearth-models/_data"),
    images={OLLAMA: Image(id="sha256:o", digests=()), HTTPD: Image(id="sha256:h", digests=())},
)


def plan(host: FootprintState, models_dir: str = "", delete: bool = False) -> Removal:
    return plan_removal(host, RENDERED, models_dir, delete)


def test_everything_but_the_models_is_removed() -> None:
    removal = plan(HOST)
    assert removal.containers == (("1", "hearth-ollama"), ("2", "hearth-httpd"))
    assert removal.networks == (BACK, FRONT, OUT)
    assert removal.images == (HTTPD, OLLAMA)
    assert removal.config == {}
    assert set(removal.files) == HOST.files
    assert removal.root
    assert not removal.volume
    (kept,) = removal.kept
    assert "/var/lib/docker/volumes/hearth-models/_data" in kept
    assert "docker volume rm hearth-models" in kept


def test_hearths_boot_option_is_removed() -> None:
    assert not plan(HOST).boot
    removal = plan(replace(HOST, boot=True))
    assert removal.boot
    assert "cgroup_enable=memory in /boot/firmware/cmdline.txt, effective after the next reboot" in removal.lines


@pytest.mark.parametrize("cut", [False, True])
def test_credentials_are_removed_also_those_of_an_interrupted_run(cut: bool) -> None:
    files = {"secrets/httpd/people", "secrets/httpd/programs.conf"} | ({"secrets/.incoming/people"} if cut else set())
    directories = {"secrets", "secrets/httpd"} | ({"secrets/.incoming"} if cut else set())
    removal = plan(replace(HOST, files=HOST.files | files, directories=HOST.directories | directories))
    assert files <= set(removal.files)
    assert directories <= set(removal.directories)
    assert removal.root


def test_foreign_secret_is_kept() -> None:
    directories = HOST.directories | {"secrets", "secrets/httpd"}
    removal = plan(replace(HOST, files=HOST.files | {"secrets/mine"}, directories=directories))
    assert "secrets/mine" not in removal.files
    assert "secrets" not in removal.directories
    assert not removal.root


def test_directories_are_removed_deepest_first() -> None:
    directories = plan(HOST).directories
    assert set(directories) == HOST.directories
    assert all(
        directories.index(path) < directories.index(path.rpartition("/")[0]) for path in directories if "/" in path
    )


def test_nothing_to_do_without_hearth() -> None:
    assert plan(FootprintState()) == Removal()
    others = replace(
        FootprintState(), has_docker=True, config='{"debug": true}', containers=(Neighbour("9", "web", "x"),)
    )
    assert plan(others) == Removal()
    assert plan(others).lines == []


def test_removal_is_listed_line_by_line() -> None:
    lines = plan(HOST, delete=True).lines
    assert lines[:4] == [
        "container hearth-ollama",
        "container hearth-httpd",
        "network hearth-back",
        "network hearth-front",
    ]
    assert f"image {HTTPD}" in lines
    assert "volume hearth-models, with all models" in lines
    assert lines[-1] == "the directory /opt/hearth"


@pytest.mark.parametrize(
    "stranger",
    [
        Neighbour("9", "hearth-httpd-2", "x", PROJECT, "/home/pi/hearth"),
        Neighbour("9", "hearth-ollama", "x"),
        Neighbour("9", "web", "x", "web", "/srv/web"),
    ],
    ids=["another project called hearth", "a container with our name", "another project"],
)
def test_other_containers_are_kept(stranger: Neighbour) -> None:
    assert plan(replace(HOST, containers=(*OURS, stranger))).containers == plan(HOST).containers


def test_network_used_or_created_by_others_is_kept() -> None:
    guest = Neighbour("9", "grafana", "x", networks=frozenset({FRONT}))
    shared = plan(replace(HOST, containers=(*OURS, guest)))
    assert shared.networks == (BACK, OUT)
    assert f"{FRONT}: used by grafana" in shared.kept[0]
    assert plan(replace(HOST, networks={FRONT: Owned(), BACK: Owned(PROJECT)})).networks == (BACK,)


def test_firewall_is_removed_if_present() -> None:
    assert not plan(HOST).firewall
    removal = plan(replace(HOST, firewall=True, files=HOST.files | {"firewall.nft"}))
    assert removal.firewall
    assert "firewall.nft" in removal.files
    assert "the firewall (nftables itself stays)" in removal.lines


def test_virtual_address_is_removed_and_the_package_only_if_hearth_installed_it() -> None:
    assert not plan(HOST).virtual_address
    files = {"virtual-address/keepalived.conf", "virtual-address/responds.bash"}
    removal = plan(replace(HOST, files=HOST.files | files, directories=HOST.directories | {"virtual-address"}))
    assert (removal.virtual_address, removal.keepalived, removal.root) == (True, False, True)
    assert files <= {*removal.files}
    assert "the virtual address (other hosts that share it keep it)" in removal.lines
    # The rest of an installation that was interrupted.
    removal = plan(replace(HOST, files=HOST.files | {"keepalived.installed"}))
    assert (removal.virtual_address, removal.keepalived, removal.root) == (True, True, True)
    assert "the package keepalived, which held it" in removal.lines


def test_network_of_earlier_versions_is_removed() -> None:
    assert plan(replace(HOST, networks={"hearth": Owned(PROJECT)})).networks == ("hearth",)


def test_images_used_by_others_are_kept() -> None:
    user = Neighbour("9", "web", "sha256:h")
    used = plan(replace(HOST, containers=(*OURS, user)))
    assert used.images == (OLLAMA,)
    assert f"image {HTTPD}: used by web" in used.kept
    found = plan(replace(HOST, found={OLLAMA: "sha256:o"}))
    assert found.images == (HTTPD,)
    assert f"image {OLLAMA}: existed before Hearth" in found.kept
    moved = plan(replace(HOST, lock={HTTPD: "sha256:old"}))
    assert moved.images == ()
    assert "not the image that Hearth pulled" in moved.kept[0]


def test_image_that_hearth_updated_is_removed() -> None:
    assert plan(replace(HOST, found={OLLAMA: "sha256:before"})).images == (HTTPD, OLLAMA)


def test_missing_images_are_not_removed() -> None:
    assert plan(replace(HOST, images={})).images == ()


def test_models_are_removed_on_request() -> None:
    assert plan(HOST, delete=True).volume
    directory = replace(HOST, volume=None, store="/mnt/ssd/ollama/models", store_files={"blobs/sha256-1": 1})
    assert plan(directory, "/mnt/ssd/ollama").store == ""
    assert "rm -r /mnt/ssd/ollama/models" in plan(directory, "/mnt/ssd/ollama").kept[0]
    assert plan(directory, "/mnt/ssd/ollama", delete=True).store == "/mnt/ssd/ollama"
    assert plan(replace(directory, store_files={}), "/mnt/ssd/ollama", delete=True).store == ""


def test_volume_used_by_others_is_kept() -> None:
    user = Neighbour("9", "ollama-too", "x", volumes=frozenset({"hearth-models"}))
    removal = plan(replace(HOST, containers=(*OURS, user)), delete=True)
    assert not removal.volume
    assert "volume hearth-models: used by ollama-too" in removal.kept


def test_users_values_in_daemon_json_are_kept() -> None:
    config = {"debug": True, "live-restore": True, "log-driver": "json-file"}
    assert plan(replace(HOST, config=json.dumps(config))).config == {"debug": True}
    changed = config | {"log-driver": "local"}
    assert plan(replace(HOST, config=json.dumps(changed))).config == {"debug": True, "log-driver": "local"}


def test_engine_without_hearths_configuration_is_left_alone() -> None:
    assert plan(replace(HOST, record="")).config is None
    assert plan(replace(HOST, config="{}")).config is None
    assert plan(replace(HOST, config="{}", pending=True)).config == {}, "a run was interrupted before the restart"


def test_unreadable_daemon_json_is_an_error() -> None:
    with pytest.raises(ValueError, match="is not JSON"):
        plan(replace(HOST, config="{ broken"))


@pytest.mark.parametrize("path", ["notes.txt", "htdocs/holiday.jpg", "releases/mine.txt", "httpd/extra/a.conf"])
def test_users_files_are_kept_with_their_directories(path: str) -> None:
    parent = path.rpartition("/")[0]
    host = replace(HOST, files=HOST.files | {path}, directories=HOST.directories | ({parent} if parent else set()))
    removal = plan(host)
    assert path not in removal.files
    assert not removal.root
    assert not parent or parent not in removal.directories
    assert f"{ROOT}/{path}: not created by Hearth" in removal.kept


def test_users_empty_directory_is_kept() -> None:
    removal = plan(replace(HOST, directories=HOST.directories | {"mine", "mine/empty"}))
    assert not {"mine", "mine/empty"} & set(removal.directories)
    assert not removal.root
    assert f"{ROOT}/mine/empty: not created by Hearth" in removal.kept


def test_files_of_an_older_version_are_known_from_its_release() -> None:
    assert "htdocs/old.js" in plan(replace(HOST, files=HOST.files | {"htdocs/old.js"})).files
    assert "htdocs/old.js" not in plan(replace(HOST, files=RENDERED | {"htdocs/old.js"})).files


def test_leftovers_of_an_interrupted_run_are_removed() -> None:
    left = {
        ".incoming.tar",
        ".incoming/httpd/httpd.conf",
        ".reload-httpd",
        "images.lock.new",
        ".pulling",
        "httpd/drained.conf",
        "httpd/drained.conf.new",
        "compose.yaml.new",
    }
    left |= {"releases/.new/tree/compose.yaml", "releases/.new/images", "releases/accepted.new"}
    directories = {".incoming", ".incoming/httpd", "releases/.new", "releases/.new/tree"}
    host = replace(HOST, files=HOST.files | left, directories=HOST.directories | directories)
    removal = plan(host)
    assert set(removal.files) == host.files
    assert set(removal.directories) == host.directories
    assert removal.root


TLS_FILES = ("tls/live/server.pem", "tls/live/server.sha256", "tls/live/ca.crt", "tls/live/acme-trust.pem")
ACME = ("acme/store/domains/a.example.org/privkey.pem", "acme/store/md_store.json", "acme/store/new/in/a/later/version")


def test_our_keys_and_certificates_are_removed_others_kept() -> None:
    directories = {"tls", "tls/live", "tls/.incoming", "acme", "acme/store", "acme/store/domains/a.example.org"}
    host = replace(HOST, files=HOST.files | {*TLS_FILES, *ACME}, directories=HOST.directories | directories)
    removal = plan(host)
    assert {*TLS_FILES, *ACME} <= set(removal.files)
    assert directories <= set(removal.directories)
    assert removal.root
    mine = replace(host, files=host.files | {"tls/mine.pem"})
    assert "tls/mine.pem" not in plan(mine).files
    assert "tls" not in plan(mine).directories
    assert any("tls/mine.pem" in line for line in plan(mine).kept)
