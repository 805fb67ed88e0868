"""The page: whose it is, and by which name the server lets itself be called."""

from __future__ import annotations

import http.client
from collections.abc import Callable

from hearth.doctor.causes import port as causes
from hearth.doctor.causes.cause import Finding
from hearth.doctor.checks.error_response import in_words
from hearth.doctor.checks.other_ports import OtherPorts
from hearth.doctor.checks.result import Step
from hearth.doctor.checks.server_identity import identify_server, server_name, speaks_tls
from hearth.doctor.http_client import Endpoint, call
from hearth.doctor.http_response import Answer


def check_page(way: Endpoint, tries: int, beside: Callable[[], OtherPorts]) -> tuple[Step, Answer | None]:
    """The step, and the answer to `GET /`.

    Args:
        beside: looks at the host's other ports; asked only where this one is not Hearth's.
    """
    target = way.target
    words: dict[str, object] = {"host": target.host, "port": target.port, "url": target.url}
    try:
        front = call(way, "GET", "/", tries=tries)
    except (OSError, http.client.HTTPException) as error:
        return _no_answer(way, error, words, beside), None
    what = server_name(front)
    data = {"status": front.status, "server": front.header("server"), "owner": identify_server(front)}
    owner = identify_server(front)
    if owner == "hearth" and front.status != 200:
        cause = causes.SIGN_IN if front.status == 401 else causes.ADDRESS_NOT_LISTED
        words["opt_wrong"] = " What the doctor showed is not right." if way.authorization else ""
        return Step("page", in_words(front), (Finding(cause, in_words(front), words),), data, ends=True), front
    if owner == "hearth":
        return Step("page", f"Hearth's chat page, after {front.seconds * 1000:.0f} ms", data=data), front
    if front.status == 421:
        with_port = f" ({target.scheme}://IP-ADDRESS:{target.port}/)"
        finding = Finding(causes.HOST_NAME_NOT_SERVED, in_words(front), words | {"opt_with_port": with_port})
        return Step("page", f"{target.netloc} is refused: {in_words(front)}", (finding,), data, ends=True), front
    if owner == "tls":
        words["other_url"] = target.at(target.port, "https").url
        return Step("page", what, (Finding(causes.HTTP_TO_HTTPS, in_words(front), words),), data, ends=True), front
    words |= {"what": what, "location": front.header("location")}
    if 300 <= front.status < 400:
        to_https = target.scheme == "http" and front.header("location").startswith(f"https://{target.host}")
        words["other_url"] = front.header("location")
        cause = causes.HTTP_TO_HTTPS if to_https else causes.REDIRECTED
        seen = f"status {front.status}, to {front.header('location')}"
        return Step("page", seen, (Finding(cause, seen, words),), data, ends=True), front
    if owner == "other" and _api_answers(way):
        words["what"] = in_words(front)
        return Step("page", in_words(front), (Finding(causes.PAGE_MISSING, in_words(front), words),), data), front
    hearth = beside().hearth
    words["opt_elsewhere"] = _elsewhere(hearth, owner == "ollama")
    # Ollama's own port: what it does to pages of other origins is looked at all the same.
    cause = causes.OLLAMA_ITSELF if owner == "ollama" else causes.OTHER_SERVER
    return Step("page", what, (Finding(cause, what, words),), data, ends=owner != "ollama"), front


def _elsewhere(hearth: str, in_brackets: bool) -> str:
    if in_brackets:
        return f" ({hearth})" if hearth else " (85, if `proxy_port` was not changed)"
    return f" A Hearth answers on {hearth}." if hearth else ""


def _api_answers(way: Endpoint) -> bool:
    try:
        document = call(way, "GET", "/api/version").json()
    except (OSError, http.client.HTTPException):
        return False
    return isinstance(document, dict) and "version" in document


def _no_answer(way: Endpoint, error: Exception, words: dict[str, object], beside: Callable[[], OtherPorts]) -> Step:
    target = way.target
    if target.scheme == "http" and not way.proxy and speaks_tls(way):
        words["other_url"] = target.at(target.port, "https").url
        seen = "the port does not answer plain HTTP, and takes a TLS handshake"
        return Step("page", seen, (Finding(causes.HTTP_TO_HTTPS, seen, words),), ends=True)
    if isinstance(error, TimeoutError):
        seen = f"the call was taken, and nothing came within {way.timeout:g} s"
        return Step("page", seen, (Finding(causes.CONNECTED_BUT_SILENT, seen, words),), ends=True)
    if isinstance(error, OSError):  # http.client.RemoteDisconnected is one
        seen = "the call was taken, and the connection ended without an answer"
        return Step("page", seen, (Finding(causes.CLOSED_AT_ONCE, seen, words),), ends=True)
    words["error"] = repr(str(error).strip() or type(error).__name__)
    words["opt_elsewhere"] = _elsewhere(beside().hearth, False)
    seen = f"the answer is no HTTP: {words['error']}"
    return Step("page", seen, (Finding(causes.NOT_HTTP, seen, words),), ends=True)
