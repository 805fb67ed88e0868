"""The firewall's rules in a real kernel: a host with Docker's rules, a listed machine and an unlisted one."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from hearth.firewall.rules import TABLE, Restrictions, render_rules
from hearth.releases.operations import SCRIPT
from hearth.settings.virtual_address import VirtualRouter

WORLD = Path(__file__).with_name("walled_host.py")
SBIN = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
LISTED = Restrictions(("10.9.0.0/24",), frozenset({85}), frozenset({("127.0.0.1", 11434)}))
# Its gateway is `listed`.
BACKEND = Restrictions(ollama=frozenset({("0.0.0.0", 11434)}), sources=("10.9.0.20",))
# Docker 26's own rules for two published ports: port 85 on all addresses, port 11434 on loopback.
DOCKER = """
table ip docker {
  chain prerouting {
    type nat hook prerouting priority dstnat
    fib daddr type local iifname != "hearth-front" tcp dport 85 dnat to 172.21.0.2:80
    ip daddr 127.0.0.1 iifname != "hearth-out" tcp dport 11434 dnat to 172.19.0.2:11434
  }
  chain output {
    type nat hook output priority -100
    ip daddr != 127.0.0.0/8 fib daddr type local tcp dport 85 dnat to 172.21.0.2:80
  }
  chain postrouting {
    type nat hook postrouting priority srcnat
    ip saddr 172.16.0.0/12 oifname != "hearth-*" masquerade
  }
  chain forward {
    type filter hook forward priority filter; policy drop
    oifname "hearth-*" ct state established,related accept
    iifname "hearth-*" accept
    ip daddr 172.21.0.2 oifname "hearth-front" tcp dport 80 accept
    ip daddr 172.19.0.2 oifname "hearth-out" tcp dport 11434 accept
  }
}
"""
# The same on a backend: Ollama's port is published on all addresses.
PUBLISHED = DOCKER.replace('ip daddr 127.0.0.1 iifname != "hearth-out"', 'fib daddr type local iifname != "hearth-out"')
# Client, address, port → who responds without a firewall, and with one that allows 10.9.0.0/24.
PROBES: dict[tuple[str, str, int], tuple[str, str]] = {
    ("listed", "10.9.0.1", 85): ("front", "front"),
    ("foreign", "10.8.0.1", 85): ("front", "refused"),
    # The host's other address makes no difference.
    ("foreign", "10.9.0.1", 85): ("front", "refused"),
    # docker-proxy accepts IPv6, and no IPv6 network is listed.
    ("listed", "fd09::1", 85): ("host", "refused"),
    ("foreign", "fd08::1", 85): ("host", "refused"),
    # Directly to the containers, bypassing published ports: possible before Docker 28 for clients that add a route.
    ("listed", "172.21.0.2", 80): ("front", "refused"),
    ("foreign", "172.21.0.2", 80): ("front", "refused"),
    ("listed", "172.19.0.2", 11434): ("out", "refused"),
    ("foreign", "172.19.0.2", 11434): ("out", "refused"),
    # Ports that are not Hearth's: ssh, and 11434 on an address that Hearth does not publish.
    ("listed", "10.9.0.1", 22): ("host", "host"),
    ("foreign", "10.8.0.1", 22): ("host", "host"),
    ("foreign", "10.9.0.1", 11434): ("host", "host"),
    # The host itself, by all its addresses.
    ("host", "127.0.0.1", 11434): ("host", "host"),
    ("host", "::1", 85): ("host", "host"),
    ("host", "10.9.0.1", 85): ("front", "front"),
    ("host", "172.21.0.2", 80): ("front", "front"),
    # Outgoing connections of the containers, to a registry on another network.
    ("out", "10.8.0.20", 5000): ("a registry", "a registry"),
    ("front", "10.8.0.20", 5000): ("a registry", "a registry"),
}


@cache
def missing_privileges() -> str:
    """Why this machine can't run such a host; "" if it can."""
    if not shutil.which("nft", path=SBIN):
        return "nft is not installed (apt-get install nftables)"
    script = 'echo "table inet t { chain c { type filter hook input priority 0; }; }" | nft -f -'
    try:
        done = subprocess.run(
            ["unshare", "-rnm", "sh", "-c", script], capture_output=True, text=True, env=os.environ | {"PATH": SBIN}
        )
    except OSError as error:
        return f"unshare: {error}"
    return f"network namespaces are not available: {done.stderr.strip()}" if done.returncode else ""


