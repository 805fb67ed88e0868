"""Settings that are valid one by one, together: either files and names that the real programs accept, or one error.

Each example changes two settings, starting from the defaults, from TLS or from a host with users and API keys.
"""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from itertools import combinations
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, example, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from hearth.docker.daemon_json import dump_config, wanted_config
from hearth.firewall.rules import Restrictions, render_rules
from hearth.settings.house import HouseError, known_address, resolve_house
from hearth.settings.load import SettingsError, load_settings
from hearth.settings.model import Settings
from hearth.settings.model_names import full_name, name_from_manifest, source_name
from lab import artefacts
from lab.progress import Stages
from tests.proxy.ollama import Ollama
from tests.proxy.properties.conftest import Dump, Read
from tests.proxy.properties.test_settings import check_compose, check_conf, check_message, check_page
from tests.proxy.properties.values import ADDRESS, HOST, MODEL, NETWORK, PHASES, PORT, SOME, Values, like, matching
from tests.support.shipped import defaults

MORE = int(os.environ.get("HEARTH_EXAMPLES", "0"))
EXAMPLES = profile(
    max_examples=MORE or 400,
    derandomize=not MORE,
    deadline=None,
    database=None,
    phases=PHASES,
    suppress_health_check=list(HealthCheck),
)
BASES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "TLS": {"proxy_tls": "local-ca", "proxy_tls_names": ["pi.local", "192.168.1.189"]},
    "users": {
        "proxy_access": "networks and (users or api_keys)",
        "proxy_allowed_networks": ["192.168.1.0/24"],
        "proxy_users": {"anna": {"env": "ANNA"}},
        "proxy_api_keys": {"notebook": {"env": "NOTEBOOK"}},
    },
    "registry": {"ollama_model_registry": "http://192.168.1.10:5000"},
}
# Ports of which two are often the same.
FEW_PORTS = st.sampled_from([80, 85, 443, 5000, 11434])
ADDRESSES = st.sampled_from(["127.0.0.1", "0.0.0.0", "192.168.1.189"])
VALUES: dict[str, Values] = SOME | {
    "proxy_port": st.one_of(FEW_PORTS, PORT),
    "proxy_tls_port": st.one_of(FEW_PORTS, PORT),
    "ollama_publish": st.one_of(st.just(""), st.tuples(ADDRESSES, FEW_PORTS).map(lambda t: f"{t[0]}:{t[1]}")),
    "proxy_tls": st.sampled_from(["off", "files", "local-ca", "acme"]),
    "proxy_tls_names": st.lists(HOST.map(lambda host: host.strip("[]")), max_size=3),
    "proxy_tls_hsts_days": st.sampled_from([0, 1, 365]),
    "proxy_access": st.sampled_from(
        ["anyone", "networks", "users", "api_keys", "users or api_keys", "networks or users", "networks and users"]
    ),
    "proxy_allowed_networks": st.lists(NETWORK, max_size=3),
    "ollama_models": st.lists(st.one_of(MODEL, st.just("hf.co/someone/Some-GGUF:Q4_K_M")), max_size=3),
    "ollama_model_registry": st.one_of(
        st.just(""), ADDRESS, matching(r"https?://[a-z0-9.-]{1,9}(:[0-9]{1,4})?(/[a-z]{1,3})?")
    ),
    "proxy_timeout": st.sampled_from([60, 600, 900, 3600]),
    "ollama_load_timeout": st.sampled_from(["1m", "10m", "15m", "1h", "0", "-1"]),
    "docker_source": st.sampled_from(["auto", "distribution", "docker"]),
    "docker_mtu": st.integers(1280, 9000),
    "ollama_allowed_networks": st.lists(
        st.one_of(NETWORK, st.sampled_from(["192.168.1.189", "192.168.1.0/24"])), max_size=3
    ),
    "host_role": st.sampled_from(["both", "gateway", "backend"]),
    "host_address": st.sampled_from(["", "192.168.1.20"]),
    "host_virtual_address": st.sampled_from(["", "192.168.1.5"]),
}
PAIRS = list(combinations(sorted(defaults()), 2))
# Settings with rules between them, or that end up in one name or address.
RELATED = list(
    combinations(
        [
            *("proxy_port", "proxy_tls_port", "ollama_publish", "proxy_tls", "proxy_tls_names", "proxy_access"),
            *("proxy_allowed_networks", "firewall_allowed_networks", "proxy_timeout", "ollama_load_timeout"),
            *("ollama_models", "ollama_model_registry", "ollama_prune_models"),
            *("ollama_allowed_networks", "ollama_publish_tls", "host_role"),
        ],
        2,
    )
)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A base, and two settings by name."""
    known = defaults()
    names = draw(st.one_of(st.sampled_from(PAIRS), st.sampled_from(RELATED)))
    return draw(st.sampled_from(sorted(BASES))), {name: draw(VALUES.get(name, like(known[name]))) for name in names}


def is_valid(data: dict[str, Any]) -> bool:
    try:
        load_settings(data)
    except SettingsError:
        return False
    return True


@pytest.fixture(scope="module")
def accepts_name(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], bool]]:
    """Whether a real Ollama takes a text as a model's name: then it has no such model, else it says something else."""
    with Stages() as stages:
        made = artefacts.build(("roots", "models"), stages)
    with Ollama(made["roots"] / "ollama", tmp_path_factory.mktemp("ollama"), made["models"], names=()) as server:

        @cache
        def ask(name: str) -> bool:
            request = urllib.request.Request(f"{server.url}/api/show", json.dumps({"model": name}).encode())
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request, timeout=20)
            text = refused.value.read().decode()
            is_name = refused.value.code == 404
            assert ("not found" if is_name else "unqualified name") in text, text
            return is_name

        yield ask


