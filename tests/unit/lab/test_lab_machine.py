"""Ports, keys, command lines and refusals: the lab's decisions without a virtual machine."""

from __future__ import annotations

import json
import os
import shutil
import socket
from pathlib import Path

import pytest

import lab
from lab import artefacts, cache, kvm, machine, ports, process, qemu, registry, report, ssh, state, vm
from lab.__main__ import main, parser
from lab.progress import Stages

PLAN = qemu.Machine(Path("/a,b/.lab"), Path("/cache/guest-0"), "tcg", 2048, {"22": 4022, "85": 4085}, "x=y")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout's state directory in which nothing was ever started."""
    monkeypatch.setattr(state, "DIRECTORY", tmp_path / ".lab")
    return tmp_path / ".lab"


def test_taken_port_is_refused_with_its_number() -> None:
    with socket.socket() as server:
        server.bind((ports.LOOPBACK, 0))
        server.listen()
        port = server.getsockname()[1]
        assert not ports.is_free(port)
        with pytest.raises(lab.LabError, match=f"Port {port} on 127.0.0.1 is taken"):
            ports.choose(["22"], {"22": port}, {})
        assert ports.choose(["22"], {}, {"22": port})["22"] != port


def test_ports_are_kept_requested_or_new_and_unique() -> None:
    kept, wanted = ports.free(2)
    chosen = ports.choose(["22", "85", "80"], {"85": wanted}, {"22": kept, "85": kept, "80": wanted})
    assert chosen["22"] == kept
    assert chosen["85"] == wanted
    assert len(set(chosen.values())) == 3
    with pytest.raises(lab.LabError, match="requested twice"):
        ports.choose(["22", "85"], {"22": kept, "85": kept}, {})


def test_keys_depend_on_every_part_and_its_boundaries() -> None:
    assert cache.key_of("a", "b") == cache.key_of("a", b"b")
    assert len({cache.key_of("ab", "c"), cache.key_of("a", "bc"), cache.key_of("abc"), cache.key_of("c", "ab")}) == 4


def test_dependencies_come_first() -> None:
    earlier: set[str] = set()
    for name, part in artefacts.ALL.items():
        assert set(part.needs) <= earlier
        earlier.add(name)


def test_interrupted_build_leaves_no_artefact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARTH_CACHE", str(tmp_path))
    monkeypatch.setattr(cache, "remove", shutil.rmtree)  # the real one needs root
    (tmp_path / "lab").mkdir()

    def half(out: Path, _log: Path) -> None:
        (out / "half").touch()
        raise lab.LabError("broken")

    with pytest.raises(lab.LabError, match="broken"):
        cache.build_once("thing", "k", half)
    assert not list((tmp_path / "lab").glob("*thing-*"))
    whole = cache.build_once("thing", "k", lambda out, _: (out / "whole").touch())
    assert cache.build_once("thing", "k", half) == whole  # not built again


def test_qemu_only_listens_on_the_loopback_and_commas_are_doubled() -> None:
    words = qemu.command(PLAN)
    network = words[words.index("-netdev") + 1]
    assert "hostfwd=tcp:127.0.0.1:4022-:22,hostfwd=tcp:127.0.0.1:4085-:85" in network
    assert any(word.endswith("file=/a,,b/.lab/overlay.qcow2") for word in words)
    assert "tcg,thread=multi" in words
    assert "-loadvm" not in words
    assert words[words.index("-append") + 1].endswith(" x=y")


def test_snapshot_of_kvm_is_not_loaded_without_kvm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With another kernel, or without permission for /dev/kvm, QEMU would only report that it can't open it."""
    monkeypatch.setattr(state, "DIRECTORY", tmp_path)
    state.State(memory=1, snapshots={"fresh": {"memory": 1, "accel": "kvm"}}).save()
    monkeypatch.setattr(kvm, "available", lambda _: False)
    for name in ("check", "_choose_ports", "_start_servers"):
        monkeypatch.setattr(vm, name, lambda *_: None)
    monkeypatch.setattr(artefacts, "missing", lambda _: [])
    monkeypatch.setattr(artefacts, "build", lambda *_: {})
    with pytest.raises(lab.LabError, match=r"taken under KVM.*down --purge"):
        vm.restore(Stages(), "fresh")


