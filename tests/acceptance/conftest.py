"""The acceptance suite: read-only tests of any inventory's hosts, from outside and inside.

    pytest tests/acceptance --inventory inventory/pi.py        (or: hearth verify inventory/pi.py)

Hosts and settings are read by pyinfra itself, so the expectations match the inventory.
"""

from __future__ import annotations

import io
import json
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import docker
import pytest

from hearth.access.credentials import read_credentials
from hearth.runtime.host_shell import HostOutput, marked_command, new_token
from hearth.runtime.ssh_address import network_address
from hearth.settings.house import HouseError, known_address, resolve_house
from hearth.settings.load import SettingsError, load_settings
from hearth.settings.model import Settings
from hearth.settings.pools import DEFAULT_POOL, Member
from hearth.settings.secret_source import SourceError
from tests.acceptance.api import CREDENTIALS, basic, bearer
from tests.acceptance.engine import engine_tunnel
from tests.acceptance.models import read_capabilities
from tests.acceptance.tunnel import Tunnel

ROOT = Path(__file__).resolve().parent.parent.parent
_TARGETS = pytest.StashKey[dict[str, "Target"]]()


@dataclass(frozen=True)
class Target:
    """One host of the inventory.

    Attributes:
        name: as in the inventory.
        settings: of the host.
        models: what every Ollama behind its page offers; of a backend, what it offers itself.
        ollamas: the hosts whose Ollamas are behind its page, if their logs have its users' requests alone; else none.
        url: of the chat page for clients without TLS, without a trailing slash; "" for a backend, which has none.
        page: its address for browsers. With TLS it differs: `url` is then that of a tunnel.
        trust: arguments for the doctor, with the local CA's certificate.
        ssh: an ssh command line for the host.
        hostspec: the same for testinfra.
        forwards: port on the host → (address, port) from here; ports not in it are used directly.
        address: of the host, from here.
    """

    name: str
    settings: Settings
    url: str
    page: str
    trust: tuple[str, ...]
    ssh: tuple[str, ...]
    hostspec: str
    forwards: dict[int, tuple[str, int]]
    address: str
    models: tuple[str, ...] = ()
    ollamas: tuple[str, ...] = ()

    def address_of(self, port: int) -> tuple[str, int]:
        return self.forwards.get(port, (self.address, port))


def make_target(name: str, data: dict[str, Any]) -> Target:
    """A target from a host's pyinfra data. `x_forwards` maps forwarded ports (of the lab)."""
    settings = load_settings(data, name)
    called = data.get("ssh_hostname", name)
    address = network_address(name, data)
    forwards = {int(port): ("127.0.0.1", int(here)) for port, here in data.get("x_forwards", {}).items()}
    url, page, trust = _addresses(settings, address, forwards)
    options: dict[str, str] = {"sudo": "true"} if data.get("ssh_user") != "root" else {}
    words = ["ssh", "-o", "BatchMode=yes"]
    if "ssh_config_file" in data:
        options["ssh_config"] = data["ssh_config_file"]
        words += ["-F", data["ssh_config_file"]]
    if "ssh_key" in data:
        key = str(Path(data["ssh_key"]).expanduser())
        options["ssh_identity_file"] = key
        words += ["-i", key]
    user = f"{data['ssh_user']}@" if "ssh_user" in data else ""
    if "ssh_port" in data:
        words += ["-p", str(data["ssh_port"])]
    suffix = f":{data['ssh_port']}" if "ssh_port" in data else ""
    return Target(
        name=name,
        settings=settings,
        url=url,
        page=page,
        trust=trust,
        ssh=(*words, f"{user}{called}"),
        hostspec=f"ssh://{user}{called}{suffix}?{urlencode(options)}",
        forwards=forwards,
        address=address,
    )


def _addresses(
    settings: Settings, address: str, forwards: Mapping[int, tuple[str, int]]
) -> tuple[str, str, tuple[str, ...]]:
    """`url`, `page` and `trust` of a target."""
    if not settings.serves_page:
        return "", "", ()
    plain = "{}:{}".format(*forwards.get(settings.proxy_port, (address, settings.proxy_port)))
    if settings.proxy_tls == "off":
        return f"http://{plain}", f"http://{plain}", ()
    host, port = forwards.get(settings.proxy_tls_port, (address, settings.proxy_tls_port))
    names = settings.proxy_tls_names
    name = host if host in names or not names else names[0]
    context = ssl.create_default_context()
    trust: tuple[str, ...] = ()
    if settings.proxy_tls == "local-ca":
        authority = str(Path(settings.proxy_tls_ca).expanduser() / "hearth-ca.crt")
        context.load_verify_locations(authority)
        trust = ("--ca", authority)
    tunnel = Tunnel((host, port), context, name)  # open until the end of the run
    return "http://{}:{}".format(*tunnel.address), f"https://{name}" + ("" if port == 443 else f":{port}"), trust


