"""The settings of all hosts of an inventory together: what each needs to know of the others, and mistakes between them.

Pure rules. A gateway learns the addresses of its backends, and a backend those of its gateways. Rules about virtual
addresses are in virtual_address.py.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, ip_address, ip_network

from hearth.settings.model import Settings
from hearth.settings.model_names import name_key
from hearth.settings.pools import DEFAULT_POOL, OWN_OLLAMA, Member, backend_name
from hearth.settings.virtual_address import check_virtual_addresses, learned_settings

# Host of the inventory → its settings; its address, "" if unknown.
House = Mapping[str, Settings]
Addresses = Mapping[str, str]


class HouseError(ValueError):
    """Settings of several hosts contradict each other; one line for each, with host, setting and what to write."""


def known_address(called: str, settings: Settings) -> str:
    """The IPv4 address of a host in its network; "" if the settings and the inventory do not tell it.

    Args:
        called: how the inventory addresses the host.
    """
    if settings.host_address:
        return settings.host_address
    try:
        address = IPv4Address(called)
    except ValueError:
        return ""
    # A virtual machine's forwarded port, for instance.
    return "" if address.is_loopback else called


def resolve_house(house: House, addresses: Addresses) -> dict[str, Settings]:
    """The settings of all hosts, with the addresses of backends in pools, and of gateways at backends.

    Raises:
        HouseError: they contradict each other.
    """
    errors: list[str] = []
    pools = {name: _with_own(name, settings) for name, settings in house.items()}
    used = _users_of_backends(pools)
    found: dict[str, Settings] = {}
    for name, settings in house.items():
        members = {pool: _resolve(name, pool, ones, house, addresses, errors) for pool, ones in pools[name].items()}
        update: dict[str, object] = {"ollama_pools": members}
        is_used = used.get(name) and settings.publishes_ollama
        if settings.host_role == "backend" or is_used or settings.ollama_allowed_networks:
            update["ollama_allowed_networks"] = _sources(name, settings, used.get(name, []), addresses, errors)
        if settings.ollama_publish_tls:
            update |= _certificate(name, settings, addresses, errors)
        found[name] = settings.model_copy(update=update | learned_settings(settings, addresses[name]))
    if any(one.ollama_pools or one.host_role != "both" or one.host_virtual_address for one in house.values()):
        errors += _same_addresses(found, addresses)
    errors += check_virtual_addresses(house, addresses)
    for name, settings in found.items():
        errors += _duplicates(name, settings)
        errors += _missing_models(name, settings, house)
    if errors:
        raise HouseError("\n".join(dict.fromkeys(errors)))
    return found


def _with_own(name: str, settings: Settings) -> dict[str, tuple[Member, ...]]:
    """The pools. If only named ones are listed, the routes lead to the host's own Ollama, as they always did."""
    pools = dict(settings.ollama_pools)
    if pools and DEFAULT_POOL not in pools and settings.host_role == "both":
        pools[DEFAULT_POOL] = (Member(host=name),)
    return pools


def _users_of_backends(pools: Mapping[str, Mapping[str, tuple[Member, ...]]]) -> dict[str, list[str]]:
    """Backend → the other hosts whose pools list it."""
    used: dict[str, list[str]] = {}
    for gateway, own in pools.items():
        for members in own.values():
            for member in members:
                if member.host != gateway and gateway not in used.setdefault(member.host, []):
                    used[member.host].append(gateway)
    return used


def _resolve(
    gateway: str, pool: str, members: tuple[Member, ...], house: House, addresses: Addresses, errors: list[str]
) -> tuple[Member, ...]:
    where = f'{gateway}: ollama_pools["{pool}"]'
    resolved = []
    for member in members:
        if member.url:
            _check_listed_by_url(where, gateway, member, house, addresses, errors)
            resolved.append(member)
        elif member.host not in house:
            close = difflib.get_close_matches(member.host, house, n=1)
            hint = f'did you mean "{close[0]}"' if close else f"its hosts are {', '.join(house)}"
            errors.append(
                f"{where}: the inventory has no host {member.host!r}; {hint}. For an Ollama that Hearth does not "
                'manage, use {"url": "http://192.168.1.30:11434"}'
            )
        elif url := _url(where, gateway, member.host, house, addresses, errors):
            resolved.append(member.model_copy(update={"url": url}))
    return tuple(resolved)


def _url(where: str, gateway: str, name: str, house: House, addresses: Addresses, errors: list[str]) -> str:
    backend = house[name]
    if not backend.runs_ollama:
        errors.append(f'{where}: {name} has host_role = "gateway", so it runs no Ollama; use "both" or "backend" there')
    elif name == gateway:
        return OWN_OLLAMA
    elif not backend.publishes_ollama:
        errors.append(_unpublished(where, gateway, name, backend, addresses))
    else:
        address, port = _published_address(name, backend, addresses)
        if address and not backend.ollama_publish_tls:
            return f"http://{address}:{port}"
        if address and house[gateway].proxy_tls_ca != backend.proxy_tls_ca:
            errors.append(
                f"{where}: {name} has ollama_publish_tls = True and a certificate of the local CA in proxy_tls_ca = "
                f"{backend.proxy_tls_ca!r}, and {gateway} has proxy_tls_ca = {house[gateway].proxy_tls_ca!r}, so it "
                "would not trust it; use the same directory for both"
            )
            return ""
        if address:
            return f"https://{backend_name(address)}:{port}"
        errors.append(
            f"{where}: the inventory addresses {name} by a name, which httpd's container may not resolve; add "
            f'"host_address": "192.168.1.20" (its IPv4 address) to {name}'
        )
    return ""


