"""Open ports, scanned from outside: every port, from a listed and an unlisted machine, for each setting."""

from __future__ import annotations

import pytest

from hearth.firewall.rules import TABLE
from hearth.paths import FIREWALL_LOADED, FIREWALL_RULES, FIREWALL_SERVICE, FIREWALL_UNIT, FRONT, OUT
from tests.acceptance.api import call
from tests.lab.machine import deploy, deployed_with, on_guest, pyinfra, reboot, url, wait_until
from tests.lab.outside import address_of, attach, others, scan, status

pytestmark = [pytest.mark.scenario, pytest.mark.usefixtures("deployed")]

LIMIT = "Firewall | Restrict Hearth's ports"
REMOVE = "Firewall | Remove the firewall"
LISTED = 'firewall_allowed_networks=["10.9.0.0/24"]'
TRACES = (
    f"ls {FIREWALL_RULES} {FIREWALL_LOADED} 2>/dev/null; find /etc/systemd/system -name '{FIREWALL_SERVICE}'; "
    f"sudo nft list table {TABLE} 2>/dev/null"
)
# Rules of other programs (including Docker's, without counters), and another table.
OTHER = "inet somebody"
ADD_OTHER = (
    "sudo apt-get -qq install -y --no-install-recommends nftables >/dev/null && "
    f"sudo nft 'add table {OTHER}; add chain {OTHER} seen {{ type filter hook input priority 0; }}; "
    f"add rule {OTHER} seen tcp dport 9 drop'"
)
OTHER_RULES = (
    f"sudo iptables-save | sed '/^#/d; s/\\[[0-9:]*\\]//'; sudo nft list table {OTHER}; "
    f"sudo nft list tables | grep -vx 'table {TABLE}'"
)


def open_to_listed_only() -> None:
    """The page over IPv4 and IPv6, and the containers' addresses; the host itself always has access."""
    assert status("listed", "10.9.0.1", 85) == 200
    for who, address in (
        ("unlisted", "10.8.0.1"),
        ("unlisted", "10.9.0.1"),
        ("listed", "fd09::1"),
        ("unlisted", "fd08::1"),
    ):
        assert status(who, address, 85) == 0, (who, address)
    for container, network, port in (("hearth-httpd", FRONT, 80), ("hearth-ollama", OUT, 11434)):
        for who in ("listed", "unlisted"):
            assert status(who, address_of(container, network), port) == 0, (who, container)
    for address in ("127.0.0.1", "::1", "10.9.0.1"):
        assert status("host", address, 85) == 200, address


def test_only_declared_ports_are_open_by_default() -> None:
    attach()
    found = scan("unlisted")
    print(f"\nopen by default: {sorted(found)}")
    assert found == others() | {85}


@pytest.mark.long
def test_only_declared_ports_are_open_with_ollama_published() -> None:
    attach()
    deployed_with('ollama_publish="0.0.0.0:11435"', "proxy_port=8085")
    found = scan("unlisted")
    print(f"\nopen with Ollama published: {sorted(found)}")
    assert found == others() | {8085, 11435}
    assert status("unlisted", "10.8.0.1", 11435) == 200


@pytest.mark.long
def test_only_listed_machines_are_allowed() -> None:
    attach()
    published = 'ollama_publish="0.0.0.0:11435"'
    deployed_with(published)
    on_guest(ADD_OTHER, timeout=300)
    other_rules = on_guest(OTHER_RULES)
    data = (LISTED, published)
    first = deployed_with(*data)
    assert first.changed == (LIMIT,), first.output
    assert "this computer's address is 10.0.2.2" in first.output
    quiet = deploy(*data)
    assert (quiet.code, quiet.changed) == (0, ()), quiet.output
    assert scan("unlisted") == others()
    assert scan("listed") == others() | {85, 11435}
    open_to_listed_only()
    with pytest.raises(OSError):  # noqa: PT011 - refused or reset: QEMU accepts the connection first
        call(url(), "GET", "/", timeout=10)
    assert on_guest("echo in") == "in", "ssh is not affected"
    assert on_guest(OTHER_RULES) == other_rules, "rules of other programs, including Docker's, are unchanged"


@pytest.mark.long
def test_firewall_survives_restarts_and_reboots() -> None:
    attach()
    deployed_with(LISTED)
    on_guest("sudo systemctl restart docker", timeout=300)
    open_to_listed_only()
    # Debian's service flushes all rules. Docker must be restarted after that; our rules are restored automatically.
    on_guest("sudo systemctl restart nftables && sudo systemctl restart docker", timeout=300)
    open_to_listed_only()
    on_guest("sudo systemctl reload nftables && sudo systemctl restart docker", timeout=300)
    open_to_listed_only()
    reboot()
    # The rules must be in force before the page is available.
    assert on_guest(f"systemctl is-active {FIREWALL_SERVICE}") == "active"
    assert TABLE in on_guest("sudo nft list tables")
    attach()
    wait_until(lambda: status("listed", "10.9.0.1", 85) == 200, 300, "the page is available")
    open_to_listed_only()
    wait_until(lambda: "starting" not in on_guest("sudo docker ps --format '{{.Status}}'"), 200, "all are healthy")
    quiet = deploy(LISTED)
    assert (quiet.code, quiet.changed) == (0, ()), quiet.output


