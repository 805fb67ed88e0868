"""The proxy's route table: an allow-list of paths, and their targets.

Ollama has no authentication and has its management endpoints (pull, delete, create …) on the same port as the others,
so the proxy maps exact paths to exact endpoints, and never a whole prefix of Ollama.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from typing_extensions import override

from hearth.paths import CONTAINERS
from hearth.settings.access import check_access_policy
from hearth.settings.pools import DEFAULT_POOL
from hearth.settings.providers import Api, Provider
from hearth.settings.types import check_host_name, is_loopback, is_port

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]

# Ollama's endpoints (server/routes.go of 0.17.4 and 0.32.15), without those that change or reveal the host.
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
    "/v1/models/{model}": frozenset({"GET"}),
}
# Endpoints that change or fill the host: only for callers who have signed in.
OLLAMA_MANAGEMENT: dict[str, frozenset[str]] = {
    "/api/pull": frozenset({"POST"}),
    "/api/push": frozenset({"POST"}),
    "/api/create": frozenset({"POST"}),
    "/api/copy": frozenset({"POST"}),
    "/api/delete": frozenset({"DELETE"}),
    "/api/blobs/": frozenset({"HEAD", "POST"}),
}
# The host's account at ollama.com: never routed.
_NEVER = ("/api/me", "/api/signout", "/api/user")
# The last part of a path that names a model, in a route and in an endpoint. Ollama accepts no slash in it.
MODEL = "{model}"
_MODEL = "[A-Za-z0-9][A-Za-z0-9._:-]*"
# Details of a model, read from its file.
_SHOWS = ("/api/show", f"/v1/models/{MODEL}")
# Prefix of the paths of a model's files.
_BLOBS = "/api/blobs/"

_PATH = re.compile(r"^/(?:[A-Za-z0-9_~-][A-Za-z0-9._~-]*/)*(?:[A-Za-z0-9_~-][A-Za-z0-9._~-]*)?$")
_BACKEND = re.compile(r"^http://(?P<host>[a-z0-9.-]+):(?P<port>[0-9]{1,5})(?P<path>/.*)$")


def _check_path(path: str) -> str:
    if path == "/":
        raise ValueError('"/" is the chat page; use another path, such as "/flask/"')
    if not _PATH.fullmatch(path.removesuffix(MODEL) if path.endswith(f"/{MODEL}") else path):
        raise ValueError('a path starts with "/" and has letters, digits and . _ ~ - only, such as "/api/ollama"')
    return path


class Route(BaseModel):
    """One path of the proxy.

    Attributes:
        path: exact path that clients call; one that ends in `/` includes everything below it (backends only), one that
            ends in `/{model}` any model's name there (to an endpoint that ends in it).
        to: an endpoint of Ollama (`/api/generate`), or the URL of a backend (`http://host.docker.internal:5001/`).
        methods: allowed HTTP methods; any other gets 405 and is not forwarded.
        access: access policy of the route; "" for that of `proxy_access`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Annotated[str, AfterValidator(_check_path)]
    to: str
    methods: tuple[Method, ...]
    access: Annotated[str, AfterValidator(lambda text: check_access_policy(text) if text else text)] = ""

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Omit an empty `access`, as inventories do, and as releases recorded routes before the key existed."""
        written: dict[str, Any] = handler(self)
        return written if self.access else {name: value for name, value in written.items() if name != "access"}

    @property
    def pool_name(self) -> str:
        """The pool of backends that it leads to."""
        return DEFAULT_POOL

    @property
    def is_ollama(self) -> bool:
        return self.to.startswith("/")

    @property
    def provider_api(self) -> Api | None:
        """The protocol of the provider in the internet that it leads to, if any."""
        return None

    @property
    def is_backend(self) -> bool:
        """Whether it leads to a program of the user's own."""
        return not self.is_ollama and self.provider_api is None

    @property
    def is_quick(self) -> bool:
        """Whether Ollama responds without running a model, so no slot is needed."""
        return self.is_ollama and ("POST" not in self.methods or self.to in _SHOWS)

    @property
    def reads_models(self) -> bool:
        """Whether Ollama reads a model's file for the response, which costs memory and time."""
        return self.to in _SHOWS

    @property
    def is_management(self) -> bool:
        return self.to in OLLAMA_MANAGEMENT

    @property
    def is_upload(self) -> bool:
        """Whether its bodies are model files: of any size, and sent without Content-Length."""
        return self.to == _BLOBS

    @property
    def is_prefix(self) -> bool:
        return self.path.endswith("/")

    @property
    def names_model(self) -> bool:
        """Whether the last part of its path is a model's name."""
        return self.path.endswith(f"/{MODEL}")

    @property
    def base(self) -> str:
        """The part of its path that is the same for every request."""
        return self.path.removesuffix(MODEL)

    @property
    def below(self) -> str:
        """A regular expression (PCRE) for what follows the base; "" for an exact path."""
        if self.is_upload:
            return "sha256:[0-9a-f]{64}"
        return _MODEL if self.names_model else ".*" if self.is_prefix else ""

    @property
    def pattern(self) -> str:
        """A regular expression (PCRE) for the route's paths."""
        return re.escape(self.base) + self.below

    @property
    def uses_openai_format(self) -> bool:
        """Whether its errors have the format that OpenAI's client library shows."""
        return self.to.startswith("/v1/")

    @property
    def host_gateway(self) -> bool:
        """Whether the route leads to the Docker host itself."""
        return self.to.startswith("http://host.docker.internal:")

    @model_validator(mode="after")
    def _check_target(self) -> Route:
        if not self.methods:
            raise ValueError(f"{self.path}: list the allowed methods, such as ['POST']")
        if self.is_ollama:
            self._check_ollama()
        else:
            self._check_backend()
        return self

    def _check_ollama(self) -> None:
        if any(self.to == path or self.to.startswith(f"{path}/") for path in _NEVER):
            raise ValueError(f"{self.path}: {self.to} is this host's account at ollama.com; it can't be routed")
        endpoint = (OLLAMA_ENDPOINTS | OLLAMA_MANAGEMENT).get(self.to)
        if endpoint is None:
            if self.to.startswith(_BLOBS.rstrip("/")):
                raise ValueError(f'{self.path}: use "{_BLOBS}", which includes all model files')
            raise ValueError(f"{self.path}: Ollama has no {self.to}; use one of {', '.join(OLLAMA_ENDPOINTS)}")
        if self.is_upload and not self.is_prefix:
            raise ValueError(f'{self.path}: a route to {_BLOBS} includes everything below it; use "{self.path}/"')
        if self.is_prefix and not self.is_upload:
            raise ValueError(f'{self.path}: a route to Ollama is one exact path; use "{self.path.rstrip("/")}"')
        if self.names_model != self.to.endswith(f"/{MODEL}"):
            path = self.base.rstrip("/") if self.names_model else f"{self.path}/{MODEL}"
            raise ValueError(f'{self.path} → {self.to}: end both in "/{MODEL}", or neither; use "{path}"')
        if unsupported := set(self.methods) - endpoint:
            raise ValueError(
                f"{self.path}: {self.to} does not support {', '.join(sorted(unsupported))}; use {sorted(endpoint)}"
            )

    def _check_backend(self) -> None:
        if self.names_model:
            raise ValueError(f'{self.path}: only routes to Ollama name a model; use "{self.base}"')
        match = _BACKEND.fullmatch(self.to)
        if match is None or not _PATH.fullmatch(match["path"]) or not is_port(match["port"]):
            raise ValueError(
                f'{self.path}: "{self.to}" is not a valid target; use an endpoint of Ollama ("/api/chat") or '
                '"http://host.docker.internal:5001/"'
            )
        self._check_host(match["host"], match["path"])
        if self.is_prefix != match["path"].endswith("/"):
            raise ValueError(f"{self.path} → {self.to}: end both in a slash (everything below), or neither")

    def _check_host(self, host: str, path: str) -> None:
        if host in CONTAINERS or host in CONTAINERS.values():
            raise ValueError(
                f'{self.path}: {host} is one of Hearth\'s containers; for Ollama, use only the path: "to": "{path}"'
            )
        if host == "localhost" or is_loopback(host):
            raise ValueError(
                f"{self.path}: {host} is the proxy's own container; "
                "for a program on the host, use http://host.docker.internal:…"
            )
        try:
            check_host_name(host)
        except ValueError:
            raise ValueError(f'{self.path}: "{host}" is not a valid host name') from None


