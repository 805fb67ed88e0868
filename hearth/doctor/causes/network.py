"""Causes between the user's machine and the host's port."""

from __future__ import annotations

from hearth.doctor.causes.cause import Cause

# What makes *.local names work, by system.
HOW_MDNS = {
    "Linux": "install `libnss-mdns` (Debian, Ubuntu) or switch on MulticastDNS in systemd-resolved",
    "WSL": "WSL does not pass multicast on: use the IP address, or run the doctor in Windows itself",
    "Darwin": "macOS knows such names itself; a terminal that is not allowed on the local network may not see them "
    "(System Settings > Privacy & Security > Local Network)",
    "Windows": "Windows 10 and later know such names themselves; the network must be set to Private",
}

NAME_UNKNOWN = Cause(
    "name-unknown",
    "The name has no address",
    "Neither this machine's hosts file nor its DNS server knows {host}: it is misspelt, or only another network's "
    "DNS knows it.",
    "Use the host's IP address (its router lists it, or `hostname -I` on the host), or {host}.local if it is a "
    "single word.",
)
MDNS_NAME_UNKNOWN = Cause(
    "mdns-name-unknown",
    "Nobody on the network answers to the .local name",
    "Names in .local are asked of the network itself (mDNS), not of a DNS server. The host is off, or on another "
    "network (guest WLAN, VPN), or does not run avahi, or this machine does not ask.",
    "Use the host's IP address. To make the name work: {how_mdns}; on the host, `sudo apt install avahi-daemon`.",
)
DNS_SILENT = Cause(
    "dns-silent",
    "The DNS server does not answer",
    "The name could not be looked up at all, so nothing is known of {host} yet. This machine has no network, or its "
    "DNS server can't be reached (a VPN that was just cut, say).",
    "Look whether any web page opens. Use the host's IP address meanwhile.",
)
DOCKER_NAME = Cause(
    "docker-name",
    "The name exists inside Docker only",
    "{host} is known to containers on the same Docker network, and to nobody else.",
    "From this machine use the host's own name or IP address with the proxy's port: http://pi.local:85.",
)
UNSPECIFIED_ADDRESS = Cause(
    "unspecified-address",
    "That address is no place",
    '{host} means "all of my addresses" to a program that listens. As a place to call it is this machine itself at '
    "best.",
    "Use the host's own IP address or name.",
)
NAME_IS_LOOPBACK = Cause(
    "name-is-loopback",
    "The name means this machine itself",
    "{host} leads to a loopback address, so every call stays on this machine: an entry in its hosts file says so. "
    "Debian makes such an entry for a machine's own name.",
    "If the host is another machine, take the entry out of the hosts file, or use the IP address.",
    "warning",
)
NAME_IS_PUBLIC = Cause(
    "name-is-public",
    "The name leads into the internet",
    "{host} was given an address on the internet. Some providers answer every unknown name with the address of a "
    "search page, and some DNS servers add a domain to single words.",
    "Use the host's IP address on your own network, or {host}.local.",
    "warning",
)
LOCALHOST_IN_CONTAINER = Cause(
    "localhost-in-container",
    "localhost means the container",
    "This runs inside a container, where {host} is the container itself and not the machine around it.",
    "Use the host's IP address, or `host.docker.internal` (Docker Desktop has it; elsewhere start the container with "
    "`--add-host=host.docker.internal:host-gateway`). Containers on the network `hearth-back` reach Ollama as "
    "http://ollama:11434.",
)
DOCKER_ADDRESS = Cause(
    "docker-address",
    "An address of Docker's own network",
    "{address} is of a range that Docker gives to containers. Such an address is reached from the host itself only, "
    "and changes when the container is made anew.",
    "Use the host's own IP address with the proxy's port: `hostname -I` on the host lists it first, those that begin "
    "with 172.17 to 172.31 are Docker's.",
)
LOCAL_NETWORK_PRIVACY = Cause(
    "local-network-privacy",
    "macOS keeps this program from the local network",
    '"No route to host" (errno 65) for an address on your own network, while the browser reaches it, is how macOS 15 '
    "and later refuse programs that have no permission for the local network. The permission is the terminal "
    "program's ({terminal}), not Python's.",
    "System Settings > Privacy & Security > Local Network: switch on {terminal}, quit it and start it anew; if it is "
    "on already, switch it off and on again, or restart the Mac. Apple's own Terminal needs no permission. If the "
    "browser can't reach the host either, see host-unreachable.",
)
HOST_UNREACHABLE = Cause(
    "host-unreachable",
    "No route to host",
    "The network has no way to {address}. If that took some seconds, nobody on the network has that address: the "
    "host is off, or its address has changed. If it came at once, a firewall or router refuses the call.",
    "Look whether the host is on and has that address (your router lists it; `hostname -I` on the host). `ip route "
    "get {address}` (Linux) or `route get {address}` (macOS) shows which way is taken: a VPN may have taken it over.",
)
NETWORK_UNREACHABLE = Cause(
    "network-unreachable",
    "This machine has no way into that network",
    "The call did not leave this machine: it has no route for {address}. It is not connected, or has no address of "
    "that family (IPv6), or a VPN took the route away.",
    "Connect to the network that the host is on. If the address is an IPv6 one, use the host's IPv4 address.",
)
PORT_REFUSED = Cause(
    "port-refused",
    "The host is there, nothing listens on the port",
    "{address} answered at once that nothing listens on port {port}: the proxy's container is not running, the port "
    "is another one, the address is that of another machine, or this machine is not let in.",
    "Check `proxy_port` in the settings (the default is 85), and whether `firewall_allowed_networks` there, if it has "
    "anything in it, has this machine's network. On the host: `cd /opt/hearth && sudo docker compose ps`. Deploying "
    "again starts what is stopped.",
)
WRONG_PORT = Cause(
    "wrong-port",
    "Hearth is on another port",
    "On {other_url} a Hearth answers; on port {port} there is {what}.",
    "Use {other_url}.",
)
PORT_FILTERED = Cause(
    "port-filtered",
    "A firewall drops calls to the port",
    "The host is up: its port {open_port} answered at once, while calls to port {port} vanish or are turned away. A "
    "firewall on the host, or between, drops them.",
    "On the host, `sudo ufw status` or `sudo nft list ruleset` shows the rules; let in port {port} (`sudo ufw allow "
    "{port}/tcp`). On a network of a company, its firewall may do it.",
)
HOST_SILENT = Cause(
    "host-silent",
    "Nothing comes back from the host",
    "Calls to {address} vanish, on other ports too: the host is off or hangs, the address is not its own, it is on "
    "another network (guest WLAN with isolated devices, VPN), or a firewall drops everything.",
    "Look whether the host is on and has that address. Leave the VPN, and use the same network as the host.",
)
CONNECTION_FORBIDDEN = Cause(
    "connection-forbidden",
    "This machine forbids the call",
    "The system refused to make the connection: a firewall or security program on this machine does not allow it.",
    "Allow the terminal, or Python, in that program's settings.",
)
CONNECTION_FAILED = Cause(
    "connection-failed",
    "The connection failed",
    "The system says of {address} port {port}: {error}.",
    "Look whether other programs reach the host, `curl -v {url}` for one.",
)
SOME_ADDRESSES_FAIL = Cause(
    "some-addresses-fail",
    "Not every address of the name works",
    "{host} has several addresses, and {failing} can't be reached. Browsers try the next one; other programs wait "
    "for the first to fail, or give up.",
    "Use the address that works: {working}. Or take the wrong one out of the DNS or of the hosts file.",
    "warning",
)
