"""The proxy's route table: which paths exist, and where they lead.

Ollama has no authentication and keeps its management (pull, delete, create …) on the same port as its answers,
so the proxy maps exact paths to exact endpoints and never a whole prefix of Ollama.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator

from hearth.values import is_port

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]

# What Ollama answers (server/routes.go of 0.17.4), without the paths that change or reveal the host.
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
OLLAMA_MANAGEMENT = frozenset(
    f"/api/{name}" for name in ("pull", "push", "create", "copy", "delete", "blobs", "me", "signout", "user")
)

_PATH = re.compile(r"^/(?:[A-Za-z0-9_~-][A-Za-z0-9._~-]*/)*(?:[A-Za-z0-9_~-][A-Za-z0-9._~-]*)?$")
_BACKEND = re.compile(r"^http://[a-z0-9.-]+:(?P<port>[0-9]{1,5})(?P<path>/.*)$")


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
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Annotated[str, AfterValidator(_check_path)]
    to: str
    methods: tuple[Method, ...]

    @property
    def is_ollama(self) -> bool:
        return self.to.startswith("/")

    @property
    def is_prefix(self) -> bool:
        return self.path.endswith("/")

    @property
    def pattern(self) -> str:
        """A regular expression (PCRE) for the paths that the route takes."""
        return re.escape(self.path) + (".*" if self.is_prefix else "")

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
        if any(self.to == path or self.to.startswith(f"{path}/") for path in OLLAMA_MANAGEMENT):
            raise ValueError(
                f"{self.path}: {self.to} lets anyone on the network change or fill this host; it is not routed. "
                "Run it on the host instead: docker exec hearth-ollama ollama …"
            )
        endpoint = OLLAMA_ENDPOINTS.get(self.to)
        if endpoint is None:
            raise ValueError(
                f"{self.path}: Ollama has no {self.to}; one of {', '.join(OLLAMA_ENDPOINTS)} would be right"
            )
        if self.is_prefix:
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
        if self.is_prefix != match["path"].endswith("/"):
            raise ValueError(f"{self.path} → {self.to}: both end in a slash (everything below), or neither")


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