def test_kvm_is_tested_once_per_boot_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARTH_CACHE", str(tmp_path))
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab/kvm-of-an-older-boot").write_text("works\n")
    monkeypatch.setattr(os, "access", lambda *_: True)
    monkeypatch.setattr(qemu, "version", lambda: (10, 0, 2))
    tested: list[Path] = []

    def crashes(guest: Path) -> bool:
        tested.append(guest)
        return False

    monkeypatch.setattr(kvm, "_boots", crashes)
    guest = Path("/cache/guest-0")
    assert [kvm.available(guest) for _ in range(2)] == [False, False]
    assert tested == [guest]
    assert [path.read_text() for path in (tmp_path / "lab").glob("kvm-*")] == ["fails\n"]


def test_key_is_passed_to_the_guest_as_a_credential() -> None:
    argument = ssh.credential("ssh-ed25519 AAAA me")
    assert argument.startswith("systemd.set_credential_binary=tmpfiles.extra:")
    assert " " not in argument


def test_registries_are_read_only_on_the_loopback_and_send_a_location() -> None:
    shown = json.loads(json.dumps(registry.configuration(Path("/s"), 5, read_only=True)))
    assert shown["http"] == {"addr": "127.0.0.1:5", "headers": {"Location": ["?"]}}
    assert shown["storage"]["maintenance"]["readonly"] == {"enabled": True}


def test_processes_of_others_are_not_ended() -> None:
    assert not process.is_ours(1, "no such mark in any command line")
    process.end(1, "no such mark in any command line")  # has no effect


def test_too_little_memory_or_disk_space_is_refused_with_the_sum(tmp_path: Path) -> None:
    with pytest.raises(lab.LabError, match="1953 MiB of memory available; a guest of 2048 MiB needs 2560 MiB"):
        machine.check_memory(2048, "MemTotal: 9000000 kB\nMemAvailable: 2000000 kB\n")
    machine.check_memory(1024, "MemAvailable: 2000000 kB\n")
    with pytest.raises(lab.LabError, match=r"needs 2097152\.0 GiB"):
        machine.check_disk([(tmp_path / "not/yet", 1 << 50), (tmp_path, 1 << 50)])


def test_missing_commands_are_reported_by_package() -> None:
    with pytest.raises(lab.LabError, match="these Debian packages: package-a package-b"):
        machine.check_commands({"no-such-b": "package-b", "no-such-a": "package-a", "sh": "dash"})


def test_status_of_a_lab_that_never_ran(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert set(shown) == set(report.Status.__dataclass_fields__)
    assert shown["running"] is False
    assert shown["ssh_config"] == str(checkout / "ssh_config")
    assert shown["models"] == ["tinyllama", "tinystory"]
    with pytest.raises(lab.LabError, match="The lab is not running"):
        lab.status(must_run=True)
    assert main(["ssh", "true"]) == 1
    assert "lab: The lab is not running. Start it with: .venv/bin/python -m lab up" in capsys.readouterr().err


@pytest.mark.usefixtures("checkout")
def test_status_has_addresses_from_saved_ports() -> None:
    state.State(ports={"22": 1022, "85": 1085, "registry": 1001, "models": 1002}, pids={"qemu": 1}).save()
    now = lab.status()
    assert now.url == "http://127.0.0.1:1085"
    assert now.registry_mirror == "http://10.0.2.2:1001"
    assert now.model_registry == "http://10.0.2.2:1002"
    assert now.forwards == {"22": 1022, "85": 1085}
    assert now.pids == {}  # pid 1 is not one of ours


@pytest.mark.parametrize("words", [["up", "--page-port", "99999"], ["up", "--accel", "magic"], ["snapshot"], []])
def test_wrong_arguments_are_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(words)
