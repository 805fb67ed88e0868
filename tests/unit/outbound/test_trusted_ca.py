"""The setting host_trusted_ca."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
import yaml

from hearth.outbound.trusted_ca import TrustState, authority_files, check_trusted_ca, is_trusted, read_trusted_ca
from hearth.render.compose import render_compose
from hearth.tls.certificate import CertificateError
from hearth.tls.local_ca import create_authority
from tests.support.shipped import shipped_settings

NOW = datetime.now(UTC)


def authority(path: Path) -> bytes:
    return create_authority(path, [], NOW).pem


def test_each_certificate_once(tmp_path: Path) -> None:
    one, other = authority(tmp_path / "a"), authority(tmp_path / "b")
    found = check_trusted_ca(one + b"some text\n" + other + one, "the file", NOW)
    assert found == (one, other)
    assert len(authority_files(found)) == 2


def test_what_is_not_a_ca_is_refused(tmp_path: Path) -> None:
    pair = create_authority(tmp_path, [], NOW).issue(["pi.local"], NOW)
    with pytest.raises(CertificateError, match="is not a CA's, so nothing would trust what it signs"):
        check_trusted_ca(pair, "the file", NOW)
    with pytest.raises(CertificateError, match=r"expired on .*use its successor"):
        check_trusted_ca(authority(tmp_path / "old"), "the file", NOW + timedelta(days=9999))


def test_missing_file_is_named() -> None:
    settings = shipped_settings(host_trusted_ca="/nowhere/ca.pem")
    with pytest.raises(CertificateError, match=r"host_trusted_ca = '/nowhere/ca.pem': could not read /nowhere/ca.pem"):
        read_trusted_ca(settings)


def test_what_a_host_must_have(tmp_path: Path) -> None:
    wanted = authority_files([authority(tmp_path)])
    [path] = wanted
    assert not is_trusted(TrustState(), wanted)
    assert is_trusted(TrustState(), {})
    state = TrustState({path: sha256(wanted[path]).hexdigest()})
    assert is_trusted(state, wanted)
    assert not is_trusted(state, {})


def test_containers_have_the_hosts_cas() -> None:
    services = yaml.safe_load(render_compose(shipped_settings(host_trusted_ca="~/ca.pem")))["services"]
    for service in services.values():
        assert "/etc/ssl/certs" in [one["source"] for one in service["volumes"]]
