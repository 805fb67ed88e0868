"""Rules between settings that are each valid on their own."""

from __future__ import annotations

from hearth.paths import METRICS_PATH
from hearth.settings.access import parse_access
from hearth.settings.model import Settings
from hearth.settings.model_names import name_key
from hearth.settings.pools import DEFAULT_POOL
from hearth.settings.providers import PROVIDER_SLOTS
from hearth.settings.routes import check_table
from hearth.settings.tls_rules import check_tls
from hearth.settings.types import duration_in_seconds

# Of all backends together; httpd.conf's ThreadLimit, which a reload can't change, has room for them.
MAX_SLOTS = 256


def check_settings(settings: Settings) -> None:
    """Reject settings that contradict each other.

    Raises:
        ValueError: naming the settings, their values, and what to write instead.
    """
    _check_providers(settings)
    check_table(settings.routes)
    _check_access(settings)
    _check_pools(settings)
    if settings.serves_page and settings.ollama_publish.endswith(f":{settings.proxy_port}"):
        raise ValueError(
            f"proxy_port = {settings.proxy_port} and ollama_publish = {settings.ollama_publish!r} use the same port; "
            "change one of them"
        )
    slots = settings.total_slots
    if settings.proxy_max_streams_per_caller > slots:
        total = f"proxy_max_streams = {slots}" if not settings.ollama_pools else f"the {slots} slots of ollama_pools"
        raise ValueError(
            f"proxy_max_streams_per_caller = {settings.proxy_max_streams_per_caller} is more than {total}, so one "
            f"caller could still use every slot; use {max(1, slots - 1)} or less, or 0 for no limit per caller"
        )
    check_tls(settings)
    # On a gateway, the image of an inventory for hosts with GPUs is not used either.
    if settings.runs_ollama:
        _check_gpu(settings)
    _check_metrics(settings)
    _check_variants(settings)
    _check_preload(settings)
    if settings.host_no_proxy and not settings.host_http_proxy:
        raise ValueError(
            f'host_no_proxy = {list(settings.host_no_proxy)} is set but not used, since host_http_proxy = ""; set the '
            "proxy, or use host_no_proxy = []"
        )
    if settings.ollama_prune_models and not settings.offered_models:
        raise ValueError(
            "ollama_prune_models = True and ollama_models = [] would remove every model; list those to keep, "
            "or use ollama_prune_models = False"
        )
    load_timeout = duration_in_seconds(settings.ollama_load_timeout)
    if load_timeout in (0, float("inf")):
        raise ValueError(
            f"ollama_load_timeout = {settings.ollama_load_timeout!r} lets Ollama wait forever, but the proxy times "
            'out; use "10m"'
        )
    if load_timeout > settings.proxy_timeout:
        raise ValueError(
            f"proxy_timeout = {settings.proxy_timeout} is shorter than ollama_load_timeout = "
            f"{settings.ollama_load_timeout!r}; use a proxy_timeout of at least {load_timeout:.0f}"
        )


def _check_pools(settings: Settings) -> None:
    pools = settings.ollama_pools
    if settings.ollama_publish_tls and settings.host_role == "both":
        raise ValueError(
            'ollama_publish_tls = True is for a host with host_role = "backend", and this one has "both"; change one '
            'of them (a host with the page has TLS with proxy_tls = "local-ca")'
        )
    if settings.ollama_publish_tls and not settings.proxy_tls_ca:
        raise ValueError(
            'ollama_publish_tls = True and proxy_tls_ca = ""; use a directory, such as "~/.config/hearth/ca"'
        )
    if settings.host_role == "gateway" and DEFAULT_POOL not in pools:
        raise ValueError(
            f'host_role = "gateway" and ollama_pools = {{{", ".join(repr(name) for name in pools)}}} have no pool for '
            'the routes; add one: {"default": [{"host": "192.168.1.20"}]}'
        )
    if settings.total_slots > MAX_SLOTS:
        raise ValueError(
            f"ollama_pools: its backends have {settings.total_slots} slots in total, and httpd has threads for "
            f'{MAX_SLOTS}; set fewer "slots" (without them, a backend has proxy_max_streams = '
            f"{settings.proxy_max_streams})"
        )
    if pools and (route := next((one for one in settings.routes if one.is_management), None)):
        raise ValueError(
            f"{route.path}: {route.to} changes a single Ollama, and with ollama_pools, httpd chooses one for each "
            "request; remove the route, and use ollama_models"
        )
    if settings.ollama_allowed_networks and not settings.publishes_ollama:
        reason = "is for programs on the host only" if settings.ollama_publish else "publishes no port"
        raise ValueError(
            f"ollama_allowed_networks = {list(settings.ollama_allowed_networks)!r}, but ollama_publish = "
            f"{settings.ollama_publish!r} {reason}; publish the port on the host's address in your network, such as "
            '"192.168.1.20:11434", or use ollama_allowed_networks = []'
        )


