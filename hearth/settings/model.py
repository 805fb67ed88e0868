"""The settings of one host: typed, validated, frozen.

Values come from pyinfra's host data (`group_data/all.py` has every default with its comment, so no value is
written twice). Nothing here connects to a host.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
)

from hearth.settings.access import Access, check_access_policy, check_network, check_trusted_proxy, parse_access
from hearth.settings.http_proxy import ProxySetting
from hearth.settings.model_names import missing_models
from hearth.settings.origins import check_origin
from hearth.settings.pools import DEFAULT_POOL, Member, backend_address, check_pools
from hearth.settings.providers import PROVIDER_SLOTS, Provider, check_providers
from hearth.settings.routes import Route, pool_routes, provider_routes
from hearth.settings.secret_source import Source
from hearth.settings.tls import AcmeDirectory, TlsMode, TlsName, host_names
from hearth.settings.types import (
    CredentialName,
    Directory,
    Duration,
    EMail,
    GpuDevice,
    HostName,
    Image,
    Memory,
    ModelName,
    Network,
    OptionalFile,
    OptionalRegistry,
    Publish,
    Size,
    Url,
    check_host_name,
)
from hearth.settings.variant import Variant

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[int, Field(ge=1, le=86400)]
Origin = Annotated[str, AfterValidator(check_origin)]

# "" for none, as in other settings.
OptionalSource = Annotated[
    Source | None,
    BeforeValidator(lambda value: None if value == "" else value),
    PlainSerializer(lambda value: "" if value is None else value.model_dump(), return_type=Any),
]


def _is_of_a_network(value: str) -> bool:
    """Whether it is an IPv4 address, and not one that only means the machine itself."""
    try:
        address = IPv4Address(value)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)


def _host_address(value: str) -> str:
    if value and not _is_of_a_network(value):
        raise ValueError('use the host\'s IPv4 address in your network, such as "192.168.1.20", or ""')
    return value


def _virtual_address(value: str) -> str:
    if value and (not _is_of_a_network(value) or IPv4Address(value).is_multicast or IPv4Address(value).is_reserved):
        raise ValueError('use a free IPv4 address of your network, such as "192.168.1.5", or ""')
    return value


def _title(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError('a title is one line of text, such as "Hearth"')
    return value


class Settings(BaseModel):
    """All settings of one host; `group_data/all.py` documents each field and has its default."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    ollama_image: Image
    proxy_image: Image

    proxy_port: Port
    chat_title: Annotated[str, Field(max_length=80), AfterValidator(_title)]
    allowed_origins: tuple[Origin, ...]
    proxy_host_names: tuple[HostName, ...]
    proxy_access: Annotated[str, AfterValidator(check_access_policy)]
    proxy_allowed_networks: tuple[Annotated[str, AfterValidator(check_network)], ...]
    proxy_trusted_proxies: tuple[Annotated[str, AfterValidator(check_trusted_proxy)], ...]
    proxy_users: dict[CredentialName, Source]
    proxy_api_keys: dict[CredentialName, Source]
    proxy_routes: tuple[Route, ...]
    proxy_extra_routes: tuple[Route, ...]
    proxy_providers: Annotated[dict[str, Provider], AfterValidator(check_providers)]
    proxy_timeout: Seconds
    proxy_max_streams: Annotated[int, Field(ge=1, le=256)]
    proxy_max_streams_per_caller: Annotated[int, Field(ge=0, le=256)]
    proxy_queue_timeout: Annotated[int, Field(ge=1, le=600)]
    proxy_max_body: Size
    proxy_memory_limit: Memory
    proxy_log: Literal["full", "no-addresses", "off"]
    metrics_access: Annotated[str, AfterValidator(lambda text: check_access_policy(text) if text else text)]

    proxy_tls: TlsMode
    proxy_tls_port: Port
    proxy_tls_names: tuple[TlsName, ...]
    proxy_tls_certificate: OptionalFile
    proxy_tls_key: OptionalSource
    proxy_tls_ca: OptionalFile
    proxy_tls_hsts_days: Annotated[int, Field(ge=0, le=3650)]
    proxy_acme_directory: AcmeDirectory
    proxy_acme_contact: EMail
    proxy_acme_terms: Literal["", "accepted"]
    proxy_acme_challenges: tuple[Literal["tls-alpn-01", "http-01"], ...]
    proxy_acme_trust: OptionalFile

    ollama_models: tuple[ModelName, ...]
    ollama_model_variants: dict[ModelName, Variant]
    ollama_preload: tuple[ModelName, ...]
    ollama_prune_models: bool
    ollama_update_models: bool
    ollama_models_dir: Directory
    ollama_model_registry: OptionalRegistry
    ollama_publish: Publish
    ollama_allowed_networks: tuple[Network, ...]
    ollama_publish_tls: bool
    ollama_pools: Annotated[dict[str, tuple[Member, ...]], AfterValidator(check_pools)]
    ollama_keep_alive: Duration
    ollama_load_timeout: Duration
    ollama_num_parallel: Annotated[int, Field(ge=1, le=64)]
    ollama_max_loaded_models: Annotated[int, Field(ge=1, le=64)]
    ollama_max_queue: Annotated[int, Field(ge=1, le=4096)]
    ollama_context_length: Annotated[int, Field(ge=256, le=1048576)]
    ollama_gpu: Literal["off", "nvidia", "amd", "vulkan"]
    ollama_gpu_devices: tuple[GpuDevice, ...]
    ollama_gpu_apt_url: Url
    ollama_memory_limit: Memory
    ollama_heal_stuck: bool
    ollama_cloud: bool
    ollama_pull_stall_timeout: Seconds
    ollama_pull_retries: Annotated[int, Field(ge=0, le=100)]
    ollama_model_sizes_gb: dict[ModelName, Annotated[float, Field(gt=0)]]

    firewall_allowed_networks: tuple[Network, ...]

    docker_images_gb: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    docker_source: Literal["auto", "distribution", "docker"]
    docker_apt_url: Url
    docker_registry_mirrors: tuple[Url, ...]
    docker_live_restore: bool
    docker_log_max_size: Size
    docker_log_max_files: Annotated[int, Field(ge=1, le=100)]
    docker_pull_timeout: Seconds
    docker_pull_stall_timeout: Annotated[int, Field(ge=10, le=86400)]
    docker_pull_retries: Annotated[int, Field(ge=0, le=100)]
    docker_apt_timeout: Seconds
    docker_health_timeout: Seconds
    docker_drain_timeout: Annotated[int, Field(ge=0, le=3600)]
    docker_mtu: Annotated[int, Field(ge=1280, le=65535)]

    host_role: Literal["both", "gateway", "backend"]
    host_address: Annotated[str, AfterValidator(_host_address)]
    host_virtual_address: Annotated[str, AfterValidator(_virtual_address)]
    host_allow_reboot: bool
    host_local_name: bool
    host_http_proxy: ProxySetting
    host_no_proxy: tuple[Annotated[str, AfterValidator(check_host_name)], ...]
    host_trusted_ca: OptionalFile

    releases_kept: Annotated[int, Field(ge=1, le=100)]

    @property
    def routes(self) -> tuple[Route, ...]:
        """Both route tables, and the routes of named pools and of providers, longest path first (without a model's
        name): httpd uses the first match."""
        table = self.proxy_routes + self.proxy_extra_routes
        table += pool_routes(table, self.ollama_pools) + provider_routes(self.proxy_providers)
        return tuple(sorted(table, key=lambda route: (-len(route.base), route.path)))

    @property
    def serves_page(self) -> bool:
        """Whether the host has the chat page and the routes."""
        return self.host_role != "backend"

    @property
    def runs_httpd(self) -> bool:
        return self.serves_page or self.ollama_publish_tls

    @property
    def tls_backends(self) -> dict[str, str]:
        """Name of a backend that is reached over TLS, as in its certificate → its address."""
        members = (member for members in self.ollama_pools.values() for member in members if member.is_tls)
        names = (urlsplit(member.url).hostname or "" for member in members)
        return {name: backend_address(name) for name in names}

    @property
    def runs_ollama(self) -> bool:
        return self.host_role != "gateway"

    @property
    def images(self) -> dict[str, str]:
        """Service that runs on this host → its image."""
        images = {"ollama": self.ollama_image} if self.runs_ollama else {}
        return images | ({"httpd": self.proxy_image} if self.runs_httpd else {})

    @property
    def named_pools(self) -> tuple[str, ...]:
        """The pools that are chosen by their path."""
        return tuple(name for name in self.ollama_pools if name != DEFAULT_POOL)

    def slots_of(self, member: Member) -> int:
        """Responses that a backend streams at the same time."""
        return member.slots or self.proxy_max_streams

    @property
    def total_slots(self) -> int:
        """Responses of Ollamas that httpd streams at the same time."""
        if not self.ollama_pools:
            return self.proxy_max_streams
        slots = sum(self.slots_of(member) for members in self.ollama_pools.values() for member in members)
        # The routes of a host that lists named pools alone lead to its own Ollama.
        has_own = self.host_role == "both" and DEFAULT_POOL not in self.ollama_pools
        return slots + (self.proxy_max_streams if has_own else 0)

    @property
    def provider_slots(self) -> int:
        """Responses of providers in the internet that httpd streams at the same time."""
        return PROVIDER_SLOTS * len(self.proxy_providers)

    @property
    def pulled_models(self) -> tuple[str, ...]:
        """The listed models and the base models of variants, each once: those to pull."""
        bases = tuple(variant.base for variant in self.ollama_model_variants.values() if variant.base)
        return (*self.ollama_models, *missing_models(bases, self.ollama_models))

    @property
    def file_models(self) -> tuple[str, ...]:
        """The models that are created from GGUF files, for variants."""
        return tuple(
            variant.base_model(name) for name, variant in self.ollama_model_variants.items() if variant.base_file
        )

    @property
    def offered_models(self) -> tuple[str, ...]:
        """The listed models and the variants: those that users are meant to use."""
        return (*self.ollama_models, *self.ollama_model_variants)

    @property
    def trial_models(self) -> tuple[str, ...]:
        """The offered models, preloaded ones first: a test prompt does not replace those in memory."""
        return (*self.ollama_preload, *missing_models(self.offered_models, self.ollama_preload))

    def access_of(self, route: Route) -> Access:
        """The access policy of a route."""
        return parse_access(route.access or self.proxy_access)

    @property
    def page_access(self) -> Access:
        """The access policy of the chat page."""
        return parse_access(self.proxy_access)

    @property
    def accesses(self) -> tuple[Access, ...]:
        """The access policies of the page, of every route, and of the metrics."""
        metrics = (parse_access(self.metrics_access),) if self.metrics_access else ()
        return (self.page_access, *(self.access_of(route) for route in self.routes), *metrics)

    @property
    def uses_credentials(self) -> bool:
        """Whether any access policy accepts passwords or keys."""
        return any(access.accepts_credentials for access in self.accesses)

    @property
    def has_secrets(self) -> bool:
        """Whether the deploy installs credentials, or providers' keys, for httpd."""
        return self.uses_credentials or bool(self.proxy_providers)

    @property
    def needs_host_gateway(self) -> bool:
        return any(route.host_gateway for route in self.routes)

    @property
    def host_names(self) -> tuple[str, ...]:
        """Every name that httpd serves, besides addresses, single-label names and *.local."""
        return host_names(self.proxy_host_names, self.proxy_tls_names if self.proxy_tls != "off" else ())

    @property
    def identifies_addresses(self) -> bool:
        """Whether httpd's rules depend on the address of a caller, which Docker hides if it is an IPv6 address."""
        return bool(self.proxy_trusted_proxies) or any(access.networks for access in self.accesses)

    @property
    def has_tls_files(self) -> bool:
        """Whether the deploy installs TLS files (certificates, keys) for httpd."""
        return (
            self.proxy_tls in ("files", "local-ca")
            or (self.proxy_tls == "acme" and self.proxy_acme_trust != "")
            or bool(self.tls_backends)
        )

    @property
    def has_certificates(self) -> bool:
        """Whether httpd has certificates, of any kind."""
        return self.proxy_tls != "off" or bool(self.tls_backends)

    @property
    def uses_acme_proxy(self) -> bool:
        """Whether httpd itself sends requests through `host_http_proxy`: for certificates."""
        if not self.host_http_proxy or not self.runs_httpd or self.proxy_tls != "acme":
            return False
        return (urlsplit(self.proxy_acme_directory).hostname or "") not in self.host_no_proxy

    @property
    def needs_firewall(self) -> bool:
        return bool(self.firewall_allowed_networks or self.ollama_allowed_networks)

    @property
    def publishes_ollama(self) -> bool:
        """Whether Ollama's port is published for other machines: with "", it is not, and 127.… is for programs on the
        host."""
        return bool(self.ollama_publish) and not self.ollama_publish.startswith("127.")

    @property
    def gateway_addresses(self) -> tuple[str, ...]:
        """IPv4 addresses of the gateways that use this host's Ollama; `resolve_house` writes all others as networks."""
        return tuple(one for one in self.ollama_allowed_networks if "/" not in one and "." in one)

    @property
    def ollama_sources(self) -> tuple[str, ...]:
        """Networks that may reach Ollama's port, if there is a firewall; none for nobody."""
        return (self.ollama_allowed_networks or self.firewall_allowed_networks) if self.publishes_ollama else ()

    @property
    def page_ports(self) -> frozenset[int]:
        """The page's ports, on all addresses of the host."""
        ports = {self.proxy_port} if self.proxy_tls == "off" else {self.proxy_port, self.proxy_tls_port}
        return frozenset(ports if self.serves_page else ())

    @property
    def ollama_ports(self) -> frozenset[tuple[str, int]]:
        """The (address, port) where Ollama is published; `0.0.0.0` means all addresses."""
        address, _, port = self.ollama_publish.rpartition(":")
        return frozenset({(address, int(port))} if port else ())

    @property
    def published_ports(self) -> frozenset[tuple[str, int]]:
        """Every (address, port) that the stack publishes on the host; `0.0.0.0` means all addresses."""
        return self.ollama_ports.union(("0.0.0.0", port) for port in self.page_ports)