def play(*steps: dict[str, Any]) -> list[Any]:
    """The result of each step, on a new host."""
    if why := missing_privileges():
        pytest.skip(why)
    done = subprocess.run(
        ["unshare", "-rnm", "--kill-child", "--pid", "--fork", "--mount-proc", sys.executable, str(WORLD)],
        input=json.dumps(steps),
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PATH": SBIN},
    )
    assert done.returncode == 0, done.stderr + done.stdout
    answers: list[Any] = json.loads(done.stdout)
    return answers


def load(rules: str | Restrictions) -> dict[str, Any]:
    text = rules if isinstance(rules, str) else render_rules(rules)
    return {"run": f"nft -f - <<'RULES'\n{text}\nRULES"}


def test_only_listed_networks_are_allowed_and_all_else_is_unchanged() -> None:
    everything = {"probe": list(PROBES)}
    rules = load(LISTED)
    theirs = {"run": "nft list table ip docker", "show": True}
    answers = play(
        load(DOCKER), everything, theirs,
        rules, everything, theirs,
        rules, {"run": "nft list tables", "show": True},
        {"run": f"nft delete table {TABLE}"}, everything,
    )  # fmt: skip
    without, with_it, after = answers[1], answers[4], answers[9]
    assert dict(zip(PROBES, without, strict=True)) == {probe: expected[0] for probe, expected in PROBES.items()}
    assert dict(zip(PROBES, with_it, strict=True)) == {probe: expected[1] for probe, expected in PROBES.items()}
    assert after == without, "nothing remains"
    assert answers[5] == answers[2], "Docker's rules are unchanged"
    assert answers[7].count(TABLE) == 1, "loaded twice, it exists once"


def test_networks_of_both_families_and_single_addresses() -> None:
    probes = [["listed", "10.9.0.1", 85], ["listed", "fd09::1", 85]]
    probes += [["foreign", "10.8.0.1", 85], ["foreign", "fd08::1", 85]]
    cases = {
        ("10.8.0.20",): ["refused", "refused", "front", "refused"],
        ("fd09::/64",): ["refused", "host", "refused", "refused"],
        ("10.9.0.0/24", "10.9.0.128/25", "10.8.0.20", "fd08::20"): ["front", "refused", "front", "host"],
    }
    steps = [step for networks in cases for step in (load(replace(LISTED, networks=networks)), {"probe": probes})]
    _, *answers = play(load(DOCKER), *steps)
    assert dict(zip(cases, answers[1::2], strict=True)) == cases


def test_the_engine_may_flush_and_rebuild_its_rules() -> None:
    """As during its restart."""
    again = {"run": f"nft delete table ip docker; nft -f - <<'RULES'\n{DOCKER}\nRULES"}
    probes = [["listed", "10.9.0.1", 85], ["foreign", "10.8.0.1", 85], ["foreign", "172.19.0.2", 11434]]
    *_, found = play(load(DOCKER), load(LISTED), again, {"probe": probes})
    assert found == ["front", "refused", "refused"]


def test_a_backends_port_is_open_to_its_gateway_alone() -> None:
    """`listed` is the gateway, and `foreign` a third machine that scans the host's ports."""
    probes = {
        ("listed", "10.9.0.1", 11434): "out",
        ("listed", "fd09::1", 11434): "refused",
        ("foreign", "10.8.0.1", 11434): "refused",
        ("foreign", "10.9.0.1", 11434): "refused",
        ("foreign", "172.19.0.2", 11434): "refused",
        ("foreign", "fd08::1", 11434): "refused",
        ("foreign", "10.8.0.1", 22): "host",
        ("host", "127.0.0.1", 11434): "host",
    }
    # The same host, if it has a page, too: open to all, or to the networks of the page.
    page: dict[tuple[str, str, int], str] = {("listed", "10.9.0.1", 85): "front", ("foreign", "10.8.0.1", 85): "front"}
    with_page = replace(BACKEND, pages=frozenset({85}))
    answers = play(
        load(PUBLISHED), {"probe": list(probes)},
        load(BACKEND), {"probe": list(probes)},
        load(with_page), {"probe": [*probes, *page]},
        load(replace(with_page, networks=("10.8.0.0/24",))), {"probe": [*probes, *page]},
    )  # fmt: skip
    assert answers[1][2] == "out", "without the firewall, everybody reaches it"
    assert dict(zip(probes, answers[3], strict=True)) == probes
    assert dict(zip([*probes, *page], answers[5], strict=True)) == probes | page
    assert dict(zip([*probes, *page], answers[7], strict=True)) == probes | page | {
        ("listed", "10.9.0.1", 85): "refused"
    }


