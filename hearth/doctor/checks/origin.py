"""How the host responds to browsers: to the page's own requests, and to those of a page on another origin."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

from hearth.doctor.causes import origin as causes
from hearth.doctor.causes.cause import Cause, Finding
from hearth.doctor.checks.api import failed_step
from hearth.doctor.checks.error_response import summarize
from hearth.doctor.checks.result import Step
from hearth.doctor.http_client import Endpoint, call
from hearth.doctor.http_response import Response
from hearth.doctor.target import parse_ip
from hearth.settings.origins import check_origin

_ALLOW = "access-control-allow-origin"


def _post_without_prompt(endpoint: Endpoint, path: str, origin: str) -> Response:
    """A POST with an origin and without a prompt: Ollama refuses it (400 or 404) without using a model."""
    return call(endpoint, "POST", path, {}, {"Origin": origin})


def check_own_origin(endpoint: Endpoint, path: str) -> Step:
    """The page's own requests: browsers send `Origin` with them too."""
    own = endpoint.target.url
    try:
        response = _post_without_prompt(endpoint, path, own)
    except (OSError, http.client.HTTPException) as error:
        return failed_step("own page", path, error, endpoint)
    if response.status == 401 or is_refused_by_address(response):
        # The next steps report it.
        return Step("own page", f"unknown: {summarize(response)}")
    if response.status == 403:
        observed = f"POST with the page's own origin: {summarize(response)}"
        values = {"url": own, "what": summarize(response)}
        return Step("own page", observed, (Finding(causes.OWN_ORIGIN_REFUSED, observed, values),))
    return Step("own page", f"pages of {own} may call")


def check_page_origin(endpoint: Endpoint, path: str, origin: str, elsewhere: str) -> Step:
    """How the host responds to a page on another origin.

    Args:
        origin: as entered by the user.
        elsewhere: URL of a Hearth on another port of this host, if this port is not Hearth's; otherwise "".
    """
    values: dict[str, object] = {"origin": origin, "opt_elsewhere": f" ({elsewhere})" if elsewhere else ""}
    if origin == "null" or origin.startswith("file:"):
        observed = f"{origin}: the page was opened as a file"
        return Step("origin", observed, (Finding(causes.ORIGIN_NULL, observed, values),))
    try:
        check_origin(origin)
    except ValueError as error:
        observed = f"{origin}: {error}"
        return Step("origin", observed, (Finding(causes.ORIGIN_SPELLING, observed, values | {"error": error}),))
    findings = []
    if origin.startswith("https://") and endpoint.target.scheme == "http" and not _is_loopback(endpoint.target.host):
        findings.append(Finding(causes.MIXED_CONTENT, f"{origin} calls {endpoint.target.url}", values))
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    try:
        preflight = call(endpoint, "OPTIONS", path, headers=headers)
        posted = _post_without_prompt(endpoint, path, origin)
    except (OSError, http.client.HTTPException) as error:
        return failed_step("origin", path, error, endpoint)
    observed = f"preflight {_cors_summary(preflight)}; POST {_cors_summary(posted)}"
    cause = judge(origin, endpoint.target.url, preflight, posted)
    if cause:
        allowed = ", ".join(posted.all(_ALLOW) or preflight.all(_ALLOW))
        what = allowed if cause is causes.CORS_DOUBLED else summarize(preflight)
        findings.append(Finding(cause, observed, values | {"what": what}))
    data = {"origin": origin, "preflight": preflight.status, "post": posted.status, "allowed": posted.header(_ALLOW)}
    return Step("origin", f"pages of {origin} may call" if not findings else observed, tuple(findings), data)


def is_refused_by_address(response: Response) -> bool:
    """Whether the client's address was refused, rather than the page's origin."""
    return response.status == 403 and "address not allowed" in response.error


def judge(origin: str, own: str, preflight: Response, posted: Response) -> Cause | None:
    """Why a browser would block the request; None if it would not."""
    if posted.status == 403 and not is_refused_by_address(posted):
        return causes.ORIGIN_NOT_LISTED if posted.body.strip() else causes.OLLAMA_REFUSES_ORIGIN
    if origin == own:
        return None  # same origin: the browser does not check CORS
    if len(posted.all(_ALLOW)) > 1 or len(preflight.all(_ALLOW)) > 1:
        return causes.CORS_DOUBLED
    if preflight.status >= 300:
        return causes.PREFLIGHT_REFUSED
    # Without the header the browser blocks the response too, whatever the server did.
    return None if {preflight.header(_ALLOW), posted.header(_ALLOW)} <= {origin, "*"} else causes.ORIGIN_NOT_LISTED


def _cors_summary(response: Response) -> str:
    allowed = ", ".join(response.all(_ALLOW)) or "none"
    return f"{response.status}, allowed origin: {allowed}"


def _is_loopback(host: str) -> bool:
    ip = parse_ip(urlsplit(f"//{host}").hostname or host)
    return host == "localhost" or (ip is not None and ip.is_loopback)
