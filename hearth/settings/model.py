"""The settings of one host: typed, validated, frozen.

Values come from pyinfra's host data (`group_data/all.py` has every default and its comment, so that no value is
written in two places). Nothing here talks to a host.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from hearth.settings.access import Access, check_access, check_network, parse_access
from hearth.settings.origins import check_origin
from hearth.settings.routes import Route, check_table
from hearth.settings.secret_source import Source
from hearth.settings.tls import AcmeDirectory, TlsMode, TlsName, check_tls, host_names
from hearth.settings.types import (
    Directory,
    Duration,
    EMail,
    HostName,
    Image,
    Memory,
    ModelName,
    Network,
    OptionalFile,
    OptionalUrl,
    PersonName,
    Publish,
    Size,
    Url,
    duration_in_seconds,
    is_text,
)

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[int, Field(ge=1, le=86400)]
Origin = Annotated[str, AfterValidator(check_origin)]

# "" for none, as for other settings that are not set.
OptionalSource = Annotated[
    Source | None,
    BeforeValidator(lambda value: None if value == "" else value),
    PlainSerializer(lambda value: "" if value is None else value.model_dump(), return_type=Any),
]

# Host data that is not ours: pyinfra's connection settings, its per-operation arguments, and the user's own (x_…).
_FOREIGN_PREFIXES = ("ssh_", "_", "x_")
# Whoever mistakes these may have put a secret there: no message shows what stands in them.
_NOT_SHOWN = frozenset({"proxy_people", "proxy_programs"})


class SettingsError(ValueError):
    """Settings of a host that can't be used; the message names each setting, its value and what would be right."""


