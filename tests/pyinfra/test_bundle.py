"""A deploy from a bundle: what is sent and when, and that apt reads only what was sent."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyinfra.api import Config, DeployError, Inventory, State
from pyinfra.api.connect import connect_all
from pyinfra.context import ctx_host
from pyinfra.facts.files import Directory

from hearth.backup.writer import Writer
from hearth.bundle import operations
from hearth.bundle.deploy import check_bundle, check_platform, open_bundle
from hearth.bundle.manifest import INDEX, Bundle, BundleManifest, debian
from hearth.bundle.operations import load_images, remove_packages, send_packages
from hearth.bundle.packages import index, member_name
from hearth.docker.facts import Engine, EngineState
from hearth.settings.model import Settings
from hearth.stack.image_facts import Images, ImagesState
from tests.pyinfra.conftest import Run

ENGINE = ("docker.io", "docker-cli")
CONTROL = """Package: hearth-test
Version: 1:2.0~deb13u1
Architecture: all
Maintainer: Nobody <nobody@example.com>
Description: a package
"""
needs_apt = pytest.mark.skipif(not shutil.which("apt-get"), reason="needs apt")


def write(path: Path, packages: dict[str, bytes]) -> Bundle:
    with Writer(path) as writer:
        for name, content in packages.items():
            writer.add_bytes(name, content)
        writer.finish_as(
            BundleManifest,
            created="2026-11-28T12:00:00+00:00",
            commit="",
            models=(),
            has_blobs=True,
            release="trixie",
            architecture="amd64",
            packages=ENGINE,
            images={},
        )
    return Bundle.load(path)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write(tmp_path / "house.hearth", {INDEX: b""})


# --- Packages ---------------------------------------------------------------------------------------


def test_packages_are_sent_only_where_some_are_missing(run: Run, bundle: Bundle) -> None:
    def send(state: EngineState, *others: str, keep: bool = True) -> Any:
        return run(send_packages, {Engine: state}, bundle=bundle, engine=ENGINE, others=others, keep_existing=keep)

    fresh = send(EngineState())
    assert len(fresh.commands) == 1
    assert "docker.io and docker-cli are missing; copying" in fresh.said[0]
    complete = EngineState(packages=frozenset(ENGINE))
    assert send(complete).commands == []
    assert "nftables is missing" in send(complete, "nftables").said[0]
    own = EngineState(has_engine=True, has_compose=True)
    assert send(own).commands == [], "a Docker from elsewhere is kept"
    assert len(send(own, keep=False).commands) == 1
    half = EngineState(packages=frozenset(ENGINE[:1]), half_installed=frozenset(ENGINE[1:]), has_engine=True)
    assert len(send(half).commands) == 1


def test_copies_are_removed_where_there_are_any(run: Run) -> None:
    assert run(remove_packages, {Directory: None}).commands == []
    assert run(remove_packages, {Directory: {"mode": 755}}).commands == [f"rm -rf {operations.DIRECTORY}"]


@pytest.fixture
def here() -> Iterator[tuple[State, Any]]:
    inventory = Inventory((["@local"], {}))  # type: ignore[no-untyped-call]
    state = State(inventory, Config())  # type: ignore[no-untyped-call]
    connect_all(state)
    yield state, inventory.get_host("@local")
    inventory.get_host("@local").disconnect()


@needs_apt
def test_apt_reads_the_sent_packages_and_nothing_else(
    run: Run, here: tuple[State, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real apt, with the configuration that a host gets."""
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(CONTROL)
    deb = tmp_path / "hearth-test_1%3a2.0~deb13u1_all.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, deb], check=True, capture_output=True)
    assert member_name(deb) == "packages/hearth-test_2.0~deb13u1_all.deb"
    bundle = write(tmp_path / "house.hearth", {INDEX: index([deb]), member_name(deb): deb.read_bytes()})

    there = tmp_path / "there"
    shipped = operations.DIRECTORY
    for name in ("DIRECTORY", "APT_CONFIG", "_CONFIG", "_SOURCE"):
        monkeypatch.setattr(operations, name, getattr(operations, name).replace(shipped, str(there)))
    arguments = {"bundle": bundle, "engine": ("hearth-test",), "others": (), "keep_existing": False}
    (command,) = run(send_packages, {Engine: EngineState()}, **arguments).commands
    title, script, entries, _ = command[1]
    assert operations._stream(*here, title, script, entries, {})

    status = tmp_path / "status"
    status.write_text("")
    options = [f"-oDir::State::status={status}", f"-oDir::Cache={tmp_path}", "-oAPT::Sandbox::User=root"]

    def apt(*words: str) -> str:
        done = subprocess.run(
            ["apt-get", *options, "-oAcquire::Languages=none", *words],
            env={**os.environ, "APT_CONFIG": str(there / "apt.conf"), "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    addresses = [line for line in apt("-q", "update").splitlines() if line.startswith(("Get:", "Hit:", "Ign:"))]
    assert addresses
    assert all(f" file:{there}/repository " in line for line in addresses), addresses
    assert "Inst hearth-test (1:2.0~deb13u1 " in apt("-q", "--simulate", "install", "hearth-test")


# --- Images -----------------------------------------------------------------------------------------


def test_only_missing_images_are_loaded(run: Run, bundle: Bundle) -> None:
    names = ("httpd:1", "ollama:1")

    def load(state: ImagesState) -> list[str]:
        result = run(load_images, {Images: state}, bundle=bundle, references=names)
        return [command[1][-1].splitlines()[-1] for command in result.commands]

    here = {"httpd:1": "sha256:1", "ollama:1": "sha256:2"}
    assert load(ImagesState(here, here)) == []
    assert load(ImagesState({"httpd:1": "sha256:1"}, {})) == ["clear_mark ollama:1"]
    moved = ImagesState(here | {"httpd:1": "sha256:9"}, here)
    assert load(moved) == ["clear_mark httpd:1"]
    interrupted = run(
        load_images,
        {Images: ImagesState(here, here, frozenset({"httpd:1"}))},
        bundle=bundle,
        references=names,
    )
    scripts = [command[1][-1] for command in interrupted.commands]
    assert ["docker rmi --force httpd:1" in script for script in scripts] == [True, False], "damaged layers are removed"


# --- Refusals ---------------------------------------------------------------------------------------


@pytest.fixture
def use() -> Iterator[Any]:
    """Makes a file the bundle of this run."""

    def choose(path: Path | None) -> None:
        data = {"x_bundle": str(path)} if path else {}
        host: Any = SimpleNamespace(name="pi.local", data=data, print_prefix="[pi.local] ")
        ctx_host.set(host)  # type: ignore[no-untyped-call]

    yield choose
    ctx_host.reset()


def test_deploy_without_a_bundle_keeps_its_settings(use: Any, settings: Settings) -> None:
    use(None)
    assert open_bundle() is None
    assert check_bundle(settings) is settings
    check_platform(None, debian("bookworm", "arm64"))


def test_damaged_bundle_is_refused_with_the_command_that_makes_it(use: Any, bundle: Bundle, settings: Settings) -> None:
    content = bytearray(bundle.path.read_bytes())
    content[len(content.rstrip(b"\0")) // 2] ^= 1
    bundle.path.write_bytes(content)
    use(bundle.path)
    with pytest.raises(
        DeployError, match=rf"(?s)damaged.*; nothing was changed.*hearth bundle INVENTORY --to {bundle.path}"
    ):
        check_bundle(settings)


def test_incomplete_bundle_is_refused_with_what_it_lacks(use: Any, bundle: Bundle, settings: Settings) -> None:
    use(bundle.path)
    lacks = (
        r"(?s)pi\.local: .*house\.hearth lacks the packages docker-compose, iptables and ca-certificates and the "
        r"images .* and the model llama3\.2:1b, and nothing was changed\..*--release trixie --arch amd64"
    )
    with pytest.raises(DeployError, match=lacks):
        check_bundle(settings)


def test_bundle_for_another_platform_is_refused(use: Any, bundle: Bundle) -> None:
    use(bundle.path)
    check_platform(bundle, debian("trixie", "amd64"))
    with pytest.raises(DeployError, match=r"(?s)is for Debian trixie on amd64.*nothing was changed.*--arch arm64"):
        check_platform(bundle, debian("bookworm", "arm64"))
