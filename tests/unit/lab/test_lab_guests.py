"""The kinds of guests: how one is chosen, what it is built from, and that each has a separate lab."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import lab
from hearth.docker.packages import DOCKER_CE, docker_source
from hearth.host.platform import identify
from lab import arm64, artefacts, docker_repository, guest, guests, mirrors, qemu, report, servers, ssh, state
from lab.__main__ import main

ADDRESS = "http://mirror.example/debian"


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with a fictitious mirror, on which no lab ever ran."""
    monkeypatch.setattr(mirrors, "of_this_machine", lambda: mirrors.Mirrors(mirrors.Entry(ADDRESS, "sid", ("main",))))
    monkeypatch.setattr(mirrors, "apt_options", lambda: "")
    monkeypatch.setattr(state, "CHECKOUT", tmp_path)
    monkeypatch.setattr(state, "DIRECTORY", tmp_path / ".lab")
    monkeypatch.setenv(guests.VARIABLE, "")
    return tmp_path


def test_default_guest_is_trixie_in_the_default_directory(machine: Path) -> None:
    assert guests.chosen() == guests.TRIXIE
    assert state.directory_of("trixie") == machine / ".lab"
    assert guests.TRIXIE.needed() == ("tools", "guest", "images", "models")
    assert servers.names(guests.TRIXIE) == ("registry", "models")


def test_other_guests_have_a_separate_lab(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--guest", "bookworm", "status", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["guest"] == "bookworm"
    assert shown["ssh_config"] == str(machine / ".lab-bookworm/ssh_config")
    with pytest.raises(lab.LabError, match="python -m lab --guest bookworm up"):
        lab.status(must_run=True)


def test_unknown_guest_is_refused_with_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(guests.VARIABLE, "buster")
    with pytest.raises(lab.LabError, match=r"HEARTH_LAB_GUEST='buster': .* use one of trixie, bookworm, arm64"):
        report.status()


def test_replica_of_dockers_repository_is_only_for_guests_that_need_it(monkeypatch: pytest.MonkeyPatch) -> None:
    state.State(ports={"registry": 1001, "models": 1002, "packages": 1003}).save()
    assert report.status().docker_apt_url == ""
    monkeypatch.setenv(guests.VARIABLE, "bookworm")
    assert report.status().docker_apt_url == "http://10.0.2.2:1003"


@pytest.mark.parametrize("kind", guests.ALL.values(), ids=lambda kind: kind.name)
def test_each_guest_is_built_from_its_own_release(kind: guests.Guest) -> None:
    text = guest.recipe(kind)
    assert f'\n  {kind.suite} "$root" "$sources"\n' in text
    assert f"Suites: {kind.suite} {kind.suite}-updates\n" in guest.inputs(kind)[2]
    assert set(kind.needed()) <= set(artefacts.ALL)


def test_recipe_without_the_text_to_substitute_is_refused() -> None:
    wrong = guests.Guest("x", "x", "guest-x", substitutions=(("no such words", "x"),))
    with pytest.raises(ValueError, match="expected 'no such words' once, found it 0 times"):
        guest.recipe(wrong)


def test_file_of_a_guest_replaces_the_common_one() -> None:
    name = Path("etc/ssh/sshd_config.d/hearth-lab.conf")
    common, own = guest.files(guests.TRIXIE), guest.files(guests.BOOKWORM)
    assert set(own) == set(common)
    assert own[name] != common[name]
    # OpenSSH 9.2 does not start with an unknown option.
    assert "PerSourcePenalties" not in own[name].read_text()


def test_replica_has_the_packages_that_a_deploy_installs() -> None:
    release = {"ID": "debian", "VERSION_ID": "12", "VERSION_CODENAME": "bookworm"}
    source = docker_source(identify(release, "amd64"), "auto", "http://10.0.2.2:1")
    assert source.packages == DOCKER_CE
    assert {path.stem for path in docker_repository.CONTROL.glob("*.control")} == set(source.packages)
    for name in source.packages:
        assert f"Package: {name}\n" in (docker_repository.CONTROL / f"{name}.control").read_text()
        assert f"pack {name} " in docker_repository.inputs()[0]


def test_old_systemd_reads_the_same_key_from_the_firmware() -> None:
    words = ssh.firmware_credential("ssh-ed25519 AAAA me")
    assert words.startswith("type=11,value=io.systemd.credential.binary:tmpfiles.extra=")
    assert words.rpartition(":tmpfiles.extra=")[2] == ssh.credential("ssh-ed25519 AAAA me").rpartition(":")[2]
    assert words.count(",") == 1  # after another comma, QEMU would expect an option
    plan = qemu.Machine(Path("/a/.lab"), Path("/cache/guest-0"), "tcg", 2048, {}, firmware=words)
    command = qemu.command(plan)
    assert command[command.index("-smbios") + 1] == words
    assert "-smbios" not in qemu.command(qemu.Machine(Path("/a/.lab"), Path("/cache/guest-0"), "tcg", 2048, {}))


def test_arm64_guest_has_the_processor_of_a_pi_and_separate_images() -> None:
    command = qemu.command(qemu.Machine(Path("/a/.lab"), Path("/cache/guest-0"), "tcg", 2048, {}, architecture="arm64"))
    assert command[0] == "qemu-system-aarch64"
    assert command[command.index("-cpu") + 1] == "cortex-a76"
    assert "console=ttyAMA0" in command[command.index("-append") + 1]
    assert "images" not in guests.ARM64.needed()
    assert "images-arm64" in guests.ARM64.needed()


@pytest.mark.parametrize("name", ["base.sh", "images.sh"])
def test_arm64_recipes_contain_no_amd64_directories(name: str) -> None:
    assert "x86_64" not in arm64.recipe(name)
    assert "aarch64-linux-gnu" in arm64.recipe(name)
