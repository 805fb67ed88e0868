"""Proxies that the environment names for programs."""

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
from hearth.doctor.http_client import Endpoint, call, parts_of
from hearth.doctor.target import Target, parse_ip


@dataclass(frozen=True)
class Setting:
    """The proxy that programs would take for a target.

    Attributes:
        url: of the proxy; "" if programs call directly, or where it can't be read.
        variable: where it is set.
        bypassed: there is one, and NO_PROXY takes the target out.
        unreadable: why what is set there is no address; "" if it is one.
        network: an entry of NO_PROXY that is a network with the target in it, which most programs do not understand.
    """

    url: str = ""
    variable: str = ""
    bypassed: bool = False
    unreadable: str = ""
    network: str = ""

    @property
    def shown(self) -> str:
        """The proxy's address without a password."""
        parts = parts_of(self.url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])).rstrip("/")


def proxy_for(target: Target, addresses: Sequence[str] = ()) -> Setting:
    """The proxy that Python (and so most programs) takes for the target, from the environment or the system."""
    proxies = urllib.request.getproxies()
    scheme = target.scheme if target.scheme in proxies else "all"
    url = proxies.get(scheme, "")
    if not url:
        return Setting()
    variable = _variable(scheme, os.environ)
    try:
        parts_of(url)
    except ValueError as error:
        return Setting(variable=variable, unreadable=str(error))
    if urllib.request.proxy_bypass(target.netloc) or urllib.request.proxy_bypass(target.host):
        return Setting(url, variable, bypassed=True)
    ips = [ip for ip in map(parse_ip, [target.host, *addresses]) if ip]
    return Setting(url, variable, network=_network_with(ips, proxies.get("no", "")))


def _variable(scheme: str, environment: Mapping[str, str]) -> str:
    name = f"{scheme}_proxy"
    found = next((one for one in environment if one.lower() == name and environment[one]), "")
    return found or "the system's settings"


def _network_with(ips: Sequence[ipaddress.IPv4Address | ipaddress.IPv6Address], no_proxy: str) -> str:
    """The entry of NO_PROXY that is a network, or a pattern of addresses, with one of the addresses in it."""
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


def check_proxies(way: Endpoint | None, setting: Setting, target: Target, timeout: float) -> Step:
    """Compare the answer with and without the proxy.

    Args:
        way: the direct one; None where it can't be gone.
    """
    if setting.unreadable:
        seen = f"{setting.variable} is no address: {setting.unreadable}"
        words = {"variable": setting.variable, "error": setting.unreadable}
        return Step("proxies", seen, (Finding(causes.PROXY_UNREADABLE, seen, words),))
    if not setting.url:
        return Step("proxies", "no proxy is set for programs")
    if setting.bypassed:
        return Step("proxies", f"{setting.shown} is set, and NO_PROXY takes {target.host} out", data={"bypassed": True})
    through = Endpoint(target, None, timeout, proxy=setting.url)
    there, worked = _seen(through)
    here, direct = _seen(way) if way else ("can't be reached directly", False)
    words = {"host": target.host, "proxy": setting.shown, "variable": setting.variable, "through": there}
    seen = f"programs go through {setting.shown} ({setting.variable}): {there}; directly: {here}"
    data = {"proxy": setting.shown, "variable": setting.variable, "through": there, "directly": here}
    findings = []
    if worked and not way:
        findings.append(Finding(causes.ONLY_THROUGH_PROXY, seen, words))
    elif there == here and direct:
        findings.append(Finding(causes.PROXY_USED, seen, words))
    elif way:
        findings.append(Finding(causes.PROXY_IN_THE_WAY, seen, words))
    if setting.network and way:
        findings.append(Finding(causes.NO_PROXY_NETWORK, seen, words | {"entry": setting.network}))
    return Step("proxies", seen, tuple(findings), data)


def _seen(way: Endpoint) -> tuple[str, bool]:
    """What `GET /` gives in words, and whether it was an answer of the host's own."""
    try:
        front = call(replace(way, tls=None), "GET", "/")
    except (OSError, http.client.HTTPException) as error:
        return f"no answer ({error.strerror or error if isinstance(error, OSError) else error!r})", False
    return server_name(front), front.status < 500 and front.status != 407