@pytest.fixture(scope="module")
def check_daemon(parts: artefacts.Paths, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], None]:
    """Checks a daemon.json with the real dockerd."""
    root, path = parts["engine"] / "root", tmp_path_factory.mktemp("engine") / "daemon.json"
    (loader,) = root.glob("lib64/ld-linux-*.so.*")
    words = [str(loader), "--library-path", ":".join(map(str, root.glob("usr/lib/*-linux-gnu")))]
    words += [str(root / "usr/sbin/dockerd"), "--validate", "--userland-proxy-path", "/bin/true", "--config-file"]

    @cache
    def check(text: str) -> None:
        path.write_text(text)
        done = subprocess.run([*words, str(path)], capture_output=True, text=True, timeout=60)
        assert "configuration OK" in done.stdout + done.stderr, done.stderr

    return check


@cache
def check_rules(wanted: Restrictions) -> None:
    """With the real nft, in a network namespace; it changes nothing."""
    words = ["unshare", *([] if os.geteuid() == 0 else ["-r"]), "--net", "nft", "--check", "--file", "-"]
    done = subprocess.run(words, input=render_rules(wanted), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def check_firewall(settings: Settings) -> None:
    networks = settings.firewall_allowed_networks or ("10.0.0.0/8",)
    check_rules(Restrictions(networks, settings.page_ports, settings.ollama_ports, settings.ollama_sources))


def check_ports(settings: Settings) -> None:
    """No two containers publish one port on the same address."""
    for (address, port), (other, its_port) in combinations(settings.published_ports, 2):
        assert port != its_port or ("0.0.0.0" not in (address, other) and address != other), settings.published_ports


def check_models(settings: Settings, accepts_name: Callable[[str], bool]) -> None:
    for model in settings.ollama_models:
        assert accepts_name(model), model
        assert accepts_name(source_name(model, settings.ollama_model_registry)), settings.ollama_model_registry
        *owner, name = full_name(model).rpartition(":")[0].split("/")
        path = [*["registry.ollama.ai", "library"][: 2 - len(owner)], *owner, name, full_name(model).rpartition(":")[2]]
        assert name_from_manifest("/".join(path)) == full_name(model)


def test_pairs(
    read_conf: Dump,
    read_compose: Read,
    accepts_name: Callable[[str], bool],
    check_daemon: Callable[[str], None],
) -> None:
    count: Counter[str] = Counter()

    @EXAMPLES
    @given(pairs())
    @example(("registry", {"ollama_models": ["hf.co/someone/Some-GGUF:Q4_K_M"], "ollama_update_models": True}))
    # Whatever is drawn, some pairs are refused together.
    @example(("defaults", {"proxy_port": 4000, "ollama_publish": "127.0.0.1:4000"}))
    @example(("defaults", {"ollama_prune_models": True, "ollama_models": []}))
    @example(("defaults", {"ollama_models": ["hf.co/library/a"], "ollama_model_registry": "http://r:5000"}))
    def run(pair: tuple[str, dict[str, Any]]) -> None:
        base, two = pair
        start = defaults() | BASES[base]
        # Values that are refused alone are those of test_settings. One that needs the other is a pair.
        alone = [is_valid(start | {name: value}) for name, value in two.items()]
        assume(any(alone))
        try:
            settings = load_settings(start | two, "pi")
        except SettingsError as error:
            count["refused together" if all(alone) else "refused"] += 1
            check_message(str(error), start | two)
            return
        count["accepted"] += 1
        check_ports(settings)
        check_models(settings, accepts_name)
        check_daemon(dump_config(wanted_config(settings, {})))
        check_firewall(settings)
        if settings.host_role != "both":  # has files of one of the two programs alone
            return
        if settings.proxy_tls != "acme":  # httpd asks the CA when it checks such a configuration
            check_conf(settings, read_conf)
        check_compose(settings, read_compose)
        check_page(settings)

    run()
    # Otherwise the test shows little.
    assert count["accepted"] > count.total() / 3, count
    assert count["refused together"] > 2, count


PI, NODE = "192.168.1.189", "192.168.1.20"
# How the first host lists the second one: by its name, or (as an Ollama that Hearth does not manage) with a URL, too.
LISTED = [{"host": NODE}, {"host": NODE, "url": f"http://{NODE}:11434"}, {"url": f"http://{NODE}:11434"}]


def every_value(settings: Settings) -> None:
    """Each property that other parts of Hearth read, whatever a host has: none of them may crash."""
    for name, value in vars(Settings).items():
        if isinstance(value, property):
            getattr(settings, name)


def test_pairs_in_a_house() -> None:
    """A gateway lists a host of which two settings are changed: either settings for both, or errors with the host's
    name."""
    count: Counter[str] = Counter()

    @EXAMPLES
    @given(pairs(), st.sampled_from(LISTED))
    @example(("defaults", {"ollama_publish": "", "ollama_allowed_networks": [PI]}), LISTED[0])
    @example(("defaults", {"ollama_publish": ""}), LISTED[1])
    def run(pair: tuple[str, dict[str, Any]], listed: dict[str, str]) -> None:
        base, two = pair
        gateway = defaults() | {"ollama_pools": {"default": [{"host": PI}, listed]}}
        try:
            house = {PI: load_settings(gateway, PI), NODE: load_settings(defaults() | BASES[base] | two, NODE)}
        except SettingsError:
            count["refused alone"] += 1
            return
        for one in house.values():
            every_value(one)
        try:
            found = resolve_house(house, {name: known_address(name, one) for name, one in house.items()})
        except HouseError as error:
            count["refused together"] += 1
            for line in str(error).splitlines():
                assert line.startswith((f"{PI}: ", f"{NODE}: ", f"{PI} and {NODE} ")), line
            return
        count["accepted"] += 1
        for one in found.values():
            every_value(one)
            check_firewall(one)

    run()
    assert count["accepted"] > count.total() / 12, count
    assert count["refused together"] > count.total() / 10, count
