"""Client-side proxies, from the environment or the system's settings."""

from __future__ import annotations

import http.client
import ipaddress
import os
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlunsplit

from hearth.doctor.causes import port as causes
from hearth.doctor.causes.cause import Finding
from hearth.doctor.checks.result import Step
from hearth.doctor.checks.server_identity import server_name
from hearth.doctor.http_client import Endpoint, call, parse_proxy
from hearth.doctor.target import Target, parse_ip


@dataclass(frozen=True)
class ProxySetting:
    """The proxy that programs use for a target.

    Attributes:
        url: of the proxy; "" if programs connect directly, or if it is invalid.
        variable: the environment variable that sets it.
        bypassed: there is one, but NO_PROXY excludes the target.
        unreadable: why the address is invalid; "" if it is valid.
        network: an entry of NO_PROXY that is a network with the target, which most programs do not understand.
    """

    url: str = ""
    variable: str = ""
    bypassed: bool = False
    unreadable: str = ""
    network: str = ""

    @property
    def display_url(self) -> str:
        """The proxy's address without a password."""
        parts = parse_proxy(self.url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])).rstrip("/")


def proxy_for(target: Target, addresses: Sequence[str] = ()) -> ProxySetting:
    """The proxy that Python (and so most programs) uses for the target, from the environment or the system."""
    proxies = urllib.request.getproxies()
    scheme = target.scheme if target.scheme in proxies else "all"
    url = proxies.get(scheme, "")
    if not url:
        return ProxySetting()
    variable = _variable(scheme, os.environ)
    try:
        parse_proxy(url)
    except ValueError as error:
        return ProxySetting(variable=variable, unreadable=str(error))
    if urllib.request.proxy_bypass(target.netloc) or urllib.request.proxy_bypass(target.host):
        return ProxySetting(url, variable, bypassed=True)
    ips = [ip for ip in map(parse_ip, [target.host, *addresses]) if ip]
    return ProxySetting(url, variable, network=_network_with(ips, proxies.get("no", "")))


def _variable(scheme: str, environment: Mapping[str, str]) -> str:
    name = f"{scheme}_proxy"
    found = next((one for one in environment if one.lower() == name and environment[one]), "")
    return found or "the system's settings"


def _network_with(ips: Sequence[ipaddress.IPv4Address | ipaddress.IPv6Address], no_proxy: str) -> str:
    """The entry of NO_PROXY that is a network, or an address pattern, and includes one of the addresses."""
    for entry in (part.strip() for part in no_proxy.split(",")):
        if entry.endswith("*") and any(str(ip).startswith(entry.rstrip("*")) for ip in ips):
            return entry
        if "/" not in entry:
            continue
        try:
            network = ipaddress.ip_network(entry, strict=False)
        except ValueError:
            continue
        if any(ip in network for ip in ips):
            return entry
    return ""


def check_proxies(endpoint: Endpoint | None, setting: ProxySetting, target: Target, timeout: float) -> Step:
    """Compare the response with and without the proxy.

    Args:
        endpoint: the direct one; None if it is unreachable.
    """
    if setting.unreadable:
        observed = f"{setting.variable} is invalid: {setting.unreadable}"
        values = {"variable": setting.variable, "error": setting.unreadable}
        return Step("proxies", observed, (Finding(causes.PROXY_UNREADABLE, observed, values),))
    if not setting.url:
        return Step("proxies", "no client-side proxy")
    if setting.bypassed:
        return Step(
            "proxies", f"{setting.display_url} is set, but NO_PROXY excludes {target.host}", data={"bypassed": True}
        )
    through = Endpoint(target, None, timeout, proxy=setting.url)
    through_proxy, through_works = _probe(through)
    directly, direct_works = _probe(endpoint) if endpoint else ("unreachable", False)
    values = {"host": target.host, "proxy": setting.display_url, "variable": setting.variable, "through": through_proxy}
    observed = f"programs use {setting.display_url} ({setting.variable}): {through_proxy}; directly: {directly}"
    data = {"proxy": setting.display_url, "variable": setting.variable, "through": through_proxy, "directly": directly}
    findings = []
    if through_works and not endpoint:
        findings.append(Finding(causes.ONLY_THROUGH_PROXY, observed, values))
    elif through_proxy == directly and direct_works:
        findings.append(Finding(causes.PROXY_USED, observed, values))
    elif endpoint:
        findings.append(Finding(causes.PROXY_IN_THE_WAY, observed, values))
    if setting.network and endpoint:
        findings.append(Finding(causes.NO_PROXY_NETWORK, observed, values | {"entry": setting.network}))
    return Step("proxies", observed, tuple(findings), data)


def _probe(endpoint: Endpoint) -> tuple[str, bool]:
    """The response to `GET /` in a few words, and whether it came from the host itself."""
    try:
        front = call(replace(endpoint, tls=None), "GET", "/")
    except (OSError, http.client.HTTPException) as error:
        return f"no response ({error.strerror or error if isinstance(error, OSError) else error!r})", False
    return server_name(front), front.status < 500 and front.status != 407