class PoolRoute(Route):
    """A route to a named pool: that of the default pool, below `/<pool>`."""

    pool: str

    @property
    @override
    def pool_name(self) -> str:
        return self.pool


def pool_routes(routes: tuple[Route, ...], pools: Iterable[str]) -> tuple[Route, ...]:
    """The routes of named pools: every route to Ollama, below `/<pool>`."""
    return tuple(
        PoolRoute(pool=pool, path=f"/{pool}{route.path}", to=route.to, methods=route.methods, access=route.access)
        for pool in pools
        if pool != DEFAULT_POOL
        for route in routes
        if route.is_ollama
    )


class ProviderRoute(Route):
    """A route to one endpoint of a provider in the internet."""

    provider: str
    api: Api

    @property
    @override
    def provider_api(self) -> Api | None:
        return self.api

    @override
    def _check_backend(self) -> None:
        """The provider's address and endpoints were checked."""


def provider_routes(providers: Mapping[str, Provider]) -> tuple[Route, ...]:
    """The routes of providers: each endpoint, below `/<name>/v1`."""
    return tuple(
        ProviderRoute(
            provider=name,
            api=provider.api,
            path=f"/{name}/v1{path}",
            to=f"{provider.url}{path}",
            methods=methods,
            access=provider.access,
        )
        for name, provider in providers.items()
        for path, methods in provider.methods_by_path.items()
    )


def check_table(routes: tuple[Route, ...]) -> None:
    """Reject a table with duplicate paths, also with and without a trailing slash.

    An exact path wins over a prefix, and a longer prefix over a shorter one.

    Raises:
        ValueError: naming the path.
    """
    seen: set[str] = set()
    for route in routes:
        if route.path in seen:
            raise ValueError(
                f"proxy_routes and proxy_extra_routes: {route.path} is listed twice; keep one entry per path"
            )
        if route.path.rstrip("/") in {path.rstrip("/") for path in seen}:
            raise ValueError(
                f"proxy_routes and proxy_extra_routes: {route.path} is listed with and without a trailing slash; "
                "keep one of them"
            )
        seen.add(route.path)


def own_paths(route: Route, routes: tuple[Route, ...]) -> str:
    """A regular expression (PCRE) for the paths of a route, without those of other routes below it."""
    if not route.below or route.is_upload:
        return route.pattern
    below = [other for other in routes if other is not route and other.path.startswith(route.base)]
    if not below:
        return route.pattern
    others = "|".join(
        other.pattern.removeprefix(re.escape(route.base)) + ("" if other.is_prefix else "$") for other in below
    )
    return f"{re.escape(route.base)}(?!{others}){route.below}"
