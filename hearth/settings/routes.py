"""The proxy's route table: which paths exist, and where they lead.

Ollama has no authentication and keeps its management (pull, delete, create …) on the same port as its answers,
so the proxy maps exact paths to exact endpoints and never a whole prefix of Ollama.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from hearth.paths import CONTAINERS
from hearth.settings.access import check_access_policy
from hearth.settings.types import check_host_name, is_loopback, is_port

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]

# What Ollama answers (server/routes.go of 0.17.4 and of 0.32.15), without the paths that change or reveal the host.
OLLAMA_ENDPOINTS: dict[str, frozenset[str]] = {
    "/api/generate": frozenset({"POST"}),
    "/api/chat": frozenset({"POST"}),
    "/api/embed": frozenset({"POST"}),
    "/api/embeddings": frozenset({"POST"}),
    "/api/show": frozenset({"POST"}),
    "/api/tags": frozenset({"GET", "HEAD"}),
    "/api/ps": frozenset({"GET"}),
    "/api/version": frozenset({"GET", "HEAD"}),
    "/v1/chat/completions": frozenset({"POST"}),
    "/v1/completions": frozenset({"POST"}),
    "/v1/embeddings": frozenset({"POST"}),
    "/v1/responses": frozenset({"POST"}),
    "/v1/messages": frozenset({"POST"}),
    "/v1/models": frozenset({"GET"}),
}
# What changes or fills the host: for callers who have signed in, and nobody else.
OLLAMA_MANAGEMENT: dict[str, frozenset[str]] = {
    "/api/pull": frozenset({"POST"}),
    "/api/push": frozenset({"POST"}),
    "/api/create": frozenset({"POST"}),
    "/api/copy": frozenset({"POST"}),
    "/api/delete": frozenset({"DELETE"}),
    "/api/blobs/": frozenset({"HEAD", "POST"}),
}
# The host's account with Ollama's maker: for nobody.
_NEVER = ("/api/me", "/api/signout", "/api/user")
# What a model is: read from its file, and changed by nothing in the request.
_SHOW = "/api/show"
# Below this path is one for each file of a model.
_BLOBS = "/api/blobs/"

_PATH = re.compile(r"^/(?:[A-Za-z0-9_~-][A-Za-z0-9._~-]*/)*(?:[A-Za-z0-9_~-][A-Za-z0-9._~-]*)?$")
_BACKEND = re.compile(r"^http://(?P<host>[a-z0-9.-]+):(?P<port>[0-9]{1,5})(?P<path>/.*)$")


def _check_path(path: str) -> str:
    if path == "/":
        raise ValueError('"/" is the chat page; give the route a path of its own, such as "/flask/"')
    if not _PATH.fullmatch(path):
        raise ValueError('a path starts with "/" and has letters, digits and . _ ~ - only, such as "/api/ollama"')
    return path


class Route(BaseModel):
    """One path of the proxy.

    Attributes:
        path: the path that clients call. Exact; one that ends in `/` takes everything below it (backends only).
        to: a path of Ollama (`/api/generate`), or another backend's address (`http://host.docker.internal:5001/`).
        methods: HTTP methods let through; any other is answered 405 with nothing sent on.
        access: who may call it, as in `proxy_access`; "" for what stands there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Annotated[str, AfterValidator(_check_path)]
    to: str
    methods: tuple[Method, ...]
    access: Annotated[str, AfterValidator(lambda text: check_access_policy(text) if text else text)] = ""

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without an empty `access`: as people write it, and as releases recorded it before there was one."""
        written: dict[str, Any] = handler(self)
        return written if self.access else {name: value for name, value in written.items() if name != "access"}

    @property
    def is_ollama(self) -> bool:
        return self.to.startswith("/")

    @property
    def is_quick(self) -> bool:
        """Whether it is answered without a model, so that it need not wait for those that generate."""
        return self.is_ollama and ("POST" not in self.methods or self.to == _SHOW)

    @property
    def reads_models(self) -> bool:
        """Whether answering takes reading a model's file, which costs memory and time."""
        return self.to == _SHOW

    @property
    def is_management(self) -> bool:
        return self.to in OLLAMA_MANAGEMENT

    @property
    def is_upload(self) -> bool:
        """Whether its bodies are files of models, which have any size and come without their length."""
        return self.to == _BLOBS

    @property
    def is_prefix(self) -> bool:
        return self.path.endswith("/")

    @property
    def pattern(self) -> str:
        """A regular expression (PCRE) for the paths that the route takes."""
        below = "sha256:[0-9a-f]{64}" if self.is_upload else ".*" if self.is_prefix else ""
        return re.escape(self.path) + below

    @property
    def host_gateway(self) -> bool:
        """Whether the route leads to the Docker host itself."""
        return self.to.startswith("http://host.docker.internal:")

    @model_validator(mode="after")
    def _check_target(self) -> Route:
        if not self.methods:
            raise ValueError(f"{self.path}: name the methods let through, such as ['POST']")
        if self.is_ollama:
            self._check_ollama()
        else:
            self._check_backend()
        return self

    def _check_ollama(self) -> None:
        if any(self.to == path or self.to.startswith(f"{path}/") for path in _NEVER):
            raise ValueError(f"{self.path}: {self.to} is this host's account with Ollama's maker; it is not routed")
        endpoint = (OLLAMA_ENDPOINTS | OLLAMA_MANAGEMENT).get(self.to)
        if endpoint is None:
            if self.to.startswith(_BLOBS.rstrip("/")):
                raise ValueError(f'{self.path}: "{_BLOBS}" would be right, which takes every file of a model')
            raise ValueError(
                f"{self.path}: Ollama has no {self.to}; one of {', '.join(OLLAMA_ENDPOINTS)} would be right"
            )
        if self.is_upload and not self.is_prefix:
            raise ValueError(f'{self.path}: a route to {_BLOBS} takes everything below it; write "{self.path}/"')
        if self.is_prefix and not self.is_upload:
            raise ValueError(f'{self.path}: a route to Ollama is one exact path; write "{self.path.rstrip("/")}"')
        if wrong := set(self.methods) - endpoint:
            raise ValueError(
                f"{self.path}: {self.to} does not take {', '.join(sorted(wrong))}; {sorted(endpoint)} would be right"
            )

    def _check_backend(self) -> None:
        match = _BACKEND.fullmatch(self.to)
        if match is None or not _PATH.fullmatch(match["path"]) or not is_port(match["port"]):
            raise ValueError(
                f'{self.path}: "{self.to}" is no target; a path of Ollama ("/api/chat") or '
                '"http://host.docker.internal:5001/" would be right'
            )
        self._check_host(match["host"], match["path"])
        if self.is_prefix != match["path"].endswith("/"):
            raise ValueError(f"{self.path} → {self.to}: both end in a slash (everything below), or neither")

    def _check_host(self, host: str, path: str) -> None:
        if host in CONTAINERS or host in CONTAINERS.values():
            raise ValueError(
                f'{self.path}: {host} is a container of Hearth itself; of Ollama write the path alone: "to": "{path}"'
            )
        if host == "localhost" or is_loopback(host):
            raise ValueError(
                f"{self.path}: {host} is the proxy's own container; "
                "for a program on the host, http://host.docker.internal:… would be right"
            )
        try:
            check_host_name(host)
        except ValueError:
            raise ValueError(f'{self.path}: "{host}" is no host name') from None


def check_table(routes: tuple[Route, ...]) -> None:
    """Refuse a table in which a path stands twice, also with and without a slash at its end.

    An exact path wins over a prefix, and a longer prefix over a shorter one.

    Raises:
        ValueError: naming the path.
    """
    seen: set[str] = set()
    for route in routes:
        if route.path in seen:
            raise ValueError(f"proxy_routes and proxy_extra_routes: {route.path} stands twice; one entry per path")
        if route.path.rstrip("/") in {path.rstrip("/") for path in seen}:
            raise ValueError(
                f"proxy_routes and proxy_extra_routes: {route.path} stands with and without a slash at its end; "
                "keep one of them"
            )
        seen.add(route.path)
