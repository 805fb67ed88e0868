"""Installing certificates on a host, and the scripts that receive them there."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from pyinfra_testing.operations import parse_commands

from hearth.paths import TLS_FILES
from hearth.tls.certificate import today
from hearth.tls.facts import DIRECTORIES, Certificates, CertificatesState
from hearth.tls.local_ca import create_authority
from hearth.tls.local_files import TlsInputs
from hearth.tls.operations import directories_script, install_certificate, pack_certificate, receive_script
from tests.pyinfra.conftest import Result, Run
from tests.pyinfra.shell import Sandbox, check_syntax
from tests.support.shipped import shipped_settings

LOCAL = {"proxy_tls": "local-ca", "proxy_tls_names": ["pi.local"]}
FILES = {name: f"content of {name}\n".encode() for name in TLS_FILES}


def install(run: Run, tls_inputs: TlsInputs, state: CertificatesState, **values: Any) -> Result:
    return run(
        install_certificate,
        {Certificates: state},
        settings=shipped_settings(**values or LOCAL),
        tls_inputs=tls_inputs,
    )


def test_a_host_without_a_certificate_gets_directories_and_files(run: Run, tmp_path: Path) -> None:
    result = install(run, TlsInputs(directory=tmp_path / "ca"), CertificatesState())
    directories, sending = result.commands
    assert directories.startswith("install -d -m 0755 /opt/hearth && install -d -m 700 -o 0 -g 0 /opt/hearth/tls && ")
    assert sending[0] == "_send"
    assert "no usable certificate" in result.said[0]
    assert not (tmp_path / "ca").exists(), "a dry run creates no CA"


def test_a_valid_certificate_changes_nothing(run: Run) -> None:
    acme = {
        "proxy_tls": "acme",
        "proxy_tls_names": ["chat.example.org"],
        "proxy_acme_terms": "accepted",
        "proxy_acme_contact": "anna@example.org",
    }
    result = install(run, TlsInputs(), CertificatesState(directories=frozenset(DIRECTORIES)), **acme)
    assert (result.commands, result.said) == ([], [])
    assert result.noop


def test_a_ca_on_another_computer_fails_the_host_with_a_message(run: Run, tmp_path: Path) -> None:
    pair = create_authority(tmp_path, ["other.local"], today()).issue(["other.local"], today())
    chain = pair.decode().partition("-----BEGIN PRIVATE")[0]
    state = CertificatesState({"server.pem": "1"}, "1", chain, frozenset(DIRECTORIES))
    (refusal,) = install(run, TlsInputs(directory=tmp_path / "ca"), state).refusals
    assert "is not on this computer" in refusal


def test_no_command_shows_a_key(run: Run, tmp_path: Path) -> None:
    """What pyinfra could print with any number of `-v`: commands and their arguments."""
    authority = create_authority(tmp_path, ["pi.local"], today())
    pair = authority.issue(["pi.local"], today())
    files = {"proxy_tls": "files", "proxy_tls_certificate": "~/a", "proxy_tls_key": {"file": "~/b"}}
    for tls_inputs, values in ((TlsInputs(authority=authority), LOCAL), (TlsInputs(pair=pair), files)):
        result = install(run, tls_inputs, CertificatesState(), **values)
        text = f"{result.commands}{result.said}{parse_commands([])}"
        key = pair.decode().partition("-----BEGIN PRIVATE KEY-----\n")[2].splitlines()[0]
        assert "PRIVATE" not in text
        assert key not in text


@pytest.fixture(name="host")
def _host(tmp_path: Path) -> Sandbox:
    sandbox = Sandbox(tmp_path)
    (sandbox.root / "tls/live").mkdir(parents=True)
    (sandbox.root / "tls/live/server.pem").write_text("old")
    return sandbox


def receive(host: Sandbox, archive: bytes, names: list[str]) -> subprocess.CompletedProcess[bytes]:
    script = receive_script(names).replace("/opt/hearth", str(host.root))
    return subprocess.run(["sh", "-c", script], input=archive, capture_output=True, timeout=30, check=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="changes owners of files")
def test_files_arrive_with_their_owners_and_modes(host: Sandbox) -> None:
    done = receive(host, pack_certificate(FILES), sorted(FILES))
    assert done.returncode == 0, done.stderr
    live = host.root / "tls/live"
    for name, wanted in TLS_FILES.items():
        found = (live / name).stat()
        assert f"{found.st_mode & 0o777:o}:{found.st_uid}:{found.st_gid}" == wanted
        assert (live / name).read_bytes() == FILES[name]
    assert sorted(path.name for path in (host.root / "tls").iterdir()) == ["live"]
    assert (host.root / ".reload-httpd").exists()


def test_an_incomplete_archive_replaces_nothing(host: Sandbox) -> None:
    done = receive(host, pack_certificate({"server.pem": b"x" * 4096})[:2000], ["server.pem"])
    assert done.returncode != 0
    assert (host.root / "tls/live/server.pem").read_text() == "old"
    assert not (host.root / "tls/.incoming").exists()
    assert not (host.root / ".reload-httpd").exists()


def test_the_reload_mark_comes_before_the_change() -> None:
    script = receive_script(["server.pem"])
    assert script.index("sync") < script.index("touch /opt/hearth/.reload-httpd") < script.index("mv -f")


def test_an_archive_has_only_the_files() -> None:
    with tarfile.open(fileobj=io.BytesIO(pack_certificate(FILES))) as archive:
        assert archive.getnames() == sorted(FILES)
        assert {member.name: f"{member.mode:o}:{member.uid}:{member.gid}" for member in archive} == TLS_FILES


def test_scripts_are_valid_shell() -> None:
    check_syntax(receive_script(sorted(FILES)))
    check_syntax(directories_script(sorted(DIRECTORIES)))


@pytest.mark.skipif(os.geteuid() != 0, reason="changes owners of directories")
def test_directories_that_are_open_to_others_are_corrected(host: Sandbox) -> None:
    (host.root / "tls").chmod(0o777)
    assert host.run(directories_script(list(DIRECTORIES))).returncode == 0
    for path, wanted in DIRECTORIES.items():
        found = Path(path.replace("/opt/hearth", str(host.root))).stat()
        assert f"{found.st_mode & 0o777:o}:{found.st_uid}:{found.st_gid}" == wanted