@pytest.mark.long
@pytest.mark.parametrize(
    ("done", "sentence"),
    [
        (f"sudo nft delete table {TABLE}", "rules were changed on the host"),
        (f"sudo nft insert rule {TABLE} ask accept", "rules were changed on the host"),
        (f"sudo systemctl disable --now {FIREWALL_SERVICE}", "rules are not loaded"),
        (f"sudo rm {FIREWALL_RULES}", "is missing; adding it"),
        (f"sudo sed -i /ExecStart/d {FIREWALL_UNIT}", "service differs"),
    ],
)
def test_firewall_drift_is_repaired(done: str, sentence: str) -> None:
    attach()
    deployed_with(LISTED)
    on_guest(done)
    run = deployed_with(LISTED)
    assert run.changed == (LIMIT,), run.output
    assert sentence in run.output
    open_to_listed_only()
    assert deploy(LISTED).changed == ()


@pytest.mark.long
def test_firewall_is_removed_completely_when_the_setting_is_cleared() -> None:
    attach()
    deployed_with(LISTED)
    run = deployed_with()
    assert run.changed == (REMOVE,), run.output
    assert on_guest(TRACES, check=False) == ""
    assert status("unlisted", "10.8.0.1", 85) == 200
    quiet = deploy()
    assert (quiet.code, quiet.changed) == (0, ()), quiet.output


@pytest.mark.long
def test_firewall_is_removed_by_an_uninstall() -> None:
    deployed_with(LISTED)
    run = pyinfra("deploys/uninstall.py")
    assert run.code == 0, run.output
    assert "will remove: the firewall" in run.output
    assert on_guest(TRACES, check=False) == ""
    assert pyinfra("deploys/uninstall.py").changed == ()


@pytest.mark.long
def test_released_port_stays_limited_until_it_is_closed() -> None:
    """And after a rollback, the port of the previous release is limited."""
    attach()
    deployed_with(LISTED)
    moved = deployed_with(LISTED, "proxy_port=8085")
    assert "Firewall | Narrow the firewall" in moved.changed
    assert "dport 85 " not in on_guest(f"sudo nft list table {TABLE}")
    quiet = deploy(LISTED, "proxy_port=8085")
    assert (quiet.code, quiet.changed) == (0, ()), quiet.output
    assert status("unlisted", "fd08::1", 8085) == 0
    back = pyinfra("deploys/rollback.py", LISTED, "proxy_port=8085")
    assert back.code == 0, back.output
    for address in ("10.8.0.1", "fd08::1"):
        assert status("unlisted", address, 85) == 0, address
    assert status("listed", "10.9.0.1", 85) == 200
    assert LIMIT in deployed_with(LISTED).changed, "additions for the rollback are cleaned up"


@pytest.mark.long
def test_ipv6_networks_and_the_deploying_computer() -> None:
    attach()
    deployed_with('firewall_allowed_networks=["10.0.2.2","fd08::/64"]')
    assert call(url(), "GET", "/").status == 200
    assert status("unlisted", "fd08::1", 85) == 200
    assert status("unlisted", "10.8.0.1", 85) == 0
    assert status("listed", "fd09::1", 85) == 0


@pytest.mark.long
def test_rules_refused_by_the_kernel_change_nothing() -> None:
    """Like in a container whose host has no nftables."""
    attach()
    deployed_with(LISTED)
    rules = on_guest(f"sudo nft list table {TABLE}; sha256sum {FIREWALL_RULES}")
    # An nft that works, except for checking rules.
    on_guest(
        "sudo mv /usr/sbin/nft /usr/sbin/nft.real && "
        'printf \'#!/bin/sh\\ncase "$*" in -c*) echo Operation not permitted >&2; exit 1;; esac\\n'
        'exec /usr/sbin/nft.real "$@"\\n\' | sudo tee /usr/sbin/nft >/dev/null && sudo chmod 0755 /usr/sbin/nft'
    )
    run = deploy('firewall_allowed_networks=["10.8.0.0/24"]')
    assert run.code != 0
    assert "The host rejects the firewall's rules" in run.output
    assert on_guest(f"sudo nft list table {TABLE}; sha256sum {FIREWALL_RULES}") == rules
    open_to_listed_only()
