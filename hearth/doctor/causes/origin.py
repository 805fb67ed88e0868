"""Causes in what browsers allow pages to do: origins and CORS."""

from __future__ import annotations

from hearth.doctor.causes.cause import Cause

OWN_ORIGIN_REFUSED = Cause(
    "own-origin-refused",
    "The page's own requests are refused",
    "Browsers send `Origin: {url}` with the page's own prompts, and the response was 403 ({what}). If its body is "
    "empty, a plain proxy forwards the origin to Ollama, which compares it with a different host name. If it has a "
    "body, something between here and the host changes the `Host` header.",
    "If this is Hearth, deploy again. A proxy of your own in front of it must keep the `Host` header "
    "(`ProxyPreserveHost On`, `proxy_set_header Host $http_host`).",
)
ORIGIN_NOT_LISTED = Cause(
    "origin-not-listed",
    "Pages on that origin may not call",
    'The proxy admits its own page and the listed origins. {origin} is not listed, so the browser reports "blocked by '
    'CORS policy", and an app or extension that it could not connect.',
    'Add "{origin}" to `allowed_origins` in the inventory and deploy again. Scheme and port are part of an origin.',
)
OLLAMA_REFUSES_ORIGIN = Cause(
    "ollama-refuses-origin",
    "Ollama itself refuses the page (403, empty)",
    "A 403 with an empty body comes from Ollama: {origin} is not in its OLLAMA_ORIGINS. The page calls Ollama's port, "
    'or a plain proxy forwards `Origin`. The browser reports "blocked by CORS policy" or "Failed to fetch".',
    'Let the page call Hearth\'s port instead{opt_elsewhere}, with "{origin}" in `allowed_origins`. For an Ollama '
    "without Hearth, set OLLAMA_ORIGINS={origin} in its service.",
)
ORIGIN_SPELLING = Cause(
    "origin-spelling",
    "This is not an origin as it is sent",
    "{origin}: {error}.",
    "The error in the browser's console includes the origin: a page's scheme, host and port "
    "(http://192.168.1.20:8080), an app's or extension's whole address (app://obsidian.md). "
    "The log of hearth-httpd shows it, too.",
)
ORIGIN_NULL = Cause(
    "origin-null",
    "The page was opened as a file",
    "Pages opened as a file (file://…) and sandboxed frames have the origin `null`. Any page can have it, so it is "
    "never admitted.",
    "Serve the page with `python3 -m http.server 8080` in its directory, and add `http://localhost:8080` to "
    "`allowed_origins`.",
)
MIXED_CONTENT = Cause(
    "mixed-content",
    "An https page may not call http",
    "The page's origin is https, and Hearth's address is http. Browsers block such requests before they are sent, "
    "even from a listed origin.",
    "Serve the page over http on your network, or enable https in Hearth (`proxy_tls`, docs/tls.md) and call that.",
)
CORS_DOUBLED = Cause(
    "cors-doubled",
    "Duplicate CORS headers",
    "The response has several Access-Control-Allow-Origin headers ({what}), which browsers reject: two servers each "
    "add one.",
    "Let only one of them add it. A proxy in front of Hearth should add no CORS headers; a backend behind an extra "
    "route adds its own.",
)
PREFLIGHT_REFUSED = Cause(
    "preflight-refused",
    "The CORS preflight fails",
    "Before a POST with JSON from another origin, browsers send an OPTIONS request. The response was {what}, which "
    "they treat as a refusal.",
    "Check the path: OPTIONS is refused where there is no route. If something in front of Hearth responds, let OPTIONS "
    "through without a login.",
)
