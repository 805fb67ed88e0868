"""Three equal hosts share an address: one of them has it, and another takes it over when that one can't serve.

Each runs httpd and Ollama, and its pool is all three. h3 also has a keepalived of its user's, which is none of Hearth's
business.
"""

from __future__ import annotations

import http.client
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from hearth.paths import KEEPALIVED_RECORD, VIRTUAL_ADDRESS_CONF, VIRTUAL_ADDRESS_SERVICE
from lab import artefacts
from lab.house import House
from tests.house.conftest import Deployed
from tests.lab.clients import prompt
from tests.lab.machine import wait_until

pytestmark = pytest.mark.long

HOSTS = ("h1", "h2", "h3")
USERS = "h3"
# Seconds. It takes 3 s after httpd has ended, 4 s after a power cut, and up to 9 s if httpd hangs.
TAKEN_OVER = 60
# While one takes it over, and the earlier one has not noticed.
TOGETHER = 4
# A second VRRP instance, which waits for a peer that does not exist.
USERS_CONF = """vrrp_instance users {
    state BACKUP
    interface eth0
    virtual_router_id 7
    priority 100
    unicast_src_ip OWN
    unicast_peer {
        OTHER
    }
    virtual_ipaddress {
        169.254.7.7/32
    }
}
"""
INSTALL = (
    "sudo apt-get -qq update >/dev/null && "
    "sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends keepalived >/dev/null 2>&1"
)


class Sharing(Deployed):
    """The house, and the address that its hosts share."""

    def __init__(self, house: House, directory: Path, address: str) -> None:
        pool = {"default": [{"host": name} for name in HOSTS]}
        role = {"ollama_pools": pool, "ollama_publish": "0.0.0.0:11434", "host_virtual_address": address}
        super().__init__(house, directory, dict.fromkeys(HOSTS, role))
        self.address = address
        self.url = f"http://{address}:85"

    def holders(self) -> list[str]:
        """The hosts that are on and have the address."""
        on = [name for name in HOSTS if self.house.hosts[name].running]
        return [name for name in on if self.has(name)]

    def has(self, name: str) -> bool:
        return f" {self.address}/24 " in self.house.ssh(name, "ip -o -4 address")

    def holder(self) -> str:
        [name] = self.holders()
        return name

    def serves(self) -> bool:
        """Whether the page is at the address, or the redirect to it."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=2)
        try:
            connection.request("GET", "/", headers={"Accept": "text/html"})
            answer = connection.getresponse()
            page = answer.read()
            return answer.status == 308 or (answer.status == 200 and b"Hearth" in page)
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def moves_from(self, name: str) -> float:
        """Wait until another host has the address and serves: seconds."""
        begun = time.monotonic()

        def moved() -> bool:
            found = [one for one in self.holders() if one != name]
            return len(found) == 1 and self.serves()

        wait_until(moved, TAKEN_OVER, f"another host than {name} has the address")
        return time.monotonic() - begun

    @contextmanager
    def watch_holders(self) -> Iterator[Callable[[], float]]:
        """Watch which hosts have the address; for how many seconds at most two had it together."""
        ended, longest = threading.Event(), 0.0

        def watch() -> None:
            nonlocal longest
            since = 0.0
            while not ended.wait(0.2):
                now = time.monotonic()
                since = (since or now) if len(self.holders()) > 1 else 0.0
                longest = max(longest, now - since if since else 0.0)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield lambda: longest
        finally:
            ended.set()
            thread.join()
        print(f"\n  two hosts together: {longest:.1f} s")

    def is_backup(self, name: str) -> bool:
        """Whether keepalived is ready to take the address over, and does not have it."""
        state = f"sudo journalctl -b -u {VIRTUAL_ADDRESS_SERVICE} | grep 'Entering .* STATE' | tail -n 1"
        return "BACKUP" in self.house.ssh(name, state)

    def stays_with(self, name: str, other: str) -> None:
        """`other` is back; the address stays where it is, through several of VRRP's seconds."""
        wait_until(lambda: self.is_backup(other), TAKEN_OVER, f"{other} is back")
        until = time.monotonic() + 5
        while time.monotonic() < until:
            assert self.holders() == [name]
            assert self.serves()


@pytest.fixture(scope="module")
def sharing(house_parts: artefacts.Paths, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sharing]:
    directory = tmp_path_factory.mktemp("house")
    with House(house_parts, directory, len(HOSTS)) as house:
        network = house.hosts["h1"].address.rpartition(".")[0]
        users = USERS_CONF.replace("OWN", house.hosts[USERS].address).replace("OTHER", f"{network}.99")
        house.ssh(USERS, INSTALL, timeout=200)
        house.ssh(USERS, f"echo '{users}' | sudo tee /etc/keepalived/keepalived.conf; sudo systemctl start keepalived")
        found = Sharing(house, directory, f"{network}.200")
        code, output = found.deploy()
        assert code == 0, output[-3000:]
        wait_until(found.serves, TAKEN_OVER, "the page is at the virtual address")
        yield found


