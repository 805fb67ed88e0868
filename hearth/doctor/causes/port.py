"""Causes at the port: proxies on the way, TLS, who answers, and to which name."""

from __future__ import annotations

from hearth.doctor.causes.cause import Cause

PROXY_IN_THE_WAY = Cause(
    "proxy-in-the-way",
    "A proxy stands in the way",
    "The environment says that calls to {host} go through {proxy} ({variable}), and through it the answer is another "
    "one than without it: {through}. Most programs (curl, Python, pip) follow these variables. The browser has its "
    "own setting.",
    "Take the host out: `export NO_PROXY={host}` and `export no_proxy={host}`, added with a comma to what is there. "
    "List names and addresses singly: many programs do not understand networks (192.168.1.0/24) there. In the "
    "browser, add the host to the proxy's exceptions.",
)
PROXY_UNREADABLE = Cause(
    "proxy-unreadable",
    "The address of the proxy can't be read",
    "{variable} is no address of a proxy: {error}. Programs that follow it fail in many ways, or call directly.",
    "Write it as `http://NAME:PORT`, with a number for the port, or unset it: `unset {variable}`.",
)
ONLY_THROUGH_PROXY = Cause(
    "only-through-proxy",
    "The host is reached through a proxy only",
    "Called directly, the host can't be reached; through {proxy} ({variable}) it answers. So this machine is kept "
    "from calling it directly.",
    "Leave the proxy in place for this host, and expect it to hold answers back until they are complete; see "
    "stream-buffered.",
    "warning",
)
PROXY_USED = Cause(
    "proxy-used",
    "Programs call the host through a proxy",
    "The environment says that calls to {host} go through {proxy} ({variable}). It passes them on as they are, for "
    "now. It sees what is asked and answered, and may end long answers.",
    "Take the host out: `export NO_PROXY={host}` and `export no_proxy={host}`, added with a comma to what is there.",
    "warning",
)
NO_PROXY_NETWORK = Cause(
    "no-proxy-network",
    "A network in NO_PROXY that is not understood",
    "NO_PROXY has {entry}, which is meant to take {host} out. Python and many other programs compare names and "
    "addresses as they are written, and go through the proxy all the same.",
    "Write the address itself as well: `export NO_PROXY=…,{host}` and `export no_proxy=…,{host}`.",
)
HTTPS_TO_HTTP = Cause(
    "https-to-http",
    "https:// to a port that speaks plain http",
    "The port answers, and it does not speak TLS: Hearth serves plain http there. (With `proxy_tls` in the settings, "
    "https has a port of its own, 443 if `proxy_tls_port` was not changed.)",
    'Use {other_url}. Browsers that turn every address into https have a setting for exceptions ("HTTPS-only mode").',
)
HTTP_TO_HTTPS = Cause(
    "http-to-https",
    "http:// to a port that speaks https",
    "What answers wants https: the host has `proxy_tls` in its settings, or the port is another web server's, or that "
    "of a proxy with TLS before Hearth.",
    "Use {other_url}. If another server has the port, use Hearth's own (85, if `proxy_port` was not changed).",
)
TLS_FAILS = Cause(
    "tls-fails",
    "The TLS handshake fails",
    "The port took the call, and no encrypted connection came about: {error}. Something between may inspect or end "
    "such connections.",
    "Try the host's plain address, http:// with port 85. Where a company's firewall inspects TLS, ask for an "
    "exception.",
)
CERTIFICATE_UNKNOWN = Cause(
    "certificate-unknown",
    "A certificate that nobody here vouches for",
    "The server's certificate is signed by itself, or by an authority that this machine does not know ({error}).",
    'If the host has a certificate of Hearth\'s local authority (`proxy_tls = "local-ca"`), tell this machine of that '
    "(docs/tls.md), or the doctor alone: `--ca ~/.config/hearth/ca/hearth-ca.crt`. Other authorities: add their "
    "certificate to this machine's (Debian: /usr/local/share/ca-certificates and `sudo update-ca-certificates`). If "
    "the site should have a known one, something between is inspecting the connection.",
)
CERTIFICATE_NAME = Cause(
    "certificate-name",
    "The certificate is for another name",
    "The server's certificate does not name {host} ({error}).",
    "Use the name that stands in the certificate, or make one whose subjectAltName has {host}.",
)
CERTIFICATE_DATE = Cause(
    "certificate-date",
    "The certificate is not valid today",
    "By this machine's clock the certificate has ended, or has not begun ({error}).",
    "Look at this machine's date first. If it is right, deploy again: that renews a local authority's certificate, and "
    "says why another one was not renewed.",
)
CERTIFICATE_ENDS_SOON = Cause(
    "certificate-ends-soon",
    "The certificate ends soon",
    "It is valid for {days} more days, and should have been renewed by now.",
    "Deploy again: that renews a local authority's certificate, puts your own where you have a newer one, and says "
    "what keeps a public authority from giving one.",
    "warning",
)
NOT_HTTP = Cause(
    "not-http",
    "What answers does not speak HTTP",
    "The port took the call and answered with something else: {error}. Another program has that port.",
    "Check the port: Hearth's is `proxy_port` in the settings, 85 if it was not changed.{opt_elsewhere}",
)
CONNECTED_BUT_SILENT = Cause(
    "connected-but-silent",
    "The port takes calls and does not answer",
    "The connection was made, and then nothing came. The host hangs (its disk or memory is at its end), or something "
    "between takes calls in the host's name: a VPN, a security program, a proxy.",
    "Try from another device. On the host: `cd /opt/hearth && sudo docker compose ps`, `free -m`, `df -h`.",
)
CLOSED_AT_ONCE = Cause(
    "closed-at-once",
    "The port takes calls and hangs up",
    "The connection was made and ended without an answer. Docker's port does that while the container behind it "
    "starts or ends; so do some firewalls.",
    "Try again in a moment. On the host: `cd /opt/hearth && sudo docker compose ps`; deploying again repairs a "
    "container that does not come up.",
)
OLLAMA_ITSELF = Cause(
    "ollama-itself",
    "This is Ollama's own port, not Hearth's",
    "Ollama itself answers here: one that is installed on the host directly, or Hearth's opened to the network. It "
    "has no page and no password, refuses pages of other origins with an empty 403, and lets everyone delete its "
    "models.",
    "Call Hearth's port instead{opt_elsewhere}. An Ollama that was installed on the host and is no longer wanted: "
    "`sudo systemctl disable --now ollama`. `ollama_publish` in the settings says where Hearth's own is open.",
)
OTHER_SERVER = Cause(
    "other-server",
    "Another program has this port",
    "What answers is {what}, not Hearth.",
    "Check address and port: Hearth's port is `proxy_port` in the settings, 85 if it was not changed.{opt_elsewhere}",
)
REDIRECTED = Cause(
    "redirected",
    "The call is sent somewhere else",
    "What answers sends the caller to {location}. Hearth sends callers nowhere but from its http:// to "
    "its own https://: this is a network's login page (hotel, guest WLAN), a proxy's, or another server.",
    "Open the address in a browser, and log in where it leads. If another server has the port, use Hearth's.",
)
PAGE_MISSING = Cause(
    "page-missing",
    "The API answers, the page does not",
    "The proxy passes calls on to Ollama, but {url}/ gives {what}. Its files in /opt/hearth/htdocs are gone or not "
    "readable.",
    "Deploy again: it puts the files back.",
)
HOST_NAME_NOT_SERVED = Cause(
    "host-name-not-served",
    "The proxy does not answer to this name (421)",
    "Hearth's proxy answers to IP addresses, localhost, single words and *.local only, so that no foreign page can "
    "point a name of its own at your host (DNS rebinding). {host} is none of these and is not listed.",
    'Use the host\'s IP address{opt_with_port}, or add "{host}" to `proxy_host_names` in the inventory and deploy '
    "again.",
)
SIGN_IN = Cause(
    "sign-in",
    "The host asks who is calling (401)",
    "Callers sign in with a name and a password, or send an API key (`proxy_access`).{opt_wrong}",
    "`python3 -m hearth.doctor {url} --user NAME` asks for the password of one of `proxy_users`; or put an API key "
    "into the environment variable HEARTH_KEY. A changed password or key counts from the next deploy on.",
)
ADDRESS_NOT_LISTED = Cause(
    "address-not-listed",
    "The host lets in other networks than this one (403)",
    "Callers come from listed networks (`proxy_allowed_networks`), and this machine's address, as the host sees it, is "
    "in none of them. A VPN, a guest network or another router between gives it another address. On the host itself, "
    "`localhost` counts as Docker's own address.",
    "Call from a listed network, or add this one to `proxy_allowed_networks` and deploy again. On the host itself, "
    "call it at its address in the network.",
)
