"""Certificates, the local CA, and the plan for a host's certificates."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hearth.settings.model import Settings
from hearth.tls.certificate import (
    CertificateError,
    days_left,
    is_issued_by,
    join_pair,
    names_of,
    parse_chain,
    uncovered,
)
from hearth.tls.facts import DIRECTORIES, CertificatesState
from hearth.tls.local_ca import LEAF_DAYS, Authority, create_authority, load_authority
from hearth.tls.local_files import TlsInputs, load_tls_inputs
from hearth.tls.plan import Plan, plan_certificates

Make = Callable[..., Settings]
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NAMES = ("pi.local", "192.168.1.189", "pi")
LOCAL = {"proxy_tls": "local-ca", "proxy_tls_names": list(NAMES)}
ACME = {
    "proxy_tls": "acme",
    "proxy_tls_names": ["chat.example.org"],
    "proxy_acme_terms": "accepted",
    "proxy_acme_contact": "anna@example.org",
}


@pytest.fixture(name="authority", scope="module")
def _authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return create_authority(tmp_path_factory.mktemp("ca"), NAMES, NOW)


def split(pair: bytes) -> tuple[bytes, bytes]:
    """Certificates and key."""
    chain, marker, key = pair.partition(b"-----BEGIN PRIVATE KEY-----")
    return chain, marker + key


# --- the local CA ---------------------------------------------------------------------------------


def test_a_ca_is_created_once_and_found_again(tmp_path: Path) -> None:
    directory = tmp_path / "deep/ca"
    assert load_authority(directory) is None
    made = create_authority(directory, NAMES, NOW)
    again = create_authority(directory, NAMES, NOW)
    found = load_authority(directory)
    assert found is not None
    assert made.pem == again.pem == found.pem == (directory / "hearth-ca.crt").read_bytes()
    assert sorted(path.name for path in directory.iterdir()) == ["authority.pem", "hearth-ca.crt"]
    assert (directory / "authority.pem").stat().st_mode & 0o777 == 0o600
    assert directory.stat().st_mode & 0o777 == 0o700


def test_no_text_contains_its_key(authority: Authority) -> None:
    assert "key" not in repr(authority)
    assert "PRIVATE" not in repr(TlsInputs(pair=b"PRIVATE", authority=authority))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.chmod(0o644), "chmod 600"),
        (lambda path: path.write_text("x"), "no readable certificate"),
        (lambda path: path.write_bytes(split(path.read_bytes())[0]), "no readable private key"),
        (lambda path: path.write_bytes(path.read_bytes() and _other(path)), "do not match"),
    ],
)
def test_a_damaged_ca_is_named(tmp_path: Path, damage: Callable[[Path], object], message: str) -> None:
    create_authority(tmp_path, NAMES, NOW)
    damage(tmp_path / "authority.pem")
    with pytest.raises(CertificateError, match=message):
        load_authority(tmp_path)


def _other(path: Path) -> bytes:
    other = create_authority(path.parent / "other", [], NOW)
    key = other.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return split(path.read_bytes())[0] + key


def test_devices_accept_a_certificate(authority: Authority) -> None:
    leaf = parse_chain(authority.issue(NAMES, NOW), "it")[0]
    assert names_of(leaf) == set(NAMES)
    assert is_issued_by(leaf, authority.certificate)
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= timedelta(days=LEAF_DAYS)
    assert leaf.not_valid_before_utc < NOW - timedelta(hours=23), "a clock that is behind"
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    key = leaf.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"


def test_a_certificate_does_not_outlive_its_ca(authority: Authority) -> None:
    late = authority.certificate.not_valid_after_utc - timedelta(days=100)
    assert parse_chain(authority.issue(NAMES, late), "it")[0].not_valid_after_utc == late + timedelta(days=100)


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        *[(name, True) for name in ("other.local", "a.b.home.arpa", "10.9.8.7", "fd00::1", "fe80::1", "pi", "x.pi")],
        *[(name, False) for name in ("example.org", "notlocal", "8.8.8.8", "2606:4700::1111", "mypi", "local.example")],
    ],
)
def test_a_ca_certifies_only_private_and_declared_names(authority: Authority, name: str, inside: bool) -> None:
    assert authority.not_permitted([name]) == ([] if inside else [name])
    if not inside:
        with pytest.raises(CertificateError, match="not permitted to certify"):
            authority.issue([name], NOW)


def test_declared_public_names_and_addresses_are_permitted(tmp_path: Path) -> None:
    made = create_authority(tmp_path, ["chat.example.org", "203.0.113.7", "2001:db8::7"], NOW)
    assert made.not_permitted(["chat.example.org", "203.0.113.7", "2001:db8::7"]) == []
    assert made.not_permitted(["example.org", "203.0.113.8", "2001:db8::8"]) == [
        "example.org",
        "203.0.113.8",
        "2001:db8::8",
    ]


# --- the user's own files -------------------------------------------------------------------------


def test_a_pair_is_joined(authority: Authority) -> None:
    certificate, key = split(authority.issue(NAMES, NOW))
    joined = join_pair(certificate + authority.pem, key, NAMES, NOW, ("a", "b"))
    assert len(parse_chain(joined, "it")) == 2
    assert split(joined)[1].strip() == key.strip()


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("foreign key", "is not the key of the first certificate"),
        ("order", "is not the key of the first certificate"),
        ("stranger in the chain", "out of order"),
        ("names", "also has other.local"),
        ("ended", "expired on 2027-"),
        ("not yet", "is not yet valid"),
        ("no key", "no readable private key"),
        ("no certificate", "no readable certificate"),
        ("password", "is encrypted"),
    ],
)
def test_an_invalid_pair_is_rejected(tmp_path: Path, authority: Authority, case: str, message: str) -> None:
    certificate, key = split(authority.issue(NAMES, NOW))
    names, now = list(NAMES), NOW
    match case:
        case "foreign key":
            key = split(authority.issue(NAMES, NOW))[1]
        case "order":
            certificate = authority.pem + certificate
        case "stranger in the chain":
            certificate += create_authority(tmp_path, [], NOW).pem
        case "names":
            names.append("other.local")
        case "ended":
            now = NOW + timedelta(days=400)
        case "not yet":
            now = NOW - timedelta(days=2)
        case "no key":
            key = certificate
        case "no certificate":
            certificate = key
        case "password":
            secret = serialization.load_pem_private_key(key, None)
            encryption = serialization.BestAvailableEncryption(b"x")
            key = secret.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    with pytest.raises(CertificateError) as error:
        join_pair(certificate, key, names, now, ("proxy_tls_certificate", "proxy_tls_key"))
    assert message in str(error.value)
    assert "proxy_tls_" in str(error.value)
    assert "PRIVATE KEY-----\nM" not in str(error.value)


def test_a_wildcard_covers_one_label(tmp_path: Path) -> None:
    authority = create_authority(tmp_path, ["example.org"], NOW)
    leaf = parse_chain(authority.issue(["*.example.org"], NOW), "it")[0]
    assert uncovered(leaf, ["a.example.org", "a.b.example.org", "example.org"]) == ["a.b.example.org", "example.org"]


# --- inputs on this computer ----------------------------------------------------------------------


def test_own_files_are_read_and_unreadable_ones_are_named(
    make_settings: Make, tmp_path: Path, authority: Authority
) -> None:
    certificate, key = split(authority.issue(NAMES, NOW))
    (tmp_path / "pi.pem").write_bytes(certificate)
    (tmp_path / "pi.key").write_bytes(key)
    (tmp_path / "pi.key").chmod(0o600)
    values = {
        "proxy_tls": "files",
        "proxy_tls_certificate": str(tmp_path / "pi.pem"),
        "proxy_tls_key": {"file": str(tmp_path / "pi.key")},
    }
    assert load_tls_inputs(make_settings(**values), [], NOW).pair == certificate + key
    with pytest.raises(CertificateError, match=r"proxy_tls_certificate = .*nothing.pem.*No such file"):
        load_tls_inputs(make_settings(**values | {"proxy_tls_certificate": str(tmp_path / "nothing.pem")}), [], NOW)
    with pytest.raises(CertificateError, match=r"proxy_tls_key: could not read the file .*nothing.key"):
        load_tls_inputs(make_settings(**values | {"proxy_tls_key": {"file": str(tmp_path / "nothing.key")}}), [], NOW)


def test_a_ca_is_planned_for_all_hosts_without_creating_it(make_settings: Make, tmp_path: Path) -> None:
    here = make_settings(**LOCAL, proxy_tls_ca=str(tmp_path / "ca"))
    there = make_settings(**LOCAL | {"proxy_tls_names": ["nuc"]}, proxy_tls_ca=str(tmp_path / "ca"))
    other = make_settings(**LOCAL | {"proxy_tls_names": ["else"]}, proxy_tls_ca=str(tmp_path / "other"))
    tls_inputs = load_tls_inputs(here, [here, there, other, make_settings()], NOW)
    assert tls_inputs.all_names == (*NAMES, "nuc")
    assert tls_inputs.authority is None
    assert not (tmp_path / "ca").exists()


def test_a_name_that_the_ca_can_not_certify_is_rejected_early(make_settings: Make, tmp_path: Path) -> None:
    create_authority(tmp_path, NAMES, NOW)
    settings = make_settings(**LOCAL | {"proxy_tls_names": ["nuc"]}, proxy_tls_ca=str(tmp_path))
    with pytest.raises(CertificateError, match=r"proxy_tls_names has nuc, .*`mv "):
        load_tls_inputs(settings, [settings], NOW)


# --- the plan ------------------------------------------------------------------------------------


def on_host(pair: bytes, authority: Authority | None = None, **more: str) -> CertificatesState:
    digest = hashlib.sha256(pair).hexdigest()
    own = {"ca.crt": hashlib.sha256(authority.pem).hexdigest()} if authority else {}
    return CertificatesState(
        digests={"server.pem": digest} | own | more,
        recorded=digest,
        chain=split(pair)[0].decode(),
        directories=frozenset(DIRECTORIES),
    )


def local(make_settings: Make, state: CertificatesState, authority: Authority | None, now: datetime = NOW) -> Plan:
    return plan_certificates(make_settings(**LOCAL), TlsInputs(authority=authority), state, now)


def test_a_valid_certificate_changes_nothing(make_settings: Make, authority: Authority) -> None:
    state = on_host(authority.issue(NAMES, NOW), authority)
    assert local(make_settings, state, authority) == Plan()


def test_a_fresh_host_gets_a_certificate_and_a_ca(make_settings: Make, authority: Authority) -> None:
    plan = local(make_settings, CertificatesState(), None)
    assert (plan.install, plan.issue, plan.refusal) == (True, True, "")
    assert plan.directories == ("/opt/hearth/tls", "/opt/hearth/tls/live")
    assert "creating a local CA" in plan.reasons[0]
    assert "creating a local CA" not in local(make_settings, CertificatesState(), authority).reasons[0]


@pytest.mark.parametrize(("days", "issue"), [(31, False), (29, True), (0, True), (-1, True)])
def test_it_is_renewed_before_it_expires(make_settings: Make, authority: Authority, days: int, issue: bool) -> None:
    pair = authority.issue(NAMES, NOW)
    end = parse_chain(pair, "it")[0].not_valid_after_utc
    now = end - timedelta(days=days, hours=1)
    assert days_left(parse_chain(pair, "it")[0], now) == days
    plan = local(make_settings, on_host(pair, authority), authority, now)
    assert plan.issue is issue
    if issue:
        assert ("expired on" if days < 0 else f"expires in {days} days") in plan.reasons[0]
        assert "nothing is cut" in plan.reasons[0]


def test_other_names_another_ca_or_damage_require_a_new_one(
    make_settings: Make, authority: Authority, tmp_path: Path
) -> None:
    pair = authority.issue(["pi.local"], NOW)
    assert "is valid for pi.local" in local(make_settings, on_host(pair, authority), authority).reasons[0]
    other = create_authority(tmp_path, NAMES, NOW)
    assert "another CA" in local(make_settings, on_host(other.issue(NAMES, NOW)), authority).reasons[0]
    right = on_host(authority.issue(NAMES, NOW), authority)
    for damaged in (
        CertificatesState(right.digests | {"server.pem": "f" * 64}, right.recorded, right.chain, right.directories),
        CertificatesState(right.digests | {"server.pem": ""}, right.recorded, right.chain, right.directories),
        CertificatesState(right.digests, right.recorded, "", right.directories),
    ):
        assert local(make_settings, damaged, authority).issue


def test_without_the_ca_a_valid_certificate_stays_and_an_expiring_one_is_refused(
    make_settings: Make, authority: Authority
) -> None:
    state = on_host(authority.issue(NAMES, NOW), authority)
    assert local(make_settings, state, None) == Plan()
    plan = local(make_settings, state, None, NOW + timedelta(days=380))
    assert not plan.install
    assert "is not on this computer" in plan.refusal


def test_only_the_cas_certificate_is_replaced(make_settings: Make, authority: Authority) -> None:
    plan = local(make_settings, on_host(authority.issue(NAMES, NOW)), authority)
    assert (plan.install, plan.issue) == (True, False)


def test_directories_that_are_open_to_others_are_corrected(make_settings: Make, authority: Authority) -> None:
    state = on_host(authority.issue(NAMES, NOW), authority)
    opened = CertificatesState(state.digests, state.recorded, state.chain, frozenset({"/opt/hearth/tls/live"}))
    plan = local(make_settings, opened, authority)
    assert (plan.install, plan.directories) == (False, ("/opt/hearth/tls",))
    assert "/opt/hearth/tls" in plan.reasons[0]


def test_own_files_are_installed_if_they_differ(make_settings: Make, authority: Authority) -> None:
    pair = authority.issue(NAMES, NOW)
    settings = make_settings(proxy_tls="files", proxy_tls_certificate="~/pi.pem", proxy_tls_key={"file": "~/pi.key"})

    def plan(state: CertificatesState, now: datetime = NOW) -> Plan:
        return plan_certificates(settings, TlsInputs(pair=pair), state, now)

    assert plan(on_host(pair)) == Plan()
    assert "no certificate yet" in plan(CertificatesState()).reasons[0]
    assert "another certificate or key" in plan(on_host(authority.issue(NAMES, NOW))).reasons[0]
    soon = plan(on_host(pair), NOW + timedelta(days=390))
    assert not soon.install
    assert "~/pi.pem expires in 6 days" in soon.warnings[0]


def test_acme_needs_its_store_and_reports_problems(make_settings: Make, authority: Authority) -> None:
    settings = make_settings(**ACME)
    stores = ("/opt/hearth/acme", "/opt/hearth/acme/store")

    def plan(now: datetime = NOW, directories: tuple[str, ...] = stores, chain: bytes = b"", errors: int = 0) -> Plan:
        state = CertificatesState(
            directories=frozenset(directories),
            acme_chain=chain.decode(),
            acme_errors=errors,
            acme_trouble="DNS problem",
        )
        return plan_certificates(settings, TlsInputs(), state, now)

    assert plan(directories=()).directories == stores
    assert plan() == Plan(), "httpd requests the first one"
    assert "no certificate yet" in plan(errors=3).warnings[0]
    assert "(3 times in a row): DNS problem" in plan(errors=3).warnings[0]
    chain = split(authority.issue(NAMES, NOW))[0]
    assert plan(chain=chain, errors=3) == Plan(), "not yet urgent"
    late = NOW + timedelta(days=390)
    assert plan(late, chain=chain, errors=3).warnings == (
        "the certificate expires in 6 days; the CA refuses or can't be reached (3 times in a row): DNS problem",
    )


def test_the_root_of_a_private_acme_server_is_installed(make_settings: Make, authority: Authority) -> None:
    settings = make_settings(**ACME, proxy_acme_trust="~/root.pem")
    plan = plan_certificates(settings, TlsInputs(trust=authority.pem), CertificatesState(), NOW)
    assert plan.install
    assert plan.directories == ("/opt/hearth/tls", "/opt/hearth/tls/live", "/opt/hearth/acme", "/opt/hearth/acme/store")


# --- a gateway with backends over TLS ----------------------------------------------------------------------------


def gateway_settings(make_settings: Make, **values: Any) -> Settings:
    member = {"host": "pc", "url": "https://192.168.1.20.backend.internal:11434"}
    return make_settings(host_role="gateway", ollama_pools={"default": [member]}, **values)


def gateway_on_host(pair: bytes, authority: Authority) -> CertificatesState:
    digests = {"gateway.pem": hashlib.sha256(pair).hexdigest(), "ca.crt": hashlib.sha256(authority.pem).hexdigest()}
    return CertificatesState(
        digests=digests,
        directories=frozenset(DIRECTORIES),
        gateway_recorded=digests["gateway.pem"],
        gateway_chain=parse_chain(pair, "it")[0].public_bytes(serialization.Encoding.PEM).decode(),
    )


def test_a_gateway_gets_its_key_once_and_a_new_one_before_it_expires(
    make_settings: Make, authority: Authority, tmp_path: Path
) -> None:
    settings, inputs = gateway_settings(make_settings), TlsInputs(authority=authority)
    first = plan_certificates(settings, inputs, CertificatesState(), NOW)
    assert (first.install, first.issue, first.issue_for_gateway) == (True, False, True)
    assert first.directories == ("/opt/hearth/tls", "/opt/hearth/tls/live")
    state = gateway_on_host(authority.issue_for_gateway(NOW), authority)
    assert plan_certificates(settings, inputs, state, NOW) == Plan()
    later = plan_certificates(settings, inputs, state, NOW + timedelta(days=380))
    assert later.issue_for_gateway
    assert "the gateway's certificate expires in" in later.reasons[0]
    assert plan_certificates(settings, TlsInputs(), state, NOW) == Plan()
    assert (
        "is not on this computer" in plan_certificates(settings, TlsInputs(), state, NOW + timedelta(days=380)).refusal
    )
    other = create_authority(tmp_path, [], NOW)
    assert plan_certificates(settings, TlsInputs(authority=other), state, NOW).issue_for_gateway


def test_a_gateway_with_a_page_over_tls_gets_both(make_settings: Make, authority: Authority) -> None:
    settings = gateway_settings(make_settings, **LOCAL)
    plan = plan_certificates(settings, TlsInputs(authority=authority), CertificatesState(), NOW)
    assert (plan.issue, plan.issue_for_gateway) == (True, True)
    assert len(plan.reasons) == 2
