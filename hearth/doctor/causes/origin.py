"""Causes in what browsers let pages do: origins and CORS."""

from __future__ import annotations

from hearth.doctor.causes.cause import Cause

OWN_ORIGIN_REFUSED = Cause(
    "own-origin-refused",
    "The page's own calls are refused",
    "A browser sends `Origin: {url}` with the page's own questions, and the answer was 403 ({what}). Empty: a plain "
    "proxy passes the origin on to Ollama, which compares it with another host name. With words: something between "
    "changes the `Host` of the calls.",
    "Deploy again if this is Hearth. A proxy of your own before it must keep the `Host` (`ProxyPreserveHost On`, "
    "`proxy_set_header Host $http_host`).",
)
ORIGIN_NOT_LISTED = Cause(
    "origin-not-listed",
    "Pages on that origin may not call",
    'The proxy lets in its own page and the listed origins. {origin} is not listed, so the browser says "blocked by '
    'CORS policy".',
    'Add "{origin}" to `allowed_origins` in the inventory and deploy again. Scheme and port are part of an origin.',
)
OLLAMA_REFUSES_ORIGIN = Cause(
    "ollama-refuses-origin",
    "Ollama itself refuses the page (403, empty)",
    "A 403 without a word is Ollama's own: {origin} is not in its OLLAMA_ORIGINS. The page calls Ollama's port, or a "
    'plain proxy passes `Origin` on. The browser says "blocked by CORS policy" or "Failed to fetch".',
    'Have the page call Hearth\'s port instead{opt_elsewhere}, with "{origin}" in `allowed_origins`. For an Ollama '
    "without Hearth: OLLAMA_ORIGINS={origin} in its service.",
)
ORIGIN_SPELLING = Cause(
    "origin-spelling",
    "No browser sends such an origin",
    "{origin}: {error}.",
    "The browser's console names the origin in its message; it is the page's scheme, host and port: "
    "http://192.168.1.20:8080.",
)
ORIGIN_NULL = Cause(
    "origin-null",
    "A page that was opened as a file",
    "Pages opened as a file (file://…) and sandboxed frames have the origin `null`, which could be anybody, and is "
    "never let in.",
    "Serve the page: `python3 -m http.server 8080` in its directory, and list `http://localhost:8080` in "
    "`allowed_origins`.",
)
MIXED_CONTENT = Cause(
    "mixed-content",
    "A page of https may not call http",
    "The page's origin is https, and Hearth's address is http: browsers refuse such calls before they are made, "
    "whatever is listed.",
    "Serve the page over http on your network, or give Hearth an https:// of its own (`proxy_tls`, docs/tls.md) and "
    "call that.",
)
CORS_DOUBLED = Cause(
    "cors-doubled",
    "Two answers on who may call",
    "The answer has several Access-Control-Allow-Origin headers ({what}), which browsers refuse: two programs each "
    "add one.",
    "Let one of them decide. Before Hearth, a proxy should add no CORS headers; a backend behind an extra route "
    "answers for its own.",
)
PREFLIGHT_REFUSED = Cause(
    "preflight-refused",
    "The browser's question beforehand fails",
    "Before a POST with JSON from another origin a browser asks with OPTIONS. That was answered with {what}, which "
    "it takes for a no.",
    "Check the path: on a path without a route OPTIONS is refused. If something before Hearth answers, let OPTIONS "
    "through without a login.",
)
