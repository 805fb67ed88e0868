"""The steps of a diagnosis in order, and which of them are skipped after a failure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property

from hearth.doctor.address import Address
from hearth.doctor.checks.api import check_models, check_version, model_size
from hearth.doctor.checks.client_proxy import ProxySetting, check_proxies, proxy_for
from hearth.doctor.checks.clock import check_clock
from hearth.doctor.checks.connection import check_connection
from hearth.doctor.checks.dns import check_name
from hearth.doctor.checks.embedding import check_embedding
from hearth.doctor.checks.origin import check_own_origin, check_page_origin
from hearth.doctor.checks.other_ports import OtherPorts, scan_other_ports
from hearth.doctor.checks.page import check_page
from hearth.doctor.checks.prompt import check_prompt
from hearth.doctor.checks.result import Step
from hearth.doctor.checks.server_identity import identify_server
from hearth.doctor.checks.tls import check_tls
from hearth.doctor.client_environment import ClientEnvironment
from hearth.doctor.http_client import Endpoint
from hearth.doctor.http_response import Response
from hearth.doctor.target import Target


@dataclass(frozen=True)
class Options:
    """Options of a diagnosis.

    Attributes:
        timeout: seconds for each network step.
        patience: seconds to wait for the next word of an answer; 0 to send no prompt.
        tries: how often to attempt what times out, if it is safe to repeat.
        origin: of a page that should be able to call, "" for none.
        model: to prompt, "" for the smallest that answers prompts.
        authorization: value of the `Authorization` header; "" for none.
        authority: PEM file of a CA to trust, in addition to this machine's; "" for none.
    """

    timeout: float = 5.0
    patience: float = 300.0
    tries: int = 2
    origin: str = ""
    model: str = ""
    authorization: str = field(default="", repr=False)
    authority: str = ""


class Diagnosis:
    """One diagnosis of a target; `steps` yields each step when it is done."""

    def __init__(self, target: Target, environment: ClientEnvironment, options: Options) -> None:
        self.target = target
        self.environment = environment
        self.options = options
        self.addresses: list[Address] = []
        self.proxy_setting = ProxySetting()
        self.address: Address | None = None

    @cached_property
    def _other_ports(self) -> OtherPorts:
        """The host's other ports, scanned at most once, when first needed."""
        address = self.address or self.addresses[0]
        return scan_other_ports(self.target, address, min(self.options.timeout, 2.0), self.environment)

    def steps(self) -> Iterator[Step]:
        """Run the steps; after one that ends the diagnosis, the remaining ones are yielded as skipped."""
        step, self.addresses = check_name(self.target, self.environment, self.options.timeout)
        yield step
        self.proxy_setting = proxy_for(self.target, [address.text for address in self.addresses])
        if step.ends:
            # A proxy resolves names itself, so it may reach what this machine can't.
            yield check_proxies(None, self.proxy_setting, self.target, self.options.timeout)
            yield from _skipped("the name does not resolve", "connection", *self._remaining)
            return
        step, self.address = check_connection(
            self.target, self.addresses, self.environment, self.options.timeout, self.options.tries
        )
        yield step
        if self.address is None:
            yield check_proxies(None, self.proxy_setting, self.target, self.options.timeout)
            yield from _skipped("no connection", *self._remaining)
            return
        endpoint = Endpoint(self.target, self.address, self.options.timeout)
        yield check_proxies(endpoint, self.proxy_setting, self.target, self.options.timeout)
        if self.target.scheme == "https":
            step, endpoint = check_tls(endpoint, self.options.authority)
            yield step
            if step.ends:
                yield from _skipped("no TLS", *self._remaining[1:])
                return
        yield from self._check_http(endpoint)

    @property
    def _remaining(self) -> tuple[str, ...]:
        first = ("tls",) if self.target.scheme == "https" else ()
        origin = ("origin",) if self.options.origin else ()
        return (*first, "page", "own page", *origin, "version", "models", "prompt", "clock")

    def _check_http(self, endpoint: Endpoint) -> Iterator[Step]:
        options = self.options
        endpoint = replace(endpoint, authorization=options.authorization)
        step, front = check_page(endpoint, options.tries, lambda: self._other_ports)
        now = datetime.now(UTC)
        yield step
        if step.ends:
            yield from _skipped("the page check failed", *self._remaining[self._remaining.index("own page") : -1])
        else:
            yield from self._check_api(endpoint, front)
        if front is not None:
            yield check_clock(front, now)

    def _check_api(self, endpoint: Endpoint, front: Response | None) -> Iterator[Step]:
        options = self.options
        is_ollama = front is not None and identify_server(front) == "ollama"
        path = "/api/generate" if is_ollama else "/api/ollama"
        yield check_own_origin(endpoint, path)
        if options.origin:
            yield check_page_origin(endpoint, path, options.origin, self._other_ports.hearth if is_ollama else "")
        step = check_version(endpoint, options.tries)
        yield step
        if step.ends:
            yield from _skipped("Ollama does not respond", "models", "prompt")
            return
        step, model = check_models(endpoint, options.model, options.tries)
        yield step
        if not model:
            yield from _skipped("no model to prompt", "prompt")
        elif not options.patience:
            yield from _skipped("--no-prompt", "prompt")
        elif step.data.get("talks") is False:
            yield check_embedding(endpoint, model, options.patience)
        else:
            yield check_prompt(endpoint, path, model, options.patience, size=model_size(model, step))
            if self.proxy_setting.url and not self.proxy_setting.bypassed and not endpoint.authorization:
                through = replace(endpoint, address=None, proxy=self.proxy_setting.url)
                yield check_prompt(through, path, model, options.patience, "prompt through the proxy")


def _skipped(reason: str, *names: str) -> Iterator[Step]:
    for name in names:
        yield Step(name, f"skipped: {reason}", skipped=True)