# Of a port that the settings do not have: it is the running container's until its turn, or that of another release.
FORMER = {("listed", "10.9.0.1", 11434): "out", ("foreign", "10.8.0.1", 11434): "refused"}


@pytest.mark.parametrize("pages", [(), (85,)])
def test_a_port_that_ollama_no_longer_has_is_not_open_to_others(pages: tuple[int, ...]) -> None:
    """A backend, and an equal node with a page that everybody may reach."""
    wanted = replace(BACKEND, pages=frozenset(pages), ollama=frozenset({("0.0.0.0", 11435)}))
    probes = {**FORMER, **({("foreign", "10.8.0.1", 85): "front"} if pages else {})}
    during = wanted.with_current({11434: False}, [])
    *_, before, _, after = play(
        load(PUBLISHED), load(during), {"probe": list(probes)}, load(wanted), {"probe": list(probes)}
    )
    assert dict(zip(probes, before, strict=True)) == probes
    assert dict(zip(probes, after, strict=True)) == probes


def test_containers_that_are_connected_to_httpd_are_open_like_the_page() -> None:
    """A proxy of the user's on port 3000, on a host whose Ollama nobody else may reach, and on a backend."""
    published = DOCKER.replace("tcp dport 85 dnat", "tcp dport { 85, 3000 } dnat")
    probes = [["listed", "10.9.0.1", 3000], ["foreign", "10.8.0.1", 3000]]
    *_, with_list, _, without = play(
        load(published), load(LISTED), {"probe": probes}, load(BACKEND), {"probe": probes}
    )  # fmt: skip
    assert with_list == ["front", "refused"]
    assert without == ["front", "front"]


def test_an_earlier_page_port_stays_open_to_the_list_after_a_reboot() -> None:
    """A rollback brings back port 85; a reboot loads the file, which has the settings' port."""
    probes = [["listed", "10.9.0.1", 85], ["foreign", "10.8.0.1", 85]]
    *_, found = play(load(DOCKER), load(replace(LISTED, pages=frozenset({86}))), {"probe": probes})
    assert found == ["front", "refused"]


def test_a_former_port_of_a_backends_httpd_is_not_open_to_others() -> None:
    """As with ollama_publish_tls, but without TLS."""
    published = PUBLISHED.replace(
        "tcp dport 11434 dnat",
        'tcp dport 11436 dnat to 172.19.0.2:11434\n    fib daddr type local iifname != "hearth-front" '
        "tcp dport 11435 dnat to 172.21.0.2:443\n    fib daddr type local tcp dport 11437 dnat",
    ).replace('oifname "hearth-front" tcp dport 80 accept', 'oifname "hearth-front" tcp dport { 80, 443 } accept')
    probes = {("listed", "10.9.0.1", 11435): "front", ("foreign", "10.8.0.1", 11435): "refused"}
    *_, found = play(load(published), load(BACKEND), {"probe": list(probes)})
    assert dict(zip(probes, found, strict=True)) == probes


def test_an_ollama_that_the_settings_do_not_publish_is_open_to_nobody() -> None:
    """After a rollback to a release that published it. Until its turn, its former callers may reach it."""
    probes = [("listed", "10.9.0.1", 11434), ("foreign", "10.8.0.1", 11434), ("listed", "10.9.0.1", 85)]
    wanted = Restrictions(("10.9.0.0/24",), frozenset({85}))
    *_, before, _, after = play(
        load(PUBLISHED), load(wanted.with_current({11434: False}, ["10.8.0.20/32"])), {"probe": probes},
        load(wanted), {"probe": probes},
    )  # fmt: skip
    assert before == ["refused", "out", "front"]
    assert after == ["refused", "refused", "front"]


