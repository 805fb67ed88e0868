"""The table of cases over TLS: every rule applies there as well."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.tunnel import Tunnel
from tests.proxy.conftest import Serve
from tests.proxy.ollama import Ollama
from tests.proxy.test_proxy_rules import CASES, run_case
from tests.proxy.test_tls import Site
from tests.support.proxy_rules.case import Case
from tests.support.proxy_rules.target import ProxyTarget


@pytest.fixture(scope="module")
def proxy(serve_module: Serve, ollama: Ollama, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxyTarget]:
    """Like that of the plain port, through a TLS tunnel."""
    directory = tmp_path_factory.mktemp("site")
    values = {"allowed_origins": ["http://listed.example:8080"], "proxy_max_body": "64k"}
    site = Site(serve_module, ollama, directory, None, None, **values)
    context = site.client.context()
    context.set_alpn_protocols(["http/1.1"])
    with Tunnel((site.web.address, 8443), context, "pi.local") as tunnel:
        yield ProxyTarget(tunnel.address, site.web.settings, ollama)


@pytest.mark.parametrize("case", CASES)
def test_proxy_rules_over_tls(case: Case, proxy: ProxyTarget) -> None:
    run_case(case, proxy)
