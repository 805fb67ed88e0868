"""The walk: the steps in order, and where it makes no sense to go on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property

from hearth.doctor.address import Address
from hearth.doctor.checks.api import check_models, check_version, size_of
from hearth.doctor.checks.client_proxy import Setting, check_proxies, proxy_for
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
from hearth.doctor.http_response import Answer
from hearth.doctor.target import Target


@dataclass(frozen=True)
class Options:
    """How to look.

    Attributes:
        timeout: seconds for each step over the network.
        patience: seconds without a word that a question may take; 0 to ask none.
        tries: how often what may be asked twice is tried, where it times out.
        origin: of a page that is to be let in, "" for none.
        model: to ask, "" for the smallest that answers questions.
        authorization: for a host that asks who calls; "" for none.
        authority: PEM file of an authority to trust, beside those of this machine; "" for none.
    """

    timeout: float = 5.0
    patience: float = 300.0
    tries: int = 2
    origin: str = ""
    model: str = ""
    authorization: str = field(default="", repr=False)
    authority: str = ""


class Diagnosis:
    """One look at a target; `steps` gives each step when it is done."""

    def __init__(self, target: Target, place: ClientEnvironment, options: Options) -> None:
        self.target = target
        self.place = place
        self.options = options
        self.addresses: list[Address] = []
        self.setting = Setting()
        self.address: Address | None = None

    @cached_property
    def _beside(self) -> OtherPorts:
        """The host's other ports, looked at once and only if something asks."""
        address = self.address or self.addresses[0]
        return scan_other_ports(self.target, address, min(self.options.timeout, 2.0), self.place)

    def steps(self) -> Iterator[Step]:
        """The steps of the walk; after one that ends it, those that were not tried are skipped steps."""
        step, self.addresses = check_name(self.target, self.place, self.options.timeout)
        yield step
        self.setting = proxy_for(self.target, [address.text for address in self.addresses])
        if step.ends:
            # A proxy looks names up itself, so it may reach what this machine can't.
            yield check_proxies(None, self.setting, self.target, self.options.timeout)
            yield from _skipped("the name has no address", "connection", *self._later)
            return
        step, self.address = check_connection(
            self.target, self.addresses, self.place, self.options.timeout, self.options.tries
        )
        yield step
        if self.address is None:
            yield check_proxies(None, self.setting, self.target, self.options.timeout)
            yield from _skipped("there is no connection", *self._later)
            return
        way = Endpoint(self.target, self.address, self.options.timeout)
        yield check_proxies(way, self.setting, self.target, self.options.timeout)
        if self.target.scheme == "https":
            step, way = check_tls(way, self.options.authority)
            yield step
            if step.ends:
                yield from _skipped("there is no TLS", *self._later[1:])
                return
        yield from self._ask(way)

    @property
    def _later(self) -> tuple[str, ...]:
        first = ("tls",) if self.target.scheme == "https" else ()
        origin = ("origin",) if self.options.origin else ()
        return (*first, "page", "own page", *origin, "version", "models", "prompt", "clock")

    def _ask(self, way: Endpoint) -> Iterator[Step]:
        options = self.options
        way = replace(way, authorization=options.authorization)
        step, front = check_page(way, options.tries, lambda: self._beside)
        now = datetime.now(UTC)
        yield step
        if step.ends:
            yield from _skipped("the page comes first", *self._later[self._later.index("own page") : -1])
        else:
            yield from self._question(way, front)
        if front is not None:
            yield check_clock(front, now)

    def _question(self, way: Endpoint, front: Answer | None) -> Iterator[Step]:
        options = self.options
        is_ollama = front is not None and identify_server(front) == "ollama"
        path = "/api/generate" if is_ollama else "/api/ollama"
        yield check_own_origin(way, path)
        if options.origin:
            yield check_page_origin(way, path, options.origin, self._beside.hearth if is_ollama else "")
        step = check_version(way, options.tries)
        yield step
        if step.ends:
            yield from _skipped("Ollama does not answer", "models", "prompt")
            return
        step, model = check_models(way, options.model, options.tries)
        yield step
        if not model:
            yield from _skipped("there is no model to ask", "prompt")
        elif not options.patience:
            yield from _skipped("as you asked", "prompt")
        elif step.data.get("talks") is False:
            yield check_embedding(way, model, options.patience)
        else:
            yield check_prompt(way, path, model, options.patience, size=size_of(model, step))
            if self.setting.url and not self.setting.bypassed and not way.authorization:
                through = replace(way, address=None, proxy=self.setting.url)
                yield check_prompt(through, path, model, options.patience, "prompt through the proxy")


def _skipped(why: str, *names: str) -> Iterator[Step]:
    for name in names:
        yield Step(name, f"not tried: {why}", skipped=True)
