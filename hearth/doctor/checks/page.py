"""The page: which server responds, and to which host name."""

from __future__ import annotations

import http.client
from collections.abc import Callable

from hearth.doctor.causes import port as causes
from hearth.doctor.causes.cause import Finding
from hearth.doctor.checks.error_response import summarize
from hearth.doctor.checks.other_ports import OtherPorts
from hearth.doctor.checks.result import Step
from hearth.doctor.checks.server_identity import identify_server, server_name, speaks_tls
from hearth.doctor.http_client import Endpoint, call
from hearth.doctor.http_response import Response
from hearth.settings.host_names import listed_form


def check_page(endpoint: Endpoint, tries: int, other_ports: Callable[[], OtherPorts]) -> tuple[Step, Response | None]:
    """The step, and the response to `GET /`.

    Args:
        other_ports: scans the host's other ports; called only if this one is not Hearth's.
    """
    target = endpoint.target
    values: dict[str, object] = {"host": target.host, "port": target.port, "url": target.url}
    try:
        front = call(endpoint, "GET", "/", tries=tries)
    except (OSError, http.client.HTTPException) as error:
        return _no_response(endpoint, error, values, other_ports), None
    what = server_name(front)
    data = {"status": front.status, "server": front.header("server"), "owner": identify_server(front)}
    owner = identify_server(front)
    if owner == "hearth" and front.status != 200:
        cause = causes.SIGN_IN if front.status == 401 else causes.ADDRESS_NOT_LISTED
        values["opt_wrong"] = (
            " The host rejected the credential that the doctor sent." if endpoint.authorization else ""
        )
        return Step("page", summarize(front), (Finding(cause, summarize(front), values),), data, ends=True), front
    if owner == "hearth":
        return Step("page", f"Hearth's chat page, after {front.seconds * 1000:.0f} ms", data=data), front
    if front.status == 421:
        with_port = f" ({target.scheme}://IP-ADDRESS:{target.port}/)"
        values |= {"host": listed_form(target.host), "opt_with_port": with_port}
        finding = Finding(causes.HOST_NAME_NOT_SERVED, summarize(front), values)
        return Step("page", f"{target.netloc} is refused: {summarize(front)}", (finding,), data, ends=True), front
    if owner == "tls":
        values["other_url"] = target.at(target.port, "https").url
        return Step("page", what, (Finding(causes.HTTP_TO_HTTPS, summarize(front), values),), data, ends=True), front
    values |= {"what": what, "location": front.header("location")}
    if 300 <= front.status < 400:
        to_https = target.scheme == "http" and front.header("location").startswith(f"https://{target.host}")
        values["other_url"] = front.header("location")
        cause = causes.HTTP_TO_HTTPS if to_https else causes.REDIRECTED
        observed = f"status {front.status}, redirects to {front.header('location')}"
        return Step("page", observed, (Finding(cause, observed, values),), data, ends=True), front
    if owner == "other" and _api_responds(endpoint):
        values["what"] = summarize(front)
        return Step("page", summarize(front), (Finding(causes.PAGE_MISSING, summarize(front), values),), data), front
    hearth = other_ports().hearth
    values["opt_elsewhere"] = _elsewhere(hearth, owner == "ollama")
    # On Ollama's own port, continue: the next steps check how it responds to other origins.
    cause = causes.OLLAMA_ITSELF if owner == "ollama" else causes.OTHER_SERVER
    return Step("page", what, (Finding(cause, what, values),), data, ends=owner != "ollama"), front


def _elsewhere(hearth: str, in_parentheses: bool) -> str:
    if in_parentheses:
        return f" ({hearth})" if hearth else " (`proxy_port`, default 85)"
    return f" Hearth responds at {hearth}." if hearth else ""


def _api_responds(endpoint: Endpoint) -> bool:
    try:
        document = call(endpoint, "GET", "/api/version").json()
    except (OSError, http.client.HTTPException):
        return False
    return isinstance(document, dict) and "version" in document


def _no_response(
    endpoint: Endpoint, error: Exception, values: dict[str, object], other_ports: Callable[[], OtherPorts]
) -> Step:
    target = endpoint.target
    if target.scheme == "http" and not endpoint.proxy and speaks_tls(endpoint):
        values["other_url"] = target.at(target.port, "https").url
        observed = "the port does not respond to plain HTTP, but accepts a TLS handshake"
        return Step("page", observed, (Finding(causes.HTTP_TO_HTTPS, observed, values),), ends=True)
    if isinstance(error, TimeoutError):
        observed = f"the connection was accepted, but no response came within {endpoint.timeout:g} s"
        return Step("page", observed, (Finding(causes.CONNECTED_BUT_SILENT, observed, values),), ends=True)
    if isinstance(error, OSError):  # http.client.RemoteDisconnected is one
        observed = "the connection was accepted, then closed without a response"
        return Step("page", observed, (Finding(causes.CLOSED_AT_ONCE, observed, values),), ends=True)
    values["error"] = repr(str(error).strip() or type(error).__name__)
    values["opt_elsewhere"] = _elsewhere(other_ports().hearth, False)
    observed = f"the response is not HTTP: {values['error']}"
    return Step("page", observed, (Finding(causes.NOT_HTTP, observed, values),), ends=True)
