"""Whether the Go module proxy still has pinned modules. Go knows where that is; no address stands here."""

from __future__ import annotations

import re

import urllib3

from lab import archive, builder

_COMMANDS = re.compile(r"(?m)^(go|toolchain) (?:go)?(\d+\.\d+(?:\.\d+)?)")


def problem(module: str, version: str, has: str) -> str | None:
    """Why a module can't be had, or the Go that it wants; "" when it is served, None where nobody knows whom to ask.

    Args:
        module: its path, without capital letters.
        version: without the "v".
        has: the version of the Go that will build it ("1.24"). A newer one comes from the proxy, too.
    """
    proxies = [word for word in re.split(r"[,|]", builder.go_settings().get("GOPROXY", "")) if "://" in word]
    if not proxies:
        return None
    at = f"{proxies[0].rstrip('/')}/{module}/@v/v{version}"
    try:
        answer = archive.http(at).request("GET", f"{at}.mod")
    except urllib3.exceptions.HTTPError as error:
        return f"no answer from the module proxy ({error})"
    if answer.status != 200:
        return f"the module proxy answers {answer.status}"
    wanted = wanted_go(answer.data.decode())
    if _number(wanted) > _number(has):
        toolchain = f"{proxies[0].rstrip('/')}/golang.org/toolchain/@v/v0.0.1-go{wanted}.linux-amd64.zip"
        trouble = archive.problem_at(toolchain)
        if trouble:
            return f"it wants Go {wanted}, which is {trouble}"
    return archive.problem_at(f"{at}.zip")


def wanted_go(mod: str) -> str:
    """The newest Go that a go.mod names."""
    return max((found[2] for found in _COMMANDS.finditer(mod)), key=_number, default="1.0")


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
