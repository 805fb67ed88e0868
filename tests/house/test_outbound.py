"""A host whose only way out is an HTTP proxy with a password: Debian's Squid, on a second host.

This machine, which is the gateway of the LAN, drops everything that the first host sends to it except ssh, and counts
it: package archive, registries and name servers are all behind it.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import pytest

from lab import artefacts
from lab.house import House
from tests.house.tls_registries import serve_over_tls
from tests.lab.machine import Run, deploy, pyinfra, wait_until

pytestmark = pytest.mark.long

USER, PASSWORD, NEXT_PASSWORD = "hearth", "not:shown@%7", "not:shown@/next"
PORT = 3128
LOG = "/var/log/squid/hearth.log"


class Site:
    """A LAN with a proxy on h2, and h1 behind a wall that lets nothing else through."""

    def __init__(self, house: House, directory: Path) -> None:
        self.house = house
        self.proxy = f"{house.hosts['h2'].address}:{PORT}"
        self.secret = directory / "proxy"
        self.inventory = directory / "office.py"
        self._table = f"wall_{house.hosts['h1'].address.replace('.', '_')}"
        self.write_secret(PASSWORD)

    def write_secret(self, password: str) -> None:
        self.secret.write_text(f"http://{USER}:{quote(password, safe='')}@{self.proxy}\n")
        self.secret.chmod(0o600)

    def deploy(self, **settings: object) -> Run:
        """Deploy to h1. Without models: the lab's registry of models speaks HTTP, for which Ollama uses no proxy."""
        data = self.house.data("h1") | {"ollama_models": [], "host_http_proxy": {"file": str(self.secret)}} | settings
        self.inventory.write_text(f"office = [('h1', {data!r})]\n")
        return deploy(inventory=str(self.inventory))

    def on_host(self, command: str) -> str:
        return self.house.ssh("h1", command)

    def start_proxy(self, password: str) -> None:
        """Configure Squid and start it again, with an empty log."""
        config = "\n".join(
            [
                f"http_port {PORT}",
                "auth_param basic program /usr/lib/squid/basic_ncsa_auth /etc/squid/users",
                "acl known proxy_auth REQUIRED",
                "http_access allow known",
                "http_access deny all",
                f"access_log stdio:{LOG}",
                "shutdown_lifetime 0 seconds",
            ]
        )
        self.house.ssh(
            "h2",
            f"sudo tee /etc/squid/squid.conf >/dev/null <<'CONF'\n{config}\nCONF\n"
            f"echo {USER}:$(openssl passwd -apr1 {shlex.quote(password)}) | sudo tee /etc/squid/users >/dev/null; "
            f"sudo systemctl stop squid; sudo rm -f {LOG}; sudo systemctl start squid",
            timeout=120,
        )
        wait_until(lambda: self.house.ssh("h2", f"sudo ss -Hltn sport = :{PORT}") != "", 60, "squid")

    def requests(self) -> list[str]:
        """Method, and URL or host and port, of the requests that the proxy granted."""
        log = [line.split() for line in self.house.ssh("h2", f"sudo cat {LOG}").splitlines()]
        return [f"{line[5]} {line[6]}" for line in log if line[7] == USER]

    def wall(self) -> None:
        address = self.house.hosts["h1"].address
        rules = f"""table ip {self._table} {{
          counter strays {{}}
          chain prerouting {{
            type filter hook prerouting priority -300;
            ip saddr {address} tcp sport 22 accept
            # systemd-resolved tries TCP after unanswered queries.
            ip saddr {address} tcp dport 53 drop
            ip saddr {address} meta l4proto tcp counter name strays drop
            ip saddr {address} drop
          }}
        }}"""
        subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True, timeout=10)

    def strays(self) -> int:
        """TCP packets of h1 that were not for the proxy."""
        words = ["nft", "list", "counter", "ip", self._table, "strays"]
        listed = subprocess.run(words, capture_output=True, text=True, check=True, timeout=10).stdout.split()
        return int(listed[listed.index("packets") + 1])

    def open_wall(self) -> None:
        subprocess.run(["nft", "delete", "table", "ip", self._table], capture_output=True, check=False, timeout=10)