def test_one_host_has_it_and_a_second_run_changes_nothing(sharing: Sharing) -> None:
    assert sharing.holder() == "h1"
    assert prompt(5, at=sharing.url).complete
    sharing.check_that_nothing_differs()


def test_it_moves_when_httpd_ends_and_does_not_come_back(sharing: Sharing) -> None:
    first = sharing.holder()
    assert first == "h1", "of the highest priority: only with nopreempt, it does not take the address back"
    sharing.house.ssh(first, "sudo docker stop hearth-httpd")
    seconds = sharing.moves_from(first)
    print(f"\n  httpd stopped: {seconds:.1f} s")
    assert prompt(5, at=sharing.url).complete
    second = sharing.holder()
    sharing.house.ssh(first, "sudo docker start hearth-httpd")
    sharing.stays_with(second, first)


def test_it_moves_when_httpd_hangs(sharing: Sharing) -> None:
    """docker-proxy, or the kernel, still accepts connections."""
    first = sharing.holder()
    sharing.house.ssh(first, "sudo docker pause hearth-httpd")
    try:
        print(f"\n  httpd paused: {sharing.moves_from(first):.1f} s")
    finally:
        sharing.house.ssh(first, "sudo docker unpause hearth-httpd")
    sharing.stays_with(sharing.holder(), first)


def test_it_moves_when_the_host_is_off_and_does_not_come_back(sharing: Sharing) -> None:
    first = sharing.holder()
    sharing.house.off(first)
    try:
        print(f"\n  power cut: {sharing.moves_from(first):.1f} s")
        assert prompt(5, at=sharing.url).complete
        second = sharing.holder()
    finally:
        sharing.house.on(first)
    sharing.stays_with(second, first)


def test_after_a_cut_cable_one_host_has_it(sharing: Sharing) -> None:
    first = sharing.holder()
    others = [name for name in HOSTS if name != first]
    sharing.house.cut(first)
    try:
        wait_until(lambda: sum(map(sharing.has, others)) == 1 and sharing.serves(), TAKEN_OVER, "another host has it")
    finally:
        sharing.house.join(first)
    wait_until(lambda: len(sharing.holders()) == 1 and sharing.serves(), TAKEN_OVER, "one host alone has it")
    assert prompt(5, at=sharing.url).complete


def test_drift_is_reported_and_repaired_where_it_is(sharing: Sharing) -> None:
    holder = sharing.holder()
    changed, stopped = (name for name in HOSTS if name != holder)
    sharing.house.ssh(changed, f"sudo sed -i 's/priority .*/priority 7/' {VIRTUAL_ADDRESS_CONF}")
    sharing.house.ssh(stopped, f"sudo systemctl disable --now {VIRTUAL_ADDRESS_SERVICE}")
    code, output = sharing.drift()
    assert code == 1
    assert f"{VIRTUAL_ADDRESS_CONF} differs; writing it" in output
    assert "the virtual address's service is not running" in output
    code, output = sharing.deploy()
    assert code == 0
    assert output.count("changed: Virtual address | Share the virtual address") == 2
    assert sharing.holders() == [holder]
    assert sharing.drift()[0] == 0
    assert sharing.house.ssh(stopped, f"systemctl is-enabled {VIRTUAL_ADDRESS_SERVICE}") == "enabled"
    wait_until(lambda: sharing.is_backup(changed) and sharing.is_backup(stopped), TAKEN_OVER, "both would take it over")


def test_verify_passes(sharing: Sharing) -> None:
    code, output = sharing.verify("-k", "virtual_address or proxy")
    assert code == 0
    passed = re.findall(r"::(test_\w*virtual_address\w*)\[(h\d)\] PASSED", output)
    assert set(passed) == {
        (name, host)
        for name in ("test_virtual_address_leads_to_the_page", "test_host_can_take_the_virtual_address_over")
        for host in HOSTS
    }


def test_a_rollback_to_an_earlier_port_leaves_the_address_with_a_host(sharing: Sharing) -> None:
    sharing.write({"proxy_port": 8085})
    assert sharing.deploy()[0] == 0
    changed = f"http://{sharing.address}:8085"
    wait_until(lambda: prompt(5, at=changed).complete, TAKEN_OVER, "the page is at the other port")
    assert sharing.deploy(run="deploys/rollback.py")[0] == 0
    wait_until(sharing.serves, TAKEN_OVER, "the page is at the earlier port")
    holder = sharing.holder()
    others = [name for name in HOSTS if name != holder]
    wait_until(lambda: all(map(sharing.is_backup, others)), TAKEN_OVER, "both would take it over")
    sharing.write({})
    assert sharing.deploy()[0] == 0
    assert sharing.holder() == holder


