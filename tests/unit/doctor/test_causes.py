"""The doctor's rules: error numbers of three systems, environments, names, spellings; and its texts."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from hearth.doctor.address import Address, is_docker_address, same_network
from hearth.doctor.causes.catalogue import all_causes, markdown
from hearth.doctor.causes.cause import fill
from hearth.doctor.causes.network import LOCAL_NETWORK_PRIVACY
from hearth.doctor.checks.dns import resolution_cause
from hearth.doctor.checks.prompt import retry_delay
from hearth.doctor.checks.stream import Chunk, measure_pace, parse_timestamp
from hearth.doctor.client_environment import ClientEnvironment
from hearth.doctor.socket_errors import reason_of
from hearth.doctor.target import Target, parse_target
from hearth.doctor.tcp import Attempt, connection_cause

PI = Address(socket.AF_INET, ("192.168.1.189", 85))
FAR = Address(socket.AF_INET, ("1.1.1.1", 85))
LOOPBACK = Address(socket.AF_INET, ("127.0.0.1", 85))


def cause_of_number(
    number: int, environment: ClientEnvironment, address: Address = PI, source: str = "192.168.1.7"
) -> str:
    """The cause for an error number recorded on a system."""
    reason = reason_of(OSError(number, "as recorded"), environment.system)
    return connection_cause(Attempt(address.text, reason, source=source), address, environment, (), "").id


# --- macOS: recorded elsewhere, not reproducible here -------------------------------------------------


@pytest.mark.parametrize("terminal", ["iTerm.app", "vscode", "ghostty", ""])
def test_errno_65_on_the_local_network_is_local_network_privacy(terminal: str) -> None:
    assert cause_of_number(65, ClientEnvironment("Darwin", terminal=terminal)) == "local-network-privacy"
    assert (
        cause_of_number(65, ClientEnvironment("Darwin"), Address(socket.AF_INET6, ("fe80::1%en0", 85, 0, 4)))
        == "local-network-privacy"
    )


@pytest.mark.parametrize(
    "environment",
    [
        ClientEnvironment("Darwin", terminal="Apple_Terminal"),
        ClientEnvironment("Darwin", terminal="iTerm.app", is_root=True),
        ClientEnvironment("Darwin", terminal="iTerm.app", over_ssh=True),
    ],
)
def test_without_need_for_a_permission_the_cause_is_another(environment: ClientEnvironment) -> None:
    assert cause_of_number(65, environment) == "host-unreachable"


def test_errno_65_behind_a_router_is_not_privacy() -> None:
    behind = Address(socket.AF_INET, ("10.20.30.40", 85))
    assert cause_of_number(65, ClientEnvironment("Darwin"), behind) == "host-unreachable"
    assert cause_of_number(
        65, ClientEnvironment("Darwin"), Address(socket.AF_INET, ("192.168.4.9", 85)), "192.168.7.2"
    ) == ("local-network-privacy"), "a large home network"


def test_errno_65_for_the_internet_is_not_privacy() -> None:
    assert cause_of_number(65, ClientEnvironment("Darwin"), FAR) == "host-unreachable"


def test_the_cure_names_the_settings_and_the_terminal() -> None:
    cure = fill(LOCAL_NETWORK_PRIVACY.cure, {"terminal": "iTerm.app"})
    assert "System Settings > Privacy & Security > Local Network: switch on iTerm.app" in cure


# --- The same error on each system --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("linux", "mac", "windows", "cause"),
    [
        (111, 61, 10061, "port-refused"),
        (110, 60, 10060, "host-silent"),
        (101, 51, 10051, "network-unreachable"),
        (112, 64, 10064, "host-unreachable"),
        (13, 13, 10013, "connection-forbidden"),
        (5, 5, 5, "connection-failed"),
    ],
)
def test_error_numbers(linux: int, mac: int, windows: int, cause: str) -> None:
    assert cause_of_number(linux, ClientEnvironment("Linux")) == cause
    assert cause_of_number(mac, ClientEnvironment("Darwin")) == cause
    assert cause_of_number(windows, ClientEnvironment("Windows")) == cause


def test_unreachable_hosts_on_linux_and_windows() -> None:
    assert cause_of_number(113, ClientEnvironment("Linux")) == "host-unreachable"
    assert cause_of_number(10065, ClientEnvironment("Windows")) == "host-unreachable"


def test_our_own_timeout_is_a_timeout() -> None:
    assert reason_of(TimeoutError("timed out"), "Windows") == "timeout"


def test_other_ports_decide_the_cause() -> None:
    silent = Attempt(PI.text, "timeout", source="192.168.1.7")
    assert connection_cause(silent, PI, ClientEnvironment(), (22,), "").id == "port-filtered"
    assert connection_cause(silent, PI, ClientEnvironment(), (22,), "http://192.168.1.189:85").id == "wrong-port"
    refused = Attempt(LOOPBACK.text, "refused")
    assert (
        connection_cause(refused, LOOPBACK, ClientEnvironment(in_container=True), (), "").id == "localhost-in-container"
    )
    assert connection_cause(refused, LOOPBACK, ClientEnvironment(), (), "").id == "port-refused"
    assert (
        connection_cause(Attempt(PI.text, "refused"), PI, ClientEnvironment(in_container=True), (), "").id
        == "port-refused"
    )


def test_docker_addresses_from_outside() -> None:
    docker = Address(socket.AF_INET, ("172.18.0.3", 80))
    assert cause_of_number(110, ClientEnvironment(), docker) == "docker-address"
    # On the host itself they are reachable, so the cause is another one.
    assert cause_of_number(110, ClientEnvironment(), docker, source="172.18.0.1") == "host-silent"
    assert cause_of_number(111, ClientEnvironment(), docker) == "port-refused"


def test_addresses() -> None:
    assert [is_docker_address(text) for text in ("172.16.9.9", "172.17.0.1", "172.31.255.255", "172.32.0.0")] == [
        *(False, True, True, False)
    ]
    assert same_network("192.168.1.7", "192.168.1.189")
    assert not same_network("10.8.0.2", "192.168.1.189")
    assert same_network("fe80::1%eth0", "fe80::2")
    assert not same_network("", "192.168.1.189")
    assert PI.is_private
    assert not FAR.is_private
    assert not LOOPBACK.is_private


# --- Names --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "error", "cause"),
    [
        ("pi.local", socket.gaierror(socket.EAI_NONAME, ""), "mdns-name-unknown"),
        ("pi.local", TimeoutError(), "mdns-name-unknown"),
        ("pi", socket.gaierror(socket.EAI_NONAME, ""), "name-unknown"),
        ("pi.fritz.box", socket.gaierror(socket.EAI_AGAIN, ""), "dns-silent"),
        ("ollama", socket.gaierror(socket.EAI_NONAME, ""), "docker-name"),
        ("hearth-httpd", socket.gaierror(socket.EAI_AGAIN, ""), "docker-name"),
        ("host.docker.internal", socket.gaierror(socket.EAI_NONAME, ""), "docker-name"),
    ],
)
def test_names_that_do_not_resolve(host: str, error: OSError, cause: str) -> None:
    assert resolution_cause(host, error).id == cause


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("http://pi.local:85", Target("http", "pi.local", 85)),
        ("pi.local:85", Target("http", "pi.local", 85)),
        (" http://PI:85/api/ollama?x ", Target("http", "pi", 85)),
        ("https://pi.local", Target("https", "pi.local", 443)),
        ("[fe80::1%eth0]:85", Target("http", "fe80::1%eth0", 85)),
    ],
)
def test_addresses_are_parsed_as_users_write_them(text: str, target: Target) -> None:
    assert parse_target(text) == target


def test_the_host_header_omits_what_browsers_omit() -> None:
    assert parse_target("http://pi:80").netloc == "pi"
    assert parse_target("[fe80::1%eth0]:85").netloc == "[fe80::1]:85"


@pytest.mark.parametrize("text", ["", "http://", "ftp://pi", "http://pi:99999", "http://pi:0", "http://me@pi", "a b"])
def test_invalid_addresses_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"http://pi\.local:85"):
        parse_target(text)


# --- Times --------------------------------------------------------------------------------------------


def test_timestamps_of_chunks() -> None:
    assert parse_timestamp("2026-01-01T00:00:00.123456789Z") == pytest.approx(1767225600.123456)
    assert parse_timestamp("2026-01-01T01:00:00+01:00") == 1767225600
    assert parse_timestamp(None) is parse_timestamp("yesterday") is None


def test_a_buffered_stream_is_detected() -> None:
    generated = [float(second) for second in range(10)]
    streamed = measure_pace(tuple(Chunk(at + 0.2, at) for at in generated))
    late = measure_pace(tuple(Chunk(9.1, at) for at in generated))
    halves = measure_pace(tuple(Chunk(5.0 if at < 5 else 10.0, at) for at in generated))
    assert streamed is not None
    assert not streamed.is_buffered
    assert streamed.is_conclusive
    assert late is not None
    assert late.is_buffered
    # Two chunks of five seconds each: each word is up to five seconds late, which is half of the time.
    assert halves is not None
    assert halves.delay == pytest.approx(4.0)
    assert measure_pace((Chunk(1.0, None), Chunk(2.0, 5.0))) is None


def test_the_delay_before_a_retry() -> None:
    assert [retry_delay(text) for text in ("0", "3", "3600", "", "Wed, 21 Oct 2026 07:28:00 GMT")] == [0, 3, 10, 5, 5]


# --- Texts --------------------------------------------------------------------------------------------


def test_the_docs_have_every_cause(project: Path) -> None:
    text = (project / "docs" / "doctor.md").read_text()
    _, _, generated = text.partition("<!-- made by python -m hearth.doctor.causes.catalogue -->\n")
    assert generated == markdown(), (
        "replace the text below the mark in docs/doctor.md with the output of python -m hearth.doctor.causes.catalogue"
    )


def test_ids_are_anchors_and_unique() -> None:
    ids = [cause.id for cause in all_causes()]
    assert len(ids) == len(set(ids)) > 40
    assert all(re.fullmatch(r"[a-z0-9-]+", one) for one in ids)


def test_every_cause_is_used(project: Path) -> None:
    """There is no text that is never shown."""
    doctor = project / "hearth/doctor"
    modules = [*(doctor / "causes").glob("[a-z]*.py")]
    code = "\n".join(path.read_text() for path in doctor.rglob("*.py") if path not in modules)
    names = [name for path in modules for name in re.findall(r"^([A-Z_]+) = Cause\(", path.read_text(), re.M)]
    assert len(names) > 40
    assert [name for name in names if not re.search(rf"\.{name}\b", code)] == []


def test_unknown_placeholders_become_capitals_and_optional_ones_nothing() -> None:
    assert fill("port {port} of {other_url}{opt_more}.", {"port": 85, "other_url": ""}) == "port 85 of OTHER URL."