def test_a_former_gateway_is_admitted_until_all_hosts_had_their_turn() -> None:
    probes = [("listed", "10.9.0.1", 11434), ("foreign", "10.8.0.1", 11434)]
    wanted = replace(BACKEND, sources=("10.8.0.20",))
    *_, before, _, after = play(
        load(PUBLISHED), load(wanted.with_current({11434: False}, BACKEND.sources)), {"probe": probes},
        load(wanted), {"probe": probes},
    )  # fmt: skip
    assert (before, after) == (["out", "out"], ["refused", "out"])


def test_the_ports_of_a_rollback_are_known_to_the_firewall(tmp_path: Path) -> None:
    """release.bash's own function, with the real nft: the settings have ports 86 and 11435, and the release others."""
    tree = tmp_path / "releases/old/tree"
    tree.mkdir(parents=True)
    function = (
        f"protect_ports(){SCRIPT.read_text().partition('protect_ports()')[2].partition(chr(10) + '}' + chr(10))[0]}\n}}"
    )
    protect = {"run": f"releases={tmp_path}/releases bash -uc {shlex.quote(function + chr(10) + 'protect_ports old')}"}
    probes = {
        ("listed", "10.9.0.1", 85): "front",
        ("foreign", "10.8.0.1", 85): "refused",
        ("foreign", "fd08::1", 85): "refused",
        **FORMER,
    }
    wanted = Restrictions(("10.9.0.0/24",), frozenset({86}), frozenset({("0.0.0.0", 11435)}), ("10.9.0.20",))
    (tree / "compose.yaml").write_text('      - "0.0.0.0:11434:11434"\n      - "85:80"\n')
    show = {"run": f"nft list table {TABLE}", "show": True}
    *_, before, _, once, _, twice, found = play(
        load(PUBLISHED), load(wanted), show, protect, show, protect, show, {"probe": list(probes)}
    )
    assert dict(zip(probes, found, strict=True)) == probes
    assert once == twice
    assert [line.strip() for line in once.splitlines() if line not in before.splitlines()] == [
        "elements = { 85, 86 }",
        "tcp dport 11434 goto ask_ollama",
        "tcp dport 85 goto ask",
    ]


def test_the_ports_of_a_rollback_are_added_to_the_rules_of_an_earlier_hearth(tmp_path: Path) -> None:
    """Which have no chain for them. A port of the page may be another one over IPv6, where the rules go by port."""
    tree = tmp_path / "releases/old/tree"
    tree.mkdir(parents=True)
    (tree / "compose.yaml").write_text('      - "85:80"\n')
    function = SCRIPT.read_text().partition("protect_ports()")[2].partition("\n}\n")[0]
    script = f"protect_ports(){function}\n}}\nprotect_ports old"
    earlier = render_rules(replace(LISTED, pages=frozenset({86}))).replace("jump rollback", "")
    *_, found = play(
        load(DOCKER), load(earlier), {"run": f"nft delete chain {TABLE} rollback"},
        {"run": f"releases={tmp_path}/releases bash -uc {shlex.quote(script)}"},
        {"probe": [["foreign", "fd08::1", 85], ["foreign", "fd08::1", 86]]},
    )  # fmt: skip
    assert found == ["refused", "refused"]


def test_only_peers_may_send_vrrp_for_the_virtual_address() -> None:
    """`listed` is the other host that shares it, and `foreign` a machine that claims to have it."""
    router = VirtualRouter("10.9.0.200", "10.9.0.1", ("10.9.0.20",), id=162, priority=200)
    packets = {
        ("listed", "10.9.0.1", 162): "arrived",
        ("foreign", "10.9.0.1", 162): "refused",
        # Another keepalived on the host, with peers of its own.
        ("foreign", "10.9.0.1", 7): "arrived",
    }
    answers = play(
        {"vrrp": list(packets)},
        load(replace(LISTED, router=router)), {"vrrp": list(packets)},
    )  # fmt: skip
    assert answers[0] == ["arrived"] * 3
    assert dict(zip(packets, answers[2], strict=True)) == packets
