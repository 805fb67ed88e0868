"""Check that the Go module proxy still serves pinned modules. Its address comes from Go's settings."""

from __future__ import annotations

import re

import urllib3

from lab import archive, builder

_COMMANDS = re.compile(r"(?m)^(go|toolchain) (?:go)?(\d+\.\d+(?:\.\d+)?)")


def problem(module: str, version: str, has: str) -> str | None:
    """Why a module, or the Go that it requires, is not available; "" if it is, None if no proxy is configured.

    Args:
        module: its path, without capital letters.
        version: without the "v".
        has: the version of the Go that will build it ("1.24"). A newer one would come from the proxy, too.
    """
    proxies = [word for word in re.split(r"[,|]", builder.go_settings().get("GOPROXY", "")) if "://" in word]
    if not proxies:
        return None
    at = f"{proxies[0].rstrip('/')}/{module}/@v/v{version}"
    try:
        response = archive.http(at).request("GET", f"{at}.mod")
    except urllib3.exceptions.HTTPError as error:
        return f"no response from the module proxy ({error})"
    if response.status != 200:
        return f"the module proxy responds with {response.status}"
    required = required_go(response.data.decode())
    if _number(required) > _number(has):
        toolchain = f"{proxies[0].rstrip('/')}/golang.org/toolchain/@v/v0.0.1-go{required}.linux-amd64.zip"
        trouble = archive.problem_at(toolchain)
        if trouble:
            return f"it requires Go {required}, which is {trouble}"
    return archive.problem_at(f"{at}.zip")


def required_go(mod: str) -> str:
    """The newest Go that a go.mod names."""
    return max((found[2] for found in _COMMANDS.finditer(mod)), key=_number, default="1.0")


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