def test_an_address_of_another_network_is_refused(sharing: Sharing) -> None:
    sharing.write({"host_virtual_address": "10.99.0.5"})
    code, output = sharing.deploy()
    sharing.write({})
    assert code != 0
    assert 'host_virtual_address = "10.99.0.5" is not an address of a machine in 198.18.' in output
    assert sharing.serves()


def test_its_certificate_is_valid_for_it(sharing: Sharing, tmp_path: Path) -> None:
    ca = tmp_path / "ca"
    sharing.write({"proxy_tls": "local-ca", "proxy_tls_names": ["hearth.local"], "proxy_tls_ca": str(ca)})
    code, _ = sharing.deploy()
    assert code == 0
    context = ssl.create_default_context(cafile=ca / "hearth-ca.crt")
    wait_until(sharing.serves, TAKEN_OVER, "a host has the address")
    connection = http.client.HTTPSConnection(sharing.address, 443, context=context, timeout=10)
    connection.request("GET", "/api/version")
    assert connection.getresponse().status == 200
    connection.close()


def test_a_host_that_stops_sharing_gives_it_up_even_if_another_host_fails(sharing: Sharing) -> None:
    """The others' firewalls and keepaliveds, which no longer listen to it, are changed before that."""
    name = sharing.holder()
    failing = next(one for one in HOSTS if one != name)
    missing = {"ollama_image": "ollama/ollama:missing", "docker_pull_retries": 0}
    sharing.write({}, {name: {"host_virtual_address": ""}, failing: missing})
    with sharing.watch_holders() as most:
        code, _ = sharing.deploy()
        assert code != 0
        sharing.moves_from(name)
        time.sleep(2 * TOGETHER)
    assert most() < TOGETHER
    assert not sharing.has(name)
    sharing.write({}, {name: {"host_virtual_address": ""}})
    code, output = sharing.deploy()
    assert code == 0
    assert "does not change" not in output


def test_a_host_that_begins_to_share_waits_for_the_one_that_has_it(sharing: Sharing) -> None:
    """It is the first in the inventory, and the turn of the one that has the address takes long."""
    first, other, third = HOSTS
    sharing.write({}, {first: {"host_virtual_address": ""}})
    assert sharing.deploy()[0] == 0
    wait_until(sharing.serves, TAKEN_OVER, "another host has it")
    holder = sharing.holder()
    assert holder in (other, third)
    sharing.write({}, {holder: {"ollama_num_parallel": 2}})
    with sharing.watch_holders() as most:
        code, _ = sharing.deploy()
        assert code == 0
    assert most() < TOGETHER
    assert sharing.holder() == holder
    wait_until(lambda: sharing.is_backup(first), TAKEN_OVER, f"{first} would take it over")


def test_a_change_that_leaves_out_a_host_is_a_warning(sharing: Sharing) -> None:
    sharing.write({}, {"h2": {"host_virtual_address": ""}})
    code, output = sharing.deploy("--dry", "--limit", "h1")
    sharing.write({})
    assert code == 0
    addresses = [sharing.house.hosts[name].address for name in ("h3", "h2")]
    assert f"this run changes which hosts share it, and does not change {' and '.join(addresses)}" in output


def test_an_uninstall_of_the_host_that_has_it_moves_it(sharing: Sharing) -> None:
    name = sharing.holder()
    code, output = sharing.deploy("--limit", name, run="deploys/uninstall.py")
    assert code == 0
    assert "will remove: the virtual address (other hosts that share it keep it)" in output
    sharing.moves_from(name)
    assert sharing.house.ssh(name, "ls -d /opt/hearth; systemctl cat hearth-virtual-address; true") == ""
    check_package(sharing, name)


def test_without_the_setting_nothing_of_it_is_left(sharing: Sharing) -> None:
    sharing.write({"host_virtual_address": ""})
    code, _ = sharing.deploy()
    assert code == 0
    assert sharing.holders() == []
    for name in HOSTS:
        left = f"ls -d {VIRTUAL_ADDRESS_CONF.rpartition('/')[0]} {KEEPALIVED_RECORD} 2>/dev/null; true"
        assert sharing.house.ssh(name, left) == ""
        check_package(sharing, name)
    code, output = sharing.drift()
    assert code == 0
    assert output.count("in sync") == 3


def check_package(sharing: Sharing, name: str) -> None:
    """keepalived is gone, except where its user installed it: there it runs, with its configuration."""
    status = sharing.house.ssh(name, "dpkg-query -W -f '${db:Status-Status}' keepalived 2>/dev/null; true")
    if name != USERS:
        assert status != "installed"
        return
    assert status == "installed"
    assert sharing.house.ssh(name, "systemctl is-active keepalived") == "active"
    assert "vrrp_instance users" in sharing.house.ssh(name, "cat /etc/keepalived/keepalived.conf")