def _check_providers(settings: Settings) -> None:
    for name, provider in settings.proxy_providers.items():
        setting = f'proxy_providers["{name}"]'
        if name in settings.named_pools:
            raise ValueError(f'{setting} and ollama_pools["{name}"] have the same paths; rename one of them')
        for route in settings.proxy_routes + settings.proxy_extra_routes:
            if f"{route.path}/".startswith(f"/{name}/"):
                raise ValueError(f"{setting} has all paths below /{name}; rename it, or the route {route.path}")
        policy = provider.access or settings.proxy_access
        if parse_access(policy).anyone:
            raise ValueError(
                f"{setting}: with {'access' if provider.access else 'proxy_access'} = {policy!r}, everyone who reaches "
                'the port could spend your money there; add "access": "api_keys" to it (or "users", or "networks"; '
                "docs/access.md)"
            )
    slots = settings.total_slots + settings.provider_slots
    if settings.proxy_providers and slots > MAX_SLOTS:
        raise ValueError(
            f"proxy_providers: its {len(settings.proxy_providers)} providers have {PROVIDER_SLOTS} slots each, "
            f"{slots} together with Ollama's, and httpd has threads for {MAX_SLOTS}; list fewer providers, or use a "
            "smaller proxy_max_streams"
        )


def _check_gpu(settings: Settings) -> None:
    if settings.ollama_gpu == "off":
        if settings.ollama_gpu_devices:
            raise ValueError(
                f"ollama_gpu_devices = {list(settings.ollama_gpu_devices)} is set but not used, since ollama_gpu = "
                '"off"; use ollama_gpu = "nvidia", "amd" or "vulkan", or ollama_gpu_devices = []'
            )
        return
    is_node = {one.startswith("renderD") for one in settings.ollama_gpu_devices}
    if is_node - {settings.ollama_gpu != "nvidia"}:
        example = '["0"] (or a UUID from `nvidia-smi -L`)' if settings.ollama_gpu == "nvidia" else '["renderD128"]'
        raise ValueError(
            f'ollama_gpu_devices = {list(settings.ollama_gpu_devices)} with ollama_gpu = "{settings.ollama_gpu}"; '
            f"use {example}, or [] for all"
        )
    image, _, digest = settings.ollama_image.partition("@")
    name, _, tag = image.rpartition(":")
    is_rocm = "rocm" in tag or "rocm" in name
    if settings.ollama_gpu == "amd" and not is_rocm and not digest:
        raise ValueError(
            f'ollama_gpu = "amd" needs an image for ROCm, and ollama_image = "{image}" is not one; use ollama_image = '
            f'"{image}-rocm", or ollama_gpu = "vulkan"'
        )
    if settings.ollama_gpu != "amd" and tag.endswith("-rocm"):
        raise ValueError(
            f'ollama_image = "{image}" is for AMD\'s GPUs only, and ollama_gpu = "{settings.ollama_gpu}"; use '
            f'ollama_image = "{image.removesuffix("-rocm")}"'
        )


def _check_metrics(settings: Settings) -> None:
    if not settings.metrics_access:
        return
    if settings.proxy_log == "off":
        raise ValueError(
            f'metrics_access = {settings.metrics_access!r} counts requests in the access log, and proxy_log = "off" '
            'writes none; use proxy_log = "no-addresses"'
        )
    for route in settings.routes:
        if route.path.rstrip("/") == METRICS_PATH:
            raise ValueError(
                f"{route.path}: with metrics_access = {settings.metrics_access!r}, this is the path of the metrics; "
                'use another path for the route, or metrics_access = ""'
            )


