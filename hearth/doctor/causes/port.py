"""Causes at the port: client-side proxies, TLS, which server responds, and to which host name."""

from __future__ import annotations

from hearth.doctor.causes.cause import Cause

PROXY_IN_THE_WAY = Cause(
    "proxy-in-the-way",
    "A client-side proxy interferes",
    "The environment sends requests for {host} through {proxy} ({variable}), and the response differs from the direct "
    "one: {through}. Most programs (curl, Python, pip) follow these variables. The browser has its own setting.",
    "Exclude the host: `export NO_PROXY={host}` and `export no_proxy={host}`, after a comma if they have a value. "
    "List names and addresses one by one: many programs do not understand networks (192.168.1.0/24) there. In the "
    "browser, add the host to the proxy's exceptions.",
)
PROXY_UNREADABLE = Cause(
    "proxy-unreadable",
    "The proxy's address is invalid",
    "{variable} is not a valid proxy address: {error}. Programs that read it fail in various ways, or connect "
    "directly.",
    "Write it as `http://NAME:PORT`, with a number for the port, or unset it: `unset {variable}`.",
)
ONLY_THROUGH_PROXY = Cause(
    "only-through-proxy",
    "The host is reachable only through a proxy",
    "A direct connection to the host fails; through {proxy} ({variable}) it responds. So this machine is prevented "
    "from connecting directly.",
    "Keep the proxy for this host, and expect it to buffer answers until they are complete; see stream-buffered.",
    "warning",
)
PROXY_USED = Cause(
    "proxy-used",
    "Programs reach the host through a proxy",
    "The environment sends requests for {host} through {proxy} ({variable}), which currently forwards them unchanged. "
    "It can read prompts and answers, and may end long responses.",
    "Exclude the host: `export NO_PROXY={host}` and `export no_proxy={host}`, after a comma if they have a value.",
    "warning",
)
NO_PROXY_NETWORK = Cause(
    "no-proxy-network",
    "A network in NO_PROXY has no effect",
    "NO_PROXY contains {entry}, which is meant to exclude {host}. Python and many other programs compare names and "
    "addresses literally, and use the proxy anyway.",
    "Add the address itself: `export NO_PROXY=…,{host}` and `export no_proxy=…,{host}`.",
)
HTTPS_TO_HTTP = Cause(
    "https-to-http",
    "https:// to a plain http port",
    "The port responds, but does not speak TLS: Hearth serves plain http there. (With `proxy_tls` in the settings, "
    "https has a separate port, `proxy_tls_port`, 443 by default.)",
    'Use {other_url}. Browsers that upgrade every address to https have a setting for exceptions ("HTTPS-only mode").',
)
HTTP_TO_HTTPS = Cause(
    "http-to-https",
    "http:// to an https port",
    "The server requires https: the host has `proxy_tls` in its settings, or the port belongs to another web server, "
    "or to a proxy with TLS in front of Hearth.",
    "Use {other_url}. If the port belongs to another server, use Hearth's own (`proxy_port`, default 85).",
)
TLS_FAILS = Cause(
    "tls-fails",
    "The TLS handshake fails",
    "The port accepted the connection, but the TLS handshake failed: {error}. Something on the path may inspect or "
    "block encrypted connections.",
    "Try the host's plain address, http:// with port 85. If a company's firewall inspects TLS, ask for an exception.",
)
CERTIFICATE_UNKNOWN = Cause(
    "certificate-unknown",
    "The certificate is not trusted",
    "The server's certificate is self-signed, or from a CA that this machine does not trust ({error}).",
    'If the host has a certificate of Hearth\'s local CA (`proxy_tls = "local-ca"`), make this machine trust that CA '
    "(docs/tls.md), or only the doctor: `--ca ~/.config/hearth/ca/hearth-ca.crt`. For another CA, add its certificate "
    "to this machine's (Debian: /usr/local/share/ca-certificates and `sudo update-ca-certificates`). If the "
    "certificate should be from a public CA, something on the path inspects the connection.",
)
CERTIFICATE_NAME = Cause(
    "certificate-name",
    "The certificate is for another name",
    "The server's certificate does not include {host} ({error}).",
    "Use a name from the certificate, or create one whose subjectAltName includes {host}.",
)
CERTIFICATE_DATE = Cause(
    "certificate-date",
    "The certificate is expired or not yet valid",
    "By this machine's clock, the certificate has expired, or is not valid yet ({error}).",
    "First check this machine's date. If it is correct, deploy again: that renews a certificate of the local CA, and "
    "reports why another one was not renewed.",
)
CERTIFICATE_ENDS_SOON = Cause(
    "certificate-ends-soon",
    "The certificate expires soon",
    "It expires in {days} days, and should have been renewed by now.",
    "Deploy again: that renews a certificate of the local CA, installs your own if you have a newer one, and reports "
    "what prevents a public CA from issuing one.",
    "warning",
)
NOT_HTTP = Cause(
    "not-http",
    "The server does not speak HTTP",
    "The port accepted the connection and responded with something else: {error}. Another program uses that port.",
    "Check the port: Hearth's is `proxy_port` in the settings, 85 by default.{opt_elsewhere}",
)
CONNECTED_BUT_SILENT = Cause(
    "connected-but-silent",
    "The port accepts connections but does not respond",
    "The connection was established, but no response came. The host hangs (its disk or memory is full), or something "
    "on the path accepts connections on the host's behalf: a VPN, a security program, a proxy.",
    "Try from another device. On the host, check `cd /opt/hearth && sudo docker compose ps`, `free -m` and `df -h`.",
)
CLOSED_AT_ONCE = Cause(
    "closed-at-once",
    "The port accepts connections and closes them",
    "The connection was established, then closed without a response. Docker's port does that while the container "
    "behind it starts or stops; so do some firewalls.",
    "Try again in a moment. On the host, check `cd /opt/hearth && sudo docker compose ps`; deploying again "
    "repairs a container that does not start.",
)
OLLAMA_ITSELF = Cause(
    "ollama-itself",
    "This is Ollama's own port, not Hearth's",
    "Ollama itself responds here: a natively installed one, or Hearth's if its port is open to the network. It has no "
    "page and no authentication, refuses pages of other origins with an empty 403, and lets anyone delete its models.",
    "Call Hearth's port instead{opt_elsewhere}. Stop a natively installed Ollama that is no longer needed: "
    "`sudo systemctl disable --now ollama`. `ollama_publish` in the settings controls where Hearth's own is open.",
)
OTHER_SERVER = Cause(
    "other-server",
    "Another program uses this port",
    "The server on this port is {what}, not Hearth.",
    "Check address and port: Hearth's port is `proxy_port` in the settings, 85 by default.{opt_elsewhere}",
)
REDIRECTED = Cause(
    "redirected",
    "The request is redirected elsewhere",
    "The server redirects to {location}. Hearth only redirects from its http:// to its own https://, so this is a "
    "network's login page (hotel, guest WLAN), a proxy's, or another server.",
    "Open the address in a browser, and log in at the page it leads to. If another server uses the port, use Hearth's.",
)
PAGE_MISSING = Cause(
    "page-missing",
    "The API responds, the page does not",
    "The proxy forwards requests to Ollama, but {url}/ returns {what}. The page's files in /opt/hearth/htdocs are "
    "missing or not readable.",
    "Deploy again, which restores the files.",
)
HOST_NAME_NOT_SERVED = Cause(
    "host-name-not-served",
    "The proxy does not serve this host name (421)",
    "Hearth's proxy serves only IP addresses, localhost, single words, *.local and *.internal, so that no other site "
    "can point its own name at your host (DNS rebinding). {host} is none of these and is not listed.",
    'Use the host\'s IP address{opt_with_port}, or add "{host}" to `proxy_host_names` in the inventory and deploy '
    "again.",
)
SIGN_IN = Cause(
    "sign-in",
    "The host requires sign-in (401)",
    "Users sign in with name and password; API clients send a key (`proxy_access`).{opt_wrong}",
    "Run `python3 -m hearth.doctor {url} --user NAME`, which prompts for the password of one of `proxy_users`; or put "
    "an API key into the environment variable HEARTH_KEY. A changed password or key takes effect with the next deploy.",
)
ADDRESS_NOT_LISTED = Cause(
    "address-not-listed",
    "This machine's network is not allowed (403)",
    "Only listed networks may call (`proxy_allowed_networks`), and this machine's address, as the host receives it, is "
    "in none of them. A VPN, a guest network or another router on the path gives it a different address. On the host "
    "itself, `localhost` counts as Docker's own address.",
    "Call from a listed network, or add this one to `proxy_allowed_networks` and deploy again. On the host itself, "
    "use its address in the network.",
)