def credentials(settings: Settings) -> dict[str, str]:
    """Headers of a user or API client with access to the page; none if no sign-in is needed.

    Raises:
        SourceError: the password or key is not available.
    """
    if not settings.uses_credentials:
        return {}
    known = read_credentials(settings)
    for name, password in known.users.items():
        return basic(name, password.get_secret_value())
    return bearer(next(iter(known.api_keys.values())).get_secret_value())


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--inventory", default="inventory/lab.py", help="pyinfra inventory file of the hosts to test")


def pytest_configure(config: pytest.Config) -> None:
    inventory = config.getoption("--inventory")
    # In a separate process: importing pyinfra patches the standard library for gevent.
    done = subprocess.run(
        [str(Path(sys.executable).parent / "pyinfra"), inventory, "debug-inventory", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise pytest.UsageError(f"pyinfra can't read {inventory}: {done.stderr.strip()}")
    hosts = json.loads(done.stdout)
    try:
        targets = [make_target(host["name"], host["data"]) for host in hosts]
        addresses = {one.name: known_address(one.address, one.settings) for one in targets}
        house = resolve_house({one.name: one.settings for one in targets}, addresses)
        targets = [_with_ollamas(one, house) for one in targets]
        for target in targets:
            known = credentials(target.settings)
            CREDENTIALS.update({urlsplit(url).netloc: known for url in (target.url, target.page)})
    except (SettingsError, HouseError, SourceError, OSError) as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[_TARGETS] = {target.name: target for target in targets}


def _with_ollamas(target: Target, house: Mapping[str, Settings]) -> Target:
    """The target with its settings in the house, and what is behind its page."""
    settings = house[target.name]
    members = settings.ollama_pools.get(DEFAULT_POOL, ()) if settings.serves_page else ()
    own = (Member(host=target.name),) if settings.runs_ollama else ()
    hosts = [member.host for member in members or own]
    managed = [house[host].offered_models for host in hosts if host in house]
    # Health checks of backends with TLS are requests to Ollama.
    countable = len(managed) == len(hosts) and not any(member.is_tls for member in members)
    return replace(
        target,
        settings=settings,
        models=tuple(model for model in managed[0] if all(model in one for one in managed)) if managed else (),
        ollamas=tuple(hosts) if countable else (),
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "target" in metafunc.fixturenames:
        needed = metafunc.definition.get_closest_marker("needs")
        targets = metafunc.config.stash[_TARGETS].values()
        parameters = [_parameter(one, needed.args[0] if needed else "") for one in targets]
        metafunc.parametrize("target", parameters, scope="session")


def _parameter(target: Target, needed: str) -> Any:
    """Of a test that needs `page` or `ollama`, or is for all hosts ("")."""
    lacks = {"gateway": "ollama", "backend": "page"}.get(target.settings.host_role)
    marks = []
    if needed and needed == lacks:
        noun = {"ollama": "Ollama", "page": "page"}[needed]
        reason = f'{target.name}: host_role = "{target.settings.host_role}" has no {noun}'
        marks = [pytest.mark.skip(reason=reason)]
    return pytest.param(target, id=target.name, marks=marks)


@pytest.fixture(scope="session")
def settings(target: Target) -> Settings:
    return target.settings


@pytest.fixture(scope="session")
def host(target: Target) -> Any:
    """The host in testinfra."""
    return connect(target)


@pytest.fixture(scope="session")
def ollamas(target: Target, request: pytest.FixtureRequest) -> list[Any]:
    """The hosts in testinfra whose Ollamas are behind the page."""
    if not target.ollamas:
        pytest.skip(f"{target.name}: requests can't be counted at Ollamas outside the inventory or behind TLS")
    return [connect(request.config.stash[_TARGETS][name]) for name in target.ollamas]


def connect(target: Target) -> Any:
    """A host in testinfra, with commands as Hearth itself runs them."""
    import testinfra

    one = testinfra.get_host(target.hostspec)
    run_ssh = one.backend.run_ssh

    def run_marked(command: str) -> Any:
        token = new_token()
        result = run_ssh(marked_command(command, token))
        for stream in ("_stdout", "_stderr"):
            content = io.BytesIO(getattr(result, stream))
            setattr(result, stream, HostOutput(None, content.read, token).read())
        return result

    one.backend.run_ssh = run_marked
    return one


@pytest.fixture(scope="session")
def engine(target: Target) -> Iterator[docker.DockerClient]:
    """The host's Docker engine, reached through ssh."""
    with engine_tunnel(target.ssh, sudo=not target.ssh[-1].startswith("root@")) as client:
        yield client


@pytest.fixture(scope="session")
def capabilities(target: Target, engine: docker.DockerClient) -> dict[str, list[str]]:
    """The capabilities of each configured model."""
    return read_capabilities(engine, target.settings, target.models)


@pytest.fixture(scope="session")
def chat_model(capabilities: dict[str, list[str]]) -> str:
    """The first configured chat model."""
    for model, can in capabilities.items():
        if "completion" in can:
            return model
    pytest.skip("no chat model is configured")