@pytest.fixture(scope="module")
def site(house_parts: artefacts.Paths, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with House(house_parts, tmp_path_factory.mktemp("house"), 2) as house:
        house.ssh(
            "h2",
            "sudo apt-get -qq update && sudo DEBIAN_FRONTEND=noninteractive apt-get -qq install "
            "--no-install-recommends squid </dev/null >/dev/null",
            timeout=300,
        )
        one = Site(house, tmp_path_factory.mktemp("office"))
        one.start_proxy(PASSWORD)
        one.wall()
        try:
            yield one
        finally:
            one.open_wall()


def test_a_host_behind_a_proxy(site: Site) -> None:
    # The wall holds, and counts.
    mirror = site.house.registry_mirror.removeprefix("http://").replace(":", "/")
    assert site.on_host(f"timeout 3 bash -c 'exec 3<>/dev/tcp/{mirror}' 2>/dev/null || echo cut") == "cut"
    before = site.strays()
    assert before > 0

    # A proxy that can't be used is refused before anything is changed.
    site.write_secret("wrong")
    refused = site.deploy()
    assert refused.code != 0
    assert f"host_http_proxy: http://{site.proxy} refuses the user and password (407)" in refused.output, refused.output
    unreachable = site.deploy(host_http_proxy=f"http://{site.proxy.partition(':')[0]}:9")
    assert f"http://{site.proxy.partition(':')[0]}:9 does not respond to the host" in unreachable.output
    assert "Connection refused" in unreachable.output
    anonymous = site.deploy(host_http_proxy=f"http://{site.proxy}")
    assert "requires a user and a password (407)" in anonymous.output
    assert site.on_host("ls /opt/hearth /etc/apt/apt.conf.d | grep -c hearth-proxy || true") == "0"

    # apt, Docker and its images come through it, and nothing tries another way.
    site.write_secret(PASSWORD)
    first = site.deploy()
    assert first.code == 0, first.output
    assert site.strays() == before
    requests = "\n".join(site.requests())
    assert "/debian/dists/" in requests
    assert f"{site.house.registry_mirror}/v2/library/httpd/manifests/" in requests
    second = site.deploy()
    assert (second.code, second.changed) == (0, ()), second.output

    # The password is where it has to be, for root alone.
    secrets = PASSWORD, quote(PASSWORD, safe="")
    for text in (
        *(first.output, second.output),
        site.on_host("sudo docker inspect hearth-ollama hearth-httpd; sudo docker info; sudo systemctl show docker"),
        site.on_host("sudo journalctl --no-pager; ps -eo args"),
        site.on_host("cat /etc/apt/apt.conf.d/*; sudo cat /opt/hearth/compose.yaml"),
    ):
        assert not any(secret in text for secret in secrets)
    holders = site.on_host(
        f"sudo grep -rlF -e {shlex.quote(secrets[0])} -e {secrets[1]} /etc /opt/hearth | xargs sudo stat -c '%a %U %n'"
    )
    assert {line.split()[0] for line in holders.splitlines()} == {"600"}, holders

    # Ollama's pulls. There is no such registry; that it is asked for through the proxy is what counts.
    site.on_host("sudo docker exec hearth-ollama ollama pull registry.invalid/library/model >/dev/null 2>&1 || true")
    assert any("CONNECT registry.invalid:443" in line for line in site.requests())

    # Another password: the engine and Ollama get it.
    site.start_proxy(NEXT_PASSWORD)
    site.write_secret(NEXT_PASSWORD)
    changed = site.deploy()
    assert changed.code == 0, changed.output
    site.on_host("sudo docker exec hearth-ollama ollama pull registry.invalid/library/model >/dev/null 2>&1 || true")
    assert any("CONNECT registry.invalid:443" in line for line in site.requests())
    site.on_host("sudo docker pull -q httpd:2.4.68")
    assert any("/v2/library/httpd/manifests/" in line for line in site.requests())
    assert site.deploy().changed == ()
    assert site.strays() == before

    # Emptied, and everything is as without a proxy.
    site.open_wall()
    site.start_proxy(NEXT_PASSWORD)
    emptied = site.deploy(host_http_proxy="")
    assert emptied.code == 0, emptied.output
    assert site.on_host("sudo find /etc /opt/hearth/secrets -type f -name '*proxy*' -newer /etc/machine-id") == ""
    assert PASSWORD[:9] not in site.on_host("sudo cat /proc/$(pidof dockerd)/environ | tr '\\0' '\\n'")
    site.on_host("sudo docker pull -q httpd:2.4.68")
    assert site.requests() == []
    assert site.deploy(host_http_proxy="").changed == ()

    # An uninstall removes it, too.
    assert site.deploy().code == 0
    removed = pyinfra("deploys/uninstall.py", inventory=str(site.inventory))
    assert removed.code == 0, removed.output
    assert (
        site.on_host("ls -d /opt/hearth /etc/apt/apt.conf.d/80hearth* /etc/apt/auth.conf.d/hearth* 2>/dev/null || true")
        == ""
    )
    assert "hearth" not in site.on_host("systemctl show docker -p EnvironmentFiles --value")


def test_models_through_a_proxy_that_inspects_tls(
    site: Site, house_parts: artefacts.Paths, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Ollama's pulls are TLS through the proxy, to a registry whose CA the host knows from `host_trusted_ca`."""
    with ExitStack() as stack:
        directory = tmp_path_factory.mktemp("company")
        ca, (images, models) = serve_over_tls(site.house, house_parts, directory, stack)
        site.start_proxy(PASSWORD)
        site.write_secret(PASSWORD)
        site.wall()
        stack.callback(site.open_wall)
        before = site.strays()
        settings = {
            "host_trusted_ca": str(ca),
            "docker_registry_mirrors": [images],
            "ollama_model_registry": models,
            "ollama_models": ["tinyllama"],
        }
        first = site.deploy(**settings)
        assert first.code == 0, first.output
        assert "tinyllama" in site.on_host("sudo docker exec hearth-ollama ollama list")
        requests = set(site.requests())
        assert {f"CONNECT {url.removeprefix('https://')}" for url in (images, models)} <= requests, requests
        assert site.strays() == before
        second = site.deploy(**settings)
        assert (second.code, second.changed) == (0, ()), second.output