def _title(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError('a title is one line of text, such as "Hearth"')
    return value


class Settings(BaseModel):
    """All settings of one host; the field's meaning and default stand in `group_data/all.py`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    ollama_image: Image
    proxy_image: Image

    proxy_port: Port
    chat_title: Annotated[str, Field(max_length=80), AfterValidator(_title)]
    allowed_origins: tuple[Origin, ...]
    proxy_host_names: tuple[HostName, ...]
    proxy_access: Annotated[str, AfterValidator(check_access)]
    proxy_allow_from: tuple[Annotated[str, AfterValidator(check_network)], ...]
    proxy_people: dict[PersonName, Source]
    proxy_programs: dict[PersonName, Source]
    proxy_routes: tuple[Route, ...]
    proxy_extra_routes: tuple[Route, ...]
    proxy_timeout: Seconds
    proxy_max_streams: Annotated[int, Field(ge=1, le=64)]
    proxy_queue_wait: Annotated[int, Field(ge=1, le=600)]
    proxy_max_body: Size
    proxy_memory_limit: Memory

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
    ollama_prune_models: bool
    ollama_update_models: bool
    ollama_models_dir: Directory
    ollama_model_registry: OptionalUrl
    ollama_publish: Publish
    ollama_keep_alive: Duration
    ollama_load_timeout: Duration
    ollama_num_parallel: Annotated[int, Field(ge=1, le=64)]
    ollama_max_loaded_models: Annotated[int, Field(ge=1, le=64)]
    ollama_max_queue: Annotated[int, Field(ge=1, le=4096)]
    ollama_context_length: Annotated[int, Field(ge=256, le=1048576)]
    ollama_memory_limit: Memory
    ollama_heal_stuck: bool
    ollama_cloud: bool
    ollama_pull_timeout: Seconds
    ollama_pull_retries: Annotated[int, Field(ge=0, le=100)]
    ollama_model_sizes_gb: dict[ModelName, Annotated[float, Field(gt=0)]]

    firewall_allow_from: tuple[Network, ...]

    docker_images_gb: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    docker_source: Literal["auto", "distribution", "docker"]
    docker_apt_url: Url
    docker_registry_mirrors: tuple[Url, ...]
    docker_live_restore: bool
    docker_log_max_size: Size
    docker_log_max_files: Annotated[int, Field(ge=1, le=100)]
    docker_pull_timeout: Seconds
    docker_pull_stall: Annotated[int, Field(ge=10, le=86400)]
    docker_pull_retries: Annotated[int, Field(ge=0, le=100)]
    docker_apt_timeout: Seconds
    docker_health_timeout: Seconds
    docker_quiet_wait: Annotated[int, Field(ge=0, le=3600)]

    host_reboot: bool

    releases_kept: Annotated[int, Field(ge=1, le=100)]

    @property
    def routes(self) -> tuple[Route, ...]:
        """Both route tables, longest path first: the order in which httpd must see them."""
        return tuple(
            sorted(self.proxy_routes + self.proxy_extra_routes, key=lambda route: (-len(route.path), route.path))
        )

    def access_of(self, route: Route) -> Access:
        """Who may call a route."""
        return parse_access(route.access or self.proxy_access)

    @property
    def page_access(self) -> Access:
        """Who may open the chat page."""
        return parse_access(self.proxy_access)

    @property
    def accesses(self) -> tuple[Access, ...]:
        """Of the page and of every route."""
        return (self.page_access, *(self.access_of(route) for route in self.routes))

    @property
    def keeps_secrets(self) -> bool:
        """Whether passwords or keys are needed to let callers in."""
        return any(access.signs_in for access in self.accesses)

    @property
    def needs_host_gateway(self) -> bool:
        return any(route.host_gateway for route in self.routes)

    @property
    def host_names(self) -> tuple[str, ...]:
        """Every name, beyond addresses, single words and *.local, that httpd answers to."""
        return host_names(self.proxy_host_names, self.proxy_tls_names if self.proxy_tls != "off" else ())

    @property
    def has_tls_files(self) -> bool:
        """Whether httpd is given files of TLS by the deploy: certificates, keys."""
        return self.proxy_tls in ("files", "local-ca") or (self.proxy_tls == "acme" and self.proxy_acme_trust != "")

    @property
    def published_ports(self) -> frozenset[tuple[str, int]]:
        """Every (address, port) that the stack opens on the host; `0.0.0.0` stands for all addresses."""
        ports = {("0.0.0.0", self.proxy_port)}
        if self.proxy_tls != "off":
            ports.add(("0.0.0.0", self.proxy_tls_port))
        if self.ollama_publish:
            address, _, port = self.ollama_publish.rpartition(":")
            ports.add((address, int(port)))
        return frozenset(ports)

    @model_validator(mode="after")
    def _check_together(self) -> Settings:
        check_table(self.proxy_routes + self.proxy_extra_routes)
        self._check_access()
        if self.ollama_publish.endswith(f":{self.proxy_port}"):
            raise ValueError(
                f"proxy_port = {self.proxy_port} and ollama_publish = {self.ollama_publish!r} want the same port; "
                "give one of them another"
            )
        check_tls(self)
        if self.ollama_prune_models and not self.ollama_models:
            raise ValueError(
                "ollama_prune_models = True and ollama_models = [] would remove every model; list those to keep, "
                "or set ollama_prune_models = False"
            )
        load_timeout = duration_in_seconds(self.ollama_load_timeout)
        if load_timeout in (0, float("inf")):
            raise ValueError(
                f"ollama_load_timeout = {self.ollama_load_timeout!r} lets Ollama wait for ever, which the proxy "
                'does not; "10m" would be right'
            )
        if load_timeout > self.proxy_timeout:
            raise ValueError(
                f"proxy_timeout = {self.proxy_timeout} gives up before ollama_load_timeout = "
                f"{self.ollama_load_timeout!r} does; a proxy_timeout at least as long would be right"
            )
        return self

    def _check_access(self) -> None:
        """Refuse words for callers that do not exist, and callers that no word lets in: both are closed or open doors
        where somebody believes the opposite."""
        callers = {
            "networks": ("proxy_allow_from", bool(self.proxy_allow_from)),
            "people": ("proxy_people", bool(self.proxy_people)),
            "programs": ("proxy_programs", bool(self.proxy_programs)),
        }
        for word, (setting, is_set) in callers.items():
            asked = any(getattr(access, word) for access in self.accesses)
            if asked and not is_set:
                place = f"proxy_access = {self.proxy_access!r}"
                if not getattr(self.page_access, word):
                    route = next(route for route in self.routes if getattr(self.access_of(route), word))
                    place = f"{route.path}: access = {route.access!r}"
                raise ValueError(f"{place} asks for {word}, and {setting} is empty")
            if is_set and not asked:
                raise ValueError(
                    f"{setting} is set, and nothing asks for {word}: proxy_access = {self.proxy_access!r} lets in "
                    f'without; proxy_access = "{"people or programs" if word == "programs" else word}" would be right, '
                    f'or "access": "{word}" in a route'
                )
        page = self.page_access
        if page.programs and not page.people and (page.both or not page.networks):
            raise ValueError(
                f"proxy_access = {self.proxy_access!r}: the chat page can't send an API key, so nobody could use it; "
                '"people or programs" would be right, or "access": "programs" in single routes'
            )
        for route in self.routes:
            if route.is_management and not self.access_of(route).needs_sign_in:
                raise ValueError(
                    f"{route.path}: {route.to} lets its callers change or fill this host, and "
                    f'"{route.access or self.proxy_access}" lets callers in who did not sign in; "access": "people" '
                    'or "programs" in the route would be right. Or run it on the host: '
                    "docker exec hearth-ollama ollama …"
                )

    @classmethod
    def from_data(cls, data: Mapping[str, Any], host: str = "host") -> Settings:
        """Build the settings from a host's data as pyinfra has it.

        Args:
            data: names to primitives; names that begin with `ssh_`, `_` or `x_` are left out.
            host: the host's name, for messages.

        Raises:
            SettingsError: one line per setting that is missing, unknown or wrong.
        """
        own = {name: value for name, value in data.items() if not name.startswith(_FOREIGN_PREFIXES)}
        if len(own.keys() & cls.model_fields) < len(cls.model_fields) / 2:
            raise SettingsError(
                f"{host}: {'hardly any' if own else 'no'} settings at all: group_data/all.py was not found. Run "
                "pyinfra in the project's own directory, or with --chdir DIRECTORY."
            )
        if broken := [name for name, value in own.items() if not is_text(value)]:
            lines = (f"{host}: {_plain(name)}: has bytes in it that are no text (UTF-8)" for name in broken)
            raise SettingsError("\n".join(lines))
        try:
            return cls.model_validate(own)
        except ValidationError as error:
            raise SettingsError("\n".join(f"{host}: {line}" for line in _explain(error, own))) from None


def _explain(error: ValidationError, data: Mapping[str, Any]) -> list[str]:
    lines = []
    for problem in error.errors(include_url=False):
        location = [str(part) for part in problem["loc"]]
        message = problem["msg"].removeprefix("Value error, ")
        if not location:
            lines.append(message)
            continue
        name = location[0]
        where = _plain(name) + "".join(f"[{_plain(part)}]" for part in location[1:] if part != "[key]")
        if problem["type"] == "extra_forbidden" and len(location) == 1:
            close = difflib.get_close_matches(name, Settings.model_fields, n=1)
            hint = f'; did you mean "{close[0]}"?' if close else "; group_data/all.py lists the settings there are"
            value = "…" if _NOT_SHOWN.intersection(close) else _short(data[name])
            lines.append(f"{where} = {value}: there is no such setting{hint}")
        elif problem["type"] == "missing" and len(location) == 1:
            lines.append(f"{name} is not set; group_data/all.py has its default (is it whole?)")
        elif name in _NOT_SHOWN:
            lines.append(f"{where}: {message}")
        else:
            lines.append(f"{where} = {_short(_value_at(data, problem['loc']))}: {message}")
    return [_one_line(line) for line in lines]


def _plain(name: str) -> str:
    """A name as it is, or as Python writes it if it would not stay on the line."""
    return name if name.isprintable() and name else repr(name)


def _one_line(text: str) -> str:
    """The text with everything escaped that is no plain character: messages may quote what was given."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _short(value: Any) -> str:
    """A value as Python writes it; of a long one, the beginning."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"


def _value_at(data: Any, location: tuple[int | str, ...]) -> Any:
    """The value that a pydantic location points to, or the nearest one above it that exists."""
    for part in location:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            break
    return data