def _unpublished(where: str, gateway: str, name: str, backend: Settings, addresses: Addresses) -> str:
    return (
        f"{where}: {name} has ollama_publish = {backend.ollama_publish!r}, which {gateway} can't reach; use "
        f'host_role = "backend" there, or publish the port on its address in your network: '
        f'"{addresses[name] or "192.168.1.20"}:11434"'
    )


def _check_listed_by_url(
    where: str, gateway: str, member: Member, house: House, addresses: Addresses, errors: list[str]
) -> None:
    """A host of the inventory may be listed with a URL, too, if its Ollama is published at all. (That of a
    host with `host_role = "gateway"` is not Hearth's.)"""
    backend = house.get(member.host)
    if backend and member.host != gateway and backend.runs_ollama and not backend.publishes_ollama:
        errors.append(
            f"{_unpublished(where, gateway, member.host, backend, addresses)}. If {member.url} is another Ollama, give "
            'it another name than a host of the inventory in "host"'
        )


def _sources(
    name: str, settings: Settings, gateways: list[str], addresses: Addresses, errors: list[str]
) -> tuple[str, ...]:
    """Who may reach a backend's port: its gateways by their addresses, and all others as networks."""
    chosen = settings.ollama_allowed_networks
    if not gateways and not chosen:
        errors.append(
            f'{name}: host_role = "backend", but no gateway lists it; add {{"host": "{name}"}} to ollama_pools of the '
            "gateway, or the gateway's address to ollama_allowed_networks"
        )
    for gateway in gateways:
        address = addresses[gateway]
        if not address:
            errors.append(
                f"{name}: its firewall can't know the address of {gateway}, which the inventory addresses by a name; "
                f'add "host_address": "192.168.1.10" (its IPv4 address) to {gateway}'
            )
        elif chosen and not any(ip_address(address) in ip_network(one) for one in chosen):
            errors.append(
                f"{name}: ollama_allowed_networks = {list(chosen)!r} shuts out its gateway {gateway} ({address}); add "
                "that address, or use [] for the gateways alone"
            )
    known = dict.fromkeys(addresses[gateway] for gateway in gateways if addresses[gateway])
    return (*known, *(str(ip_network(one)) for one in chosen if one not in known))


def _published_address(name: str, backend: Settings, addresses: Addresses) -> tuple[str, str]:
    """Address ("" if unknown) and port at which gateways reach a backend."""
    address, _, port = backend.ollama_publish.rpartition(":")
    return addresses[name] if address == "0.0.0.0" else address, port


def _certificate(name: str, settings: Settings, addresses: Addresses, errors: list[str]) -> dict[str, object]:
    """The settings of a backend's own httpd: a certificate for the name that its gateways know."""
    address, _ = _published_address(name, settings, addresses)
    if not address:
        errors.append(
            f"{name}: ollama_publish_tls = True needs the address for its certificate, and the inventory addresses the "
            'host by a name; add "host_address": "192.168.1.20" (its IPv4 address)'
        )
        return {}
    return {"proxy_tls": "local-ca", "proxy_tls_names": (backend_name(address),)}


def _same_addresses(house: House, addresses: Addresses) -> Iterator[str]:
    """Two hosts that publish the same port of the same address: the same machine, listed twice."""
    taken: dict[tuple[str, int], str] = {}
    for name, settings in house.items():
        for address, port in sorted(settings.published_ports if addresses[name] else ()):
            if address.startswith("127."):
                continue
            other = taken.setdefault((addresses[name], port), name)
            if other != name:
                yield (
                    f"{name} and {other} have the same address {addresses[name]}, and both publish port {port}; list "
                    "a machine once, or correct host_address"
                )


def _duplicates(name: str, settings: Settings) -> Iterator[str]:
    for pool, members in settings.ollama_pools.items():
        urls = [member.url for member in members]
        for member in members:
            if urls.count(member.url) > 1:
                yield f'{name}: ollama_pools["{pool}"]: {member.url} ({member.name}) is listed twice; keep one entry'
    listed = {one.url for members in settings.ollama_pools.values() for one in members}
    urls_of: dict[str, str] = {}
    for member in (one for members in settings.ollama_pools.values() for one in members):
        if (other := urls_of.setdefault(member.name, member.url)) != member.url:
            yield (
                f"{name}: ollama_pools has {member.name} at {other} and at {member.url}; list it in the same way in "
                'all pools, or give the other Ollama another name in "host"'
            )
    if listed and settings.host_role == "both" and OWN_OLLAMA not in listed:
        yield (
            f'{name}: no pool lists its own Ollama; add {{"host": "{name}"}} to ollama_pools, or use '
            'host_role = "gateway", which installs none'
        )


def _missing_models(gateway: str, settings: Settings, house: House) -> Iterator[str]:
    """Backends without a model of their pool. A model that only some have is fine if those are a pool of their own,
    where users can choose it."""
    models = {name: {name_key(model): model for model in one.offered_models} for name, one in house.items()}
    pools = {
        pool: [member.host for member in members if member.host in house]
        for pool, members in settings.ollama_pools.items()
    }
    for pool, hosts in pools.items():
        for key, model in {key: model for host in hosts for key, model in models[host].items()}.items():
            having = [host for host in hosts if key in models[host]]
            names = " and ".join(having)
            lacking = [host for host in hosts if key not in models[host]]
            elsewhere = [
                other
                for other, members in pools.items()
                if other != pool and set(having) <= set(members) and all(key in models[host] for host in members)
            ]
            if lacking and not elsewhere:
                yield (
                    f'{lacking[0]}: ollama_models lacks {model}, which {names} in the same pool "{pool}" '
                    f"of {gateway} {'has' if len(having) == 1 else 'have'}; httpd chooses a backend without knowing "
                    f"the model, so add it, or list {names} also in another pool, such as "
                    f'"big": [{{"host": "{having[0]}"}}]'
                )
