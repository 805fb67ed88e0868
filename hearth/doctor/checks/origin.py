"""What a browser would be told: the page's own calls, and those of a page on another origin."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

from hearth.doctor.causes import origin as causes
from hearth.doctor.causes.cause import Cause, Finding
from hearth.doctor.checks.api import failed
from hearth.doctor.checks.error_response import in_words
from hearth.doctor.checks.result import Step
from hearth.doctor.http_client import Endpoint, call
from hearth.doctor.http_response import Answer
from hearth.doctor.target import parse_ip
from hearth.settings.origins import check_origin

_ALLOW = "access-control-allow-origin"


def _ask(way: Endpoint, path: str, origin: str) -> Answer:
    """A POST with an origin and without a question: Ollama refuses it (400 or 404), and no model is troubled."""
    return call(way, "POST", path, {}, {"Origin": origin})


def check_own_origin(way: Endpoint, path: str) -> Step:
    """The page's own questions: browsers send `Origin` with them too."""
    own = way.target.url
    try:
        answer = _ask(way, path, own)
    except (OSError, http.client.HTTPException) as error:
        return failed("own page", path, error, way)
    if answer.status == 401 or is_by_address(answer):
        # The steps that come next say so.
        return Step("own page", f"not known: {in_words(answer)}")
    if answer.status == 403:
        seen = f"a POST of the page itself: {in_words(answer)}"
        words = {"url": own, "what": in_words(answer)}
        return Step("own page", seen, (Finding(causes.OWN_ORIGIN_REFUSED, seen, words),))
    return Step("own page", f"pages of {own} may ask")


def check_page_origin(way: Endpoint, path: str, origin: str, elsewhere: str) -> Step:
    """What a page on another origin meets.

    Args:
        origin: as the user gave it.
        elsewhere: where a Hearth answers on this host, if this is not one; "" if nowhere, or if it is.
    """
    words: dict[str, object] = {"origin": origin, "opt_elsewhere": f" ({elsewhere})" if elsewhere else ""}
    if origin == "null" or origin.startswith("file:"):
        seen = f"{origin}: a page opened as a file"
        return Step("origin", seen, (Finding(causes.ORIGIN_NULL, seen, words),))
    try:
        check_origin(origin)
    except ValueError as error:
        seen = f"{origin}: {error}"
        return Step("origin", seen, (Finding(causes.ORIGIN_SPELLING, seen, words | {"error": error}),))
    findings = []
    if origin.startswith("https://") and way.target.scheme == "http" and not _is_loopback(way.target.host):
        findings.append(Finding(causes.MIXED_CONTENT, f"{origin} calls {way.target.url}", words))
    asks = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    try:
        preflight = call(way, "OPTIONS", path, headers=asks)
        posted = _ask(way, path, origin)
    except (OSError, http.client.HTTPException) as error:
        return failed("origin", path, error, way)
    seen = f"preflight {_told(preflight)}; POST {_told(posted)}"
    cause = judge(origin, way.target.url, preflight, posted)
    if cause:
        allowed = ", ".join(posted.all(_ALLOW) or preflight.all(_ALLOW))
        what = allowed if cause is causes.CORS_DOUBLED else in_words(preflight)
        findings.append(Finding(cause, seen, words | {"what": what}))
    data = {"origin": origin, "preflight": preflight.status, "post": posted.status, "allowed": posted.header(_ALLOW)}
    return Step("origin", f"pages of {origin} may ask" if not findings else seen, tuple(findings), data)


def is_by_address(answer: Answer) -> bool:
    """Whether it was the caller's address, and not the page's origin, that was refused."""
    return answer.status == 403 and "address not allowed" in answer.error


def judge(origin: str, own: str, preflight: Answer, posted: Answer) -> Cause | None:
    """Why a browser would refuse, or None if it would not."""
    if posted.status == 403 and not is_by_address(posted):
        return causes.ORIGIN_NOT_LISTED if posted.body.strip() else causes.OLLAMA_REFUSES_ORIGIN
    if origin == own:
        return None  # the same site: the browser asks nobody
    if len(posted.all(_ALLOW)) > 1 or len(preflight.all(_ALLOW)) > 1:
        return causes.CORS_DOUBLED
    if preflight.status >= 300:
        return causes.PREFLIGHT_REFUSED
    # An answer without the header is refused as well, whatever let it through.
    return None if {preflight.header(_ALLOW), posted.header(_ALLOW)} <= {origin, "*"} else causes.ORIGIN_NOT_LISTED


def _told(answer: Answer) -> str:
    allowed = ", ".join(answer.all(_ALLOW)) or "none"
    return f"{answer.status}, allowed origin: {allowed}"


def _is_loopback(host: str) -> bool:
    ip = parse_ip(urlsplit(f"//{host}").hostname or host)
    return host == "localhost" or (ip is not None and ip.is_loopback)