def _check_variants(settings: Settings) -> None:
    """Reject variants with the name of another model: Ollama would replace one with the other."""
    pulled = {name_key(model) for model in (*settings.pulled_models, *settings.file_models)}
    names: dict[str, str] = {}
    for name in settings.ollama_model_variants:
        setting = f"ollama_model_variants[{name!r}]"
        if (other := names.setdefault(name_key(name), name)) != name:
            raise ValueError(f"{setting} and [{other!r}] are the same name to Ollama; rename one of them")
        if name_key(name) in pulled:
            raise ValueError(
                f"{setting}: a model of this name is pulled (it is in ollama_models, or the base of a variant); use "
                f'another name, such as "my-{name.partition(":")[0].rpartition("/")[2]}"; the base has to be a model '
                "of a registry, not a variant"
            )


def _check_preload(settings: Settings) -> None:
    """Reject models that can't be in memory together."""
    offered = {name_key(model): model for model in settings.offered_models}
    weights: dict[str, str] = {}
    for model in settings.ollama_preload:
        if name_key(model) not in offered:
            raise ValueError(
                f"ollama_preload: {model} is neither in ollama_models nor in ollama_model_variants; add it there, or "
                f"use one of {', '.join(settings.offered_models) or 'them'}"
            )
        variant = settings.ollama_model_variants.get(offered[name_key(model)])
        base = (variant.base_file or name_key(variant.base)) if variant else name_key(model)
        other = weights.setdefault(base, model)
        if other is not model:
            raise ValueError(
                f"ollama_preload: {other} and {model} have the same weights, which Ollama has in memory only once; "
                "list one of them"
            )
    count, limit = len(settings.ollama_preload), settings.ollama_max_loaded_models
    if count > limit:
        raise ValueError(
            f"ollama_preload lists {count} models, and ollama_max_loaded_models = {limit}; use {count}, or list fewer"
        )


def _check_access(settings: Settings) -> None:
    """Reject policies with nobody listed for them, and listed callers that no policy admits: the host would be more
    closed, or more open, than the settings suggest."""
    callers = {
        "networks": ("proxy_allowed_networks", bool(settings.proxy_allowed_networks)),
        "users": ("proxy_users", bool(settings.proxy_users)),
        "api_keys": ("proxy_api_keys", bool(settings.proxy_api_keys)),
    }
    for word, (setting, is_set) in callers.items():
        required = any(getattr(access, word) for access in settings.accesses)
        if required and not is_set:
            policy = f"proxy_access = {settings.proxy_access!r}"
            if not getattr(settings.page_access, word):
                routes = (route for route in settings.routes if getattr(settings.access_of(route), word))
                route = next(routes, None)
                policy = (
                    f"{route.path}: access = {route.access!r}"
                    if route
                    else f"metrics_access = {settings.metrics_access!r}"
                )
            raise ValueError(f"{policy} requires {setting}, which is empty")
        if is_set and not required:
            raise ValueError(
                f"{setting} is set but not used, since proxy_access = {settings.proxy_access!r}; use "
                f'proxy_access = "{"users or api_keys" if word == "api_keys" else word}", or "access": "{word}" in a '
                "route"
            )
    page = settings.page_access
    if page.api_keys and not page.users and (page.both or not page.networks):
        raise ValueError(
            f"proxy_access = {settings.proxy_access!r}: the chat page can't send an API key, so it would be unusable; "
            'use "users or api_keys", or "access": "api_keys" in single routes'
        )
    for route in settings.routes:
        if route.is_management and not settings.access_of(route).needs_sign_in:
            raise ValueError(
                f"{route.path}: {route.to} lets its callers change or fill this host, and "
                f'"{route.access or settings.proxy_access}" does not require sign-in; use "access": "users" or '
                '"api_keys" in the route, or run it on the host: '
                "docker exec hearth-ollama ollama …"
            )
