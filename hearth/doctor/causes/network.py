"""Causes between the user's machine and the host's port."""

from __future__ import annotations

from hearth.doctor.causes.cause import Cause

# What makes *.local names resolve, by system.
HOW_MDNS = {
    "Linux": "install `libnss-mdns` (Debian, Ubuntu) or enable MulticastDNS in systemd-resolved",
    "WSL": "WSL does not forward multicast, so use the IP address, or run the doctor in Windows itself",
    "Darwin": "macOS resolves such names itself, but a terminal without access to the local network may not see them "
    "(System Settings > Privacy & Security > Local Network)",
    "Windows": "Windows 10 and later resolve such names themselves if the network is set to Private",
}

NAME_UNKNOWN = Cause(
    "name-unknown",
    "The name does not resolve",
    "Neither this machine's hosts file nor its DNS server knows {host}: it is misspelled, or only another network's "
    "DNS server knows it.",
    "Use the host's IP address (your router lists it, and `hostname -I` on the host prints it), or {host}.local if it "
    "is a single word.",
)
MDNS_NAME_UNKNOWN = Cause(
    "mdns-name-unknown",
    "No device on the network has this .local name",
    "Names in .local are resolved by the devices on the network (mDNS), not by a DNS server. The host is off, or on "
    "another network (guest WLAN, VPN), or does not run avahi, or this machine does not support mDNS.",
    "Use the host's IP address. To make the name work: {how_mdns}; on the host, `sudo apt install avahi-daemon`.",
)
DNS_SILENT = Cause(
    "dns-silent",
    "The DNS server does not respond",
    "The lookup timed out, so it is unknown whether {host} exists. This machine is offline, or its DNS server is "
    "unreachable (after a VPN was disconnected, for example).",
    "Check whether any web page opens. Until DNS works, use the host's IP address.",
)
DOCKER_NAME = Cause(
    "docker-name",
    "The name exists only inside Docker",
    "{host} resolves only in containers on the same Docker network.",
    "From this machine, use the host's own name or IP address with the proxy's port: http://pi.local:85.",
)
UNSPECIFIED_ADDRESS = Cause(
    "unspecified-address",
    "This address can't be called",
    '{host} means "all my addresses" to a program that listens. As a destination, it is at best this machine itself.',
    "Use the host's own IP address or name.",
)
NAME_IS_LOOPBACK = Cause(
    "name-is-loopback",
    "The name refers to this machine",
    "{host} resolves to a loopback address, so requests never leave this machine. The reason is an entry in its hosts "
    "file; Debian adds one for a machine's own name.",
    "If the host is another machine, remove the entry from the hosts file, or use the IP address.",
    "warning",
)
NAME_IS_PUBLIC = Cause(
    "name-is-public",
    "The name resolves to an internet address",
    "{host} resolves to an address on the internet. Some providers answer for every unknown name with the address of a "
    "search page, and some DNS servers append a domain to single words.",
    "Use the host's IP address on your own network, or {host}.local.",
    "warning",
)
LOCALHOST_IN_CONTAINER = Cause(
    "localhost-in-container",
    "localhost means the container",
    "The doctor runs in a container, where {host} is the container itself, not the machine it runs on.",
    "Use the host's IP address, or `host.docker.internal` (built into Docker Desktop; elsewhere start the container "
    "with `--add-host=host.docker.internal:host-gateway`). Containers on the network `hearth-back` reach Ollama as "
    "http://ollama:11434.",
)
DOCKER_ADDRESS = Cause(
    "docker-address",
    "The address belongs to Docker's internal network",
    "{address} is in a range that Docker assigns to containers. Such an address is reachable only from the host, and "
    "changes when the container is recreated.",
    "Use the host's own IP address with the proxy's port. `hostname -I` on the host prints it first; addresses "
    "that start with 172.17 to 172.31 are Docker's.",
)
LOCAL_NETWORK_PRIVACY = Cause(
    "local-network-privacy",
    "macOS blocks this program's access to the local network",
    'macOS 15 and later report "No route to host" (errno 65) to programs without permission for the local network, '
    "while the browser reaches the same address. The permission belongs to the terminal program ({terminal}), not to "
    "Python.",
    "System Settings > Privacy & Security > Local Network: switch on {terminal}, then quit and reopen it; if it is on "
    "already, switch it off and on again, or restart the Mac. Apple's own Terminal needs no permission. If the "
    "browser can't reach the host either, see host-unreachable.",
)
HOST_ABSENT = Cause(
    "host-absent",
    "No device on this network has that address",
    "This machine asked its network for {address}, and no device responded: the host is off, its address has changed, "
    "or it is on another network (guest WLAN, another router).",
    "Check that the host is on, on the same network, and has that address (your router lists it, and `hostname -I` on "
    "the host prints it).",
)
LOCAL_POLICY = Cause(
    "local-policy",
    "The host is on, but connections to it are rejected",
    "The host is on this network: this machine knows its hardware address ({hardware}). So it is a rule that rejects "
    'connections ("{error}"), most likely on this machine: of its firewall, a security program or a VPN. Otherwise the '
    "host rejects every connection from here.",
    "Open the page on another device: if it works there, the rule is on this machine. On Linux, `sudo nft list "
    "ruleset` and `ip route get {address}` print the rules and the route; elsewhere, check the settings of the "
    "firewall, security program or VPN. On the host, `sudo nft list ruleset` prints its rules.",
)
HOST_DROPS = Cause(
    "host-drops",
    "The host is on, but does not respond to connections",
    "The host is on this network: its hardware address ({hardware}) was confirmed within the last minute. But "
    "connections to {address} time out, on other ports too: a firewall drops them, on the host or on this machine, or "
    "the host hangs, or was turned off just now.",
    "Run the doctor again in a minute, which excludes a host that was turned off. On the host, `sudo ufw status` or "
    "`sudo nft list ruleset` prints the rules; allow port {port} (`sudo ufw allow {port}/tcp`). If it does not respond "
    "to its own keyboard either, restart it.",
)
HOST_UNREACHABLE = Cause(
    "host-unreachable",
    "No route to host",
    "The network has no route to {address}. If the error took some seconds, no device on the network has that address: "
    "the host is off, or its address has changed. If it came at once, a firewall or router rejects the connection.",
    "Check that the host is on and has that address (your router lists it, and `hostname -I` on the host prints it). "
    "`ip route get {address}` (Linux) or `route get {address}` (macOS) prints the route, which may lead into a VPN.",
)
NETWORK_UNREACHABLE = Cause(
    "network-unreachable",
    "This machine has no route to that network",
    "The request did not leave this machine, which has no route to {address}. It is offline, or has no address "
    "of that family (IPv6), or a VPN removed the route.",
    "Connect to the network that the host is on. If the address is an IPv6 one, use the host's IPv4 address.",
)
PORT_REFUSED = Cause(
    "port-refused",
    "Nothing listens on this port of the host",
    "{address} refused the connection to port {port}: the proxy's container is not running, Hearth uses another port, "
    "the address belongs to another machine, or this machine is not allowed.",
    "Check `proxy_port` in the settings (default: 85), and that `firewall_allowed_networks`, unless it is empty, "
    "includes this machine's network. On the host, check `cd /opt/hearth && sudo docker compose ps`. Deploying again "
    "starts stopped containers.",
)
WRONG_PORT = Cause(
    "wrong-port",
    "Hearth is on another port",
    "Hearth responds at {other_url}, but not on port {port} ({what}).",
    "Use {other_url}.",
)
PORT_FILTERED = Cause(
    "port-filtered",
    "A firewall blocks the port",
    "The host is up, since its port {open_port} responded at once, but connections to port {port} are dropped or "
    "rejected by a firewall, on the host or on the path to it.",
    "On the host, `sudo ufw status` or `sudo nft list ruleset` prints the rules; allow port {port} (`sudo ufw allow "
    "{port}/tcp`). On a company network, it may be the company's firewall.",
)
HOST_SILENT = Cause(
    "host-silent",
    "The host does not respond",
    "Connections to {address} time out, on other ports too: the host is off or hangs, no device has that address, the "
    "host is on another network (guest WLAN with client isolation, VPN), or a firewall drops everything.",
    "Check that the host is on and has that address. Disconnect the VPN, and use the same network as the host.",
)
CONNECTION_FORBIDDEN = Cause(
    "connection-forbidden",
    "This machine blocks the connection",
    "The operating system did not permit the connection: a firewall or security program on this machine blocks it.",
    "Allow the terminal, or Python, in that program's settings.",
)
CONNECTION_FAILED = Cause(
    "connection-failed",
    "The connection failed",
    "The operating system's error for {address} port {port}: {error}.",
    "Check whether other programs reach the host, for example `curl -v {url}`.",
)
SOME_ADDRESSES_FAIL = Cause(
    "some-addresses-fail",
    "Some addresses of the name do not work",
    "{host} has several addresses, and {failing} can't be reached. Browsers try the next one; other programs wait "
    "for the first one to fail, or give up.",
    "Use the address that works: {working}. Or remove the wrong one from DNS or the hosts file.",
    "warning",
)
