"""Pebble, Let's Encrypt's ACME server for tests, on a separate loopback address."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from pathlib import Path

from hearth.tls.certificate import today
from hearth.tls.local_ca import create_authority
from tests.proxy.address import free_address, responds
from tests.proxy.container import Contained, Container

_API, _MANAGEMENT = 14000, 15000


class Pebble(Contained):
    """A CA that really validates domain ownership, until the end of the block.

    Args:
        image: any root directory for it to run in.
        program: the built program.
        directory: an empty directory for it.
        names: name → the address that it resolves to.
        ports: of the validated host: http:// and https://.
        seconds: how long its certificates are valid.
        address: to listen at; a free one by default.
        public_address: its address for the validated host, if different.

    Attributes:
        url: of its ACME directory.
        trust: PEM file with the CA of its own TLS certificate (not of what it issues).
    """

    def __init__(
        self,
        image: Path,
        program: Path,
        directory: Path,
        names: Mapping[str, str],
        ports: tuple[int, int] = (80, 443),
        seconds: int = 7776000,
        address: str = "",
        public_address: str = "",
    ) -> None:
        self.address = address or free_address(_API, _MANAGEMENT)
        self.url = f"https://{public_address or self.address}:{_API}/dir"
        authority = create_authority(directory / "ca", [], today())
        self.trust = directory / "ca/hearth-ca.crt"
        config = directory / "config"
        config.mkdir()
        (config / "own.pem").write_bytes(authority.issue([*{self.address, public_address or self.address}], today()))
        settings = {
            "listenAddress": f"{self.address}:{_API}",
            "managementListenAddress": f"{self.address}:{_MANAGEMENT}",
            "certificate": "/config/own.pem",
            "privateKey": "/config/own.pem",
            "httpPort": ports[0],
            "tlsPort": ports[1],
            "ocspResponderURL": "",
            "externalAccountBindingRequired": False,
            "retryAfter": {"authz": 1, "order": 1},
            "keyAlgorithm": "ecdsa",
            "profiles": {"default": {"description": "the only one", "validityPeriod": seconds}},
        }
        (config / "config.json").write_text(json.dumps({"pebble": settings}))
        hosts = directory / "hosts"
        hosts.write_text(
            "".join(f"{address} {name}\n" for name, address in {"localhost": "127.0.0.1", **names}.items())
        )
        self._container = Container(
            image,
            directory,
            "pebble",
            ("/pebble/pebble", "-config", "/config/config.json", "-strict"),
            {"/etc/hosts": hosts, "/config": config, "/pebble": program.parent},
            # Its random failures and delays are for tests of ACME clients.
            {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"},
            lambda: responds(self.address, _API),
        )

    def root(self) -> str:
        """PEM of its root CA, which is new after each start."""
        trusting = ssl.create_default_context(cafile=str(self.trust))
        connection = http.client.HTTPSConnection(self.address, _MANAGEMENT, timeout=10, context=trusting)
        try:
            connection.request("GET", "/roots/0")
            return connection.getresponse().read().decode()
        finally:
            connection.close()
