"""Rendering of the settings: compose.yaml, httpd.conf and the page."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hearth.paths import CONTAINERS, HTTPD_CONF, HTTPD_USER, MODELS_VOLUME, NETWORKS, PROJECT, SERVICE_NETWORKS
from hearth.render.chat_page import render_page
from hearth.render.compose import render_compose
from hearth.render.httpd_conf import path_pattern, render_httpd_conf
from hearth.render.stack_files import render_tree
from hearth.render.templates import _compose_string
from hearth.settings.load import SettingsError, load_settings
from hearth.settings.model import Settings
from hearth.settings.routes import OLLAMA_ENDPOINTS, OLLAMA_MANAGEMENT

Make = Callable[..., Settings]

FLASK = {"path": "/flask/", "to": "http://host.docker.internal:5001/", "methods": ["GET", "HEAD", "POST"]}


MODEL_NAMES = ["llama3.2:1b", "a", "Qwen3-0.6B_x", "", "a/b", "../delete", "-a", "a?b", "a%2fb", ".hidden", "a b"]


def compose(settings: Settings) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(render_compose(settings))
    return document


def directives(conf: str, name: str) -> list[list[str]]:
    """Arguments of all directives with a name, in order, split like httpd does."""
    lines = (line.strip() for line in conf.splitlines())
    found = (line.partition(" ") for line in lines if line.startswith(f"{name} "))
    return [[quoted or bare for quoted, bare in re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', rest)] for *_, rest in found]


# --- compose.yaml ---------------------------------------------------------------------------------


def test_names_are_those_of_operations_and_facts(settings: Settings) -> None:
    document = compose(settings)
    assert document["name"] == PROJECT
    assert {name: one["container_name"] for name, one in document["services"].items()} == CONTAINERS
    names = {key: network["name"] for key, network in document["networks"].items()}
    for service, networks in SERVICE_NETWORKS.items():
        assert {names[key] for key in document["services"][service]["networks"]} == networks
    assert set(names.values()) < set(NETWORKS)
    assert [volume["name"] for volume in document["volumes"].values()] == [MODELS_VOLUME]
    assert HTTPD_CONF in " ".join(document["services"]["httpd"]["command"])


def test_ollama_gets_its_settings_as_strings(make_settings: Make) -> None:
    settings = make_settings(
        allowed_origins=["http://a:1", "https://*.b.c"],
        ollama_keep_alive="-1",
        ollama_load_timeout="7m",
        ollama_num_parallel=3,
        ollama_max_loaded_models=2,
        ollama_max_queue=9,
        ollama_context_length=8192,
        ollama_memory_limit="3g",
    )
    ollama = compose(settings)["services"]["ollama"]
    assert ollama["environment"] == {
        "OLLAMA_HOST": "0.0.0.0:11434",
        "OLLAMA_ORIGINS": "http://a:1,https://*.b.c",
        "OLLAMA_KEEP_ALIVE": "-1",
        "OLLAMA_LOAD_TIMEOUT": "7m",
        "OLLAMA_NUM_PARALLEL": "3",
        "OLLAMA_MAX_LOADED_MODELS": "2",
        "OLLAMA_MAX_QUEUE": "9",
        "OLLAMA_CONTEXT_LENGTH": "8192",
        "OLLAMA_NO_CLOUD": "1",
        "HEARTH_HEAL_STUCK": "1",
    }
    assert ollama["mem_limit"] == "3g"


def test_ollamas_cloud_is_off_by_default(make_settings: Make) -> None:
    environment = compose(make_settings(ollama_cloud=True))["services"]["ollama"]["environment"]
    assert environment["OLLAMA_NO_CLOUD"] == "0"


def test_images_ports_and_logs(make_settings: Make) -> None:
    settings = make_settings(
        ollama_image="mirror.example:5000/ollama/ollama:0.17.4",
        proxy_image="httpd@sha256:" + "0" * 64,
        proxy_port=8085,
        ollama_publish="192.168.1.5:11500",
        docker_log_max_size="1m",
        docker_log_max_files=7,
    )
    services = compose(settings)["services"]
    assert services["ollama"]["image"] == settings.ollama_image
    assert services["httpd"]["image"] == settings.proxy_image
    assert services["ollama"]["ports"] == ["192.168.1.5:11500:11434"]
    assert services["httpd"]["ports"] == ["8085:80"]
    for service in services.values():
        assert service["logging"]["options"] == {"max-size": "1m", "max-file": "7"}
        assert service["restart"] == "unless-stopped"


def test_bridges_have_valid_interface_names(settings: Settings) -> None:
    networks = compose(settings)["networks"].values()
    bridges = [network["driver_opts"]["com.docker.network.bridge.name"] for network in networks]
    assert bridges == [network["name"] for network in networks]
    assert all(len(bridge) <= 15 for bridge in bridges)


def test_only_the_network_between_both_is_internal_and_shared(settings: Settings) -> None:
    document = compose(settings)
    internal = [key for key, network in document["networks"].items() if network.get("internal")]
    assert set.intersection(*(set(service["networks"]) for service in document["services"].values())) == set(internal)


@pytest.mark.parametrize("service", CONTAINERS)
def test_containers_have_minimal_privileges(settings: Settings, service: str) -> None:
    definition = compose(settings)["services"][service]
    assert definition["read_only"] is True
    assert definition["cap_drop"] == ["ALL"]
    assert definition["security_opt"] == ["no-new-privileges:true"]
    assert definition["pids_limit"] > 0
    assert all("size=" in mount for mount in definition["tmpfs"]), "one without a size may take half the memory"
    assert not {"privileged", "cap_add", "devices", "network_mode", "pid", "ipc", "userns_mode"} & definition.keys()
    assert "docker.sock" not in str(definition)


def test_httpd_is_never_root(settings: Settings) -> None:
    assert compose(settings)["services"]["httpd"]["user"] == HTTPD_USER


def test_a_models_directory_may_belong_to_another_user(make_settings: Make) -> None:
    ollama = compose(make_settings(ollama_models_dir="/mnt/ssd/ollama"))["services"]["ollama"]
    assert (ollama["cap_drop"], ollama["cap_add"]) == (["ALL"], ["DAC_OVERRIDE"])


def test_unset_means_absent(make_settings: Make) -> None:
    services = compose(make_settings(ollama_publish="", proxy_memory_limit="", ollama_memory_limit=""))["services"]
    assert "ports" not in services["ollama"]
    assert not any("mem_limit" in service for service in services.values())


def test_a_models_directory_replaces_the_volume(make_settings: Make) -> None:
    document = compose(make_settings(ollama_models_dir="/mnt/ssd/ollama"))
    mounts = [mount for mount in document["services"]["ollama"]["volumes"] if mount["target"] != "/hearth"]
    assert [(mount["type"], mount["source"], mount["target"]) for mount in mounts] == [
        ("bind", "/mnt/ssd/ollama", "/root/.ollama"),
        # A guard: this directory is missing if the mount point has no disk.
        ("bind", "/mnt/ssd/ollama/models", "/root/.ollama/models"),
    ]
    assert all(mount["bind"]["create_host_path"] is False for mount in mounts), "a missing disk is an error"
    assert "volumes" not in document


@pytest.mark.parametrize(("routes", "expected"), [([], False), ([FLASK], True)])
def test_the_host_gateway_is_set_for_routes_that_need_it(make_settings: Make, routes: Any, expected: bool) -> None:
    assert ("extra_hosts" in compose(make_settings(proxy_extra_routes=routes))["services"]["httpd"]) is expected


def test_httpd_does_not_wait_for_ollama(settings: Settings) -> None:
    """Compose would wait for Ollama's health while httpd is down for an upgrade."""
    services = compose(settings)["services"]
    assert "depends_on" not in services["httpd"]
    assert "depends_on" not in services["ollama"]


def test_the_health_check_is_a_file_of_the_tree(make_settings: Make) -> None:
    for heals in (True, False):
        settings = make_settings(ollama_heal_stuck=heals)
        ollama = compose(settings)["services"]["ollama"]
        (mount,) = [mount for mount in ollama["volumes"] if mount["target"] == "/hearth"]
        assert mount["read_only"] is True
        shell, script = ollama["healthcheck"]["test"][1:]
        assert shell == "bash"
        name = script.replace("/hearth", mount["source"].removeprefix("./"))
        assert b"HEARTH_HEAL_STUCK" in render_tree(settings)[name]
        assert ollama["environment"]["HEARTH_HEAL_STUCK"] == str(int(heals))


def test_every_dollar_survives_interpolation(settings: Settings) -> None:
    """Compose expands `$x` and reads `$$` as a dollar. No setting allows one today, so this tests the filter."""
    assert yaml.safe_load(_compose_string("a$HOME$")) == "a$$HOME$$"
    assert re.sub(r"\$\$", "", render_compose(settings)).count("$") == 0


@given(st.text(alphabet=st.characters(codec="utf-8", max_codepoint=0xFFFF)))
def test_any_text_is_one_yaml_string(text: str) -> None:
    assert yaml.safe_load(f"a: {_compose_string(text)}\n") == {"a": text.replace("$", "$$")}


def test_secrets_are_mounted_for_httpd_only_and_only_with_credentials(make_settings: Make) -> None:
    def mounts(settings: Settings, service: str) -> list[str]:
        return [mount["source"] for mount in compose(settings)["services"][service]["volumes"]]

    gated = make_settings(proxy_access="users", proxy_users={"anna": {"env": "HEARTH_ANNA"}})
    assert "./secrets/httpd" in mounts(gated, "httpd")
    assert not any("secrets" in source for source in mounts(gated, "ollama"))
    (mount,) = [one for one in compose(gated)["services"]["httpd"]["volumes"] if "secrets" in one["source"]]
    assert (mount["read_only"], mount["bind"]) == (True, {"create_host_path": False})
    near = make_settings(proxy_access="networks", proxy_allowed_networks=["192.168.1.0/24"])
    assert not any("secrets" in source for source in mounts(near, "httpd"))
    assert "HEARTH_ANNA" not in "".join(content.decode() for content in render_tree(gated).values())


def test_with_networks_the_port_is_not_open_over_ipv6(make_settings: Make) -> None:
    """Docker forwards IPv6 callers from its own address, which could be in a listed network."""
    route = {"path": "/x", "to": "/api/chat", "methods": ["POST"], "access": "networks"}
    near = make_settings(proxy_extra_routes=[route], proxy_allowed_networks=["192.168.1.0/24"], proxy_port=8085)
    assert compose(near)["services"]["httpd"]["ports"] == ["0.0.0.0:8085:80"]


def test_with_trusted_proxies_the_port_is_not_open_over_ipv6(make_settings: Make) -> None:
    """Docker forwards IPv6 callers from its own address, which could be trusted."""
    settings = make_settings(proxy_trusted_proxies=["192.168.1.189"], proxy_port=8085)
    assert compose(settings)["services"]["httpd"]["ports"] == ["0.0.0.0:8085:80"]


# --- httpd.conf -----------------------------------------------------------------------------------


def test_each_route_exists_once_with_its_target(make_settings: Make) -> None:
    settings = make_settings(proxy_extra_routes=[FLASK])
    passes = [(path, to) for path, to, *_ in directives(render_httpd_conf(settings), "ProxyPass")]
    assert sorted(passes) == sorted(
        (route.path, f"http://ollama:11434{route.to}" if route.is_ollama else route.to)
        for route in settings.routes
        if not route.names_model
    )


def test_the_seeds_contract(settings: Settings) -> None:
    assert ["/api/ollama", "http://ollama:11434/api/generate"] in directives(render_httpd_conf(settings), "ProxyPass")


def test_no_route_leads_to_a_prefix_of_ollama(make_settings: Make) -> None:
    conf = render_httpd_conf(make_settings(proxy_extra_routes=[FLASK]))
    targets = [to for _, to, *_ in directives(conf, "ProxyPass") if "ollama" in to]
    assert {to.removeprefix("http://ollama:11434") for to in targets} <= set(OLLAMA_ENDPOINTS)
    ((pattern, to, *_),) = [match for match in directives(conf, "ProxyPassMatch") if match[1] != "!"]
    assert to == "http://ollama:11434/v1/models/$1"
    assert [name for name in MODEL_NAMES if re.search(pattern, f"/v1/models/{name}")] == MODEL_NAMES[:3]


def test_management_is_not_routed(make_settings: Make) -> None:
    conf = render_httpd_conf(make_settings(proxy_extra_routes=[FLASK]))
    assert [path for path in OLLAMA_MANAGEMENT if path in conf] == []


def test_each_exact_route_is_preceded_by_the_exclusion_of_paths_below(settings: Settings) -> None:
    conf = render_httpd_conf(settings)
    exclusions = [match[0] for match in directives(conf, "ProxyPassMatch") if match[1] == "!"]
    assert len(exclusions) == len(settings.routes)
    for route, pattern in zip(settings.routes, exclusions, strict=True):
        path = route.path.replace("{model}", "llama3.2:1b")
        forwards = f'\nProxyPassMatch "^{route.base}(' if route.names_model else f'\nProxyPass "{route.path}" '
        assert conf.index(f'ProxyPassMatch "{pattern}" "!"') < conf.index(forwards)
        assert re.search(pattern, f"{path}/")
        assert re.search(pattern, f"{path}/..;/tags")
        assert not re.search(pattern, path)
        assert not re.search(pattern, f"{path}x")


def test_the_pool_is_configured_before_its_routes(make_settings: Make) -> None:
    conf = render_httpd_conf(make_settings(proxy_timeout=1200, proxy_max_streams=2, proxy_queue_timeout=7))
    assert conf.index('<Proxy "http://ollama:11434/">') < conf.index("\nProxyPass ")
    assert ["addressttl=1", "connectiontimeout=5", "timeout=1200", "max=2", "acquire=7000"] in directives(
        conf, "ProxySet"
    )


def test_the_limit_per_caller_counts_what_takes_a_slot(make_settings: Make) -> None:
    assert "CALLER_STREAMS" not in render_httpd_conf(make_settings())
    conf = render_httpd_conf(make_settings(proxy_max_streams_per_caller=2))
    assert "CALLER_STREAMS=2" in conf
    section = re.search(r'<LocationMatch "([^"]+)">\n  LuaHookFixups [^\n]+ begin_request\n', conf)
    assert section
    paths = ["/api/ollama", "/api/chat", "/v1/chat/completions", "/api/tags", "/api/show", "/v1/models", "/"]
    assert [path for path in paths if re.search(section[1], path)] == paths[:3]


def test_reading_models_is_quick_and_limited(make_settings: Make) -> None:
    """It does not queue behind responses, and is limited like them."""
    conf = render_httpd_conf(make_settings(proxy_max_streams=3, proxy_queue_timeout=7))
    pools = dict(re.findall(r'<Proxy "http://ollama:11434(/api/[^"]+)">\n  ProxySet ([^\n]+)', conf))
    limits = "addressttl=1 connectiontimeout=5 timeout=60"
    assert pools == {
        "/api/tags": limits,
        "/api/show": f"{limits} max=3 acquire=7000",
        "/api/version": limits,
    }


def test_no_pool_begins_with_the_address_of_an_earlier_one(make_settings: Make) -> None:
    """httpd would create no pool for it, and change the settings of the earlier one instead."""
    pools = re.findall(r'<Proxy "([^"]+)">', render_httpd_conf(make_settings()))
    assert "http://ollama:11434/api/version" in pools
    for number, pool in enumerate(pools):
        assert [earlier for earlier in pools[:number] if pool.startswith(earlier)] == []


def test_there_are_spare_threads(make_settings: Make) -> None:
    conf = render_httpd_conf(make_settings(proxy_max_streams=64))
    ((threads,),) = directives(conf, "ThreadsPerChild")
    assert int(threads) > 64
    assert directives(conf, "MaxRequestWorkers") == [[threads]], "one child, so that max= counts for the host"


def test_the_body_limit_is_in_bytes(make_settings: Make) -> None:
    assert '-gt 1048576"' in render_httpd_conf(make_settings(proxy_max_body="1m"))


def test_methods_of_each_route(make_settings: Make) -> None:
    settings = make_settings(
        proxy_extra_routes=[FLASK, {"path": "/flask/ask", "to": "http://10.0.0.1:5001/ask", "methods": ["POST"]}]
    )
    conf = render_httpd_conf(settings)
    sections = re.findall(r'<LocationMatch "([^"]*)">\n  AllowMethods reset\n  AllowMethods ([A-Z ]+)\n', conf)

    def allowed(path: str) -> str:
        """Later sections win."""
        found: list[str] = [methods for pattern, methods in sections if re.search(pattern, path)]
        return found[-1]

    for route in settings.routes:
        assert allowed(route.path.replace("{model}", "llama3.2:1b")) == " ".join(route.methods)
    assert allowed("/flask/anything/below") == "GET HEAD POST"
    assert allowed("/flask/ask") == "POST"


def test_declared_names_are_served_and_no_others(make_settings: Make) -> None:
    conf = render_httpd_conf(make_settings(proxy_host_names=["chat.example.org"]))
    (pattern,) = [test[1:] for name, test, *_ in directives(conf, "RewriteCond") if name == "%{HTTP_HOST}"]

    def served(name: str) -> bool:
        return re.search(pattern, name, re.IGNORECASE) is not None

    for name in ("pi", "PI:85", "raspberrypi.local", "192.168.1.5:85", "[fe80::1]:85", "localhost", "chat.example.org"):
        assert served(name), name
    for name in ("evil.com", "chat.example.org.evil.com", "chatxexample.org", "a.local.evil.com", "", "pi:85x", "a.b"):
        assert not served(name), name


class ProxyTable:
    """httpd's evaluation of ProxyPass and ProxyPassMatch: the first match decides."""

    def __init__(self, conf: str) -> None:
        lines = [line.strip() for line in conf.splitlines()]
        self.entries = [line.split('"')[:4] for line in lines if line.startswith(("ProxyPass ", "ProxyPassMatch "))]

    def target(self, path: str) -> str:
        """The address that a path is forwarded to, or "" for none."""
        for kind, source, _, to in self.entries:
            if kind.startswith("ProxyPassMatch"):
                if match := re.search(source, path):
                    return "" if to == "!" else to.replace("$1", match[1])
            elif path == source or (path.startswith(source) and (source.endswith("/") or path[len(source)] == "/")):
                return to + path[len(source) :]
        return ""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/ollama", "http://ollama:11434/api/generate"),
        ("/v1/models", "http://ollama:11434/v1/models"),
        ("/flask/", "http://host.docker.internal:5001/"),
        ("/flask/a/b", "http://host.docker.internal:5001/a/b"),
        ("/flask", ""),
        ("/", ""),
        ("/api/", ""),
        ("/api/pull", ""),
        ("/api/generate", ""),
        ("/api/ollamaX", ""),
        ("/api/ollama/x", ""),
        ("/v1/models/llama3.2", "http://ollama:11434/v1/models/llama3.2"),
        ("/v1/models/", ""),
        ("/v1/models/a/b", ""),
        ("/v1/models/..;/x", ""),
    ],
)
def test_where_a_path_is_forwarded(make_settings: Make, path: str, expected: str) -> None:
    assert ProxyTable(render_httpd_conf(make_settings(proxy_extra_routes=[FLASK]))).target(path) == expected


@pytest.mark.parametrize(
    "routes",
    [
        [{"path": "/v1/models/mine", "to": "http://10.0.0.1:5001/mine", "methods": ["GET"]}],
        [{"path": "/v1/models/mine/", "to": "http://10.0.0.1:5001/mine/", "methods": ["GET"]}],
    ],
)
def test_a_route_below_an_exact_route_is_reached(make_settings: Make, routes: list[dict[str, Any]]) -> None:
    settings = make_settings(proxy_extra_routes=routes)
    table = ProxyTable(render_httpd_conf(settings))
    paths = [route.path.replace("{model}", "llama3.2:1b") for route in settings.routes]
    assert [path for path in paths if table.target(path) == ""] == []
    assert table.target(routes[0]["path"]) == routes[0]["to"]
    ((pattern, *_),) = [
        rule for rule in directives(render_httpd_conf(settings), "RewriteRule") if "ROUTE:1" in rule[-1]
    ]
    assert not re.search(pattern, routes[0]["path"]), "the origin policy is the backend's"


def test_the_origin_policy_applies_to_routes_to_ollama_only(make_settings: Make) -> None:
    settings = make_settings(proxy_extra_routes=[FLASK])
    conf = render_httpd_conf(settings)
    ((pattern, *_),) = [rule for rule in directives(conf, "RewriteRule") if rule[-1] == "[E=ROUTE:1]"]
    gated = {
        route.path for route in settings.routes if re.search(pattern, route.path.replace("{model}", "llama3.2:1b"))
    }
    assert gated == {route.path for route in settings.routes if route.is_ollama}
    assert not re.search(pattern, "/flask/x")
    assert f'<LocationMatch "{pattern}">\n  RequestHeader unset Origin\n' in conf


def test_redirects_of_a_backend_are_rewritten(make_settings: Make) -> None:
    conf = render_httpd_conf(make_settings(proxy_extra_routes=[FLASK]))
    assert directives(conf, "ProxyPassReverse") == [[FLASK["path"], FLASK["to"]]]


def test_without_routes_nothing_is_proxied(make_settings: Make) -> None:
    conf = render_httpd_conf(make_settings(proxy_routes=[]))
    assert directives(conf, "ProxyPass") == []
    assert not re.search(path_pattern(()), "/api/ollama")


# Text that the settings may or may not accept; test_model has trailing newlines.
ill_meant = st.text(alphabet='abz09.-_~/:*[]"\\\n\r$%{}#<> ', min_size=1, max_size=9)
hostile = st.one_of(st.from_regex(r"[a-z0-9]{1,3}[./~-]?[a-z0-9]{1,3}", fullmatch=True), ill_meant).filter(
    lambda text: text[-1] != "\n"
)
paths = hostile.map("/{}".format)
changes = st.fixed_dictionaries(
    {},
    optional={
        "allowed_origins": st.lists(hostile.map("http://{}".format), max_size=2),
        "proxy_host_names": st.lists(hostile, max_size=2),
        "proxy_extra_routes": st.lists(
            st.fixed_dictionaries(
                {
                    "path": paths,
                    "to": st.one_of(st.just("/api/chat"), paths.map("http://backend:5001{}".format)),
                    "methods": st.just(["POST"]),
                }
            ),
            max_size=2,
        ),
        "proxy_max_body": hostile,
        "proxy_timeout": st.integers(600, 86400),
        "proxy_max_streams": st.integers(1, 256),
        "proxy_queue_timeout": st.integers(1, 600),
    },
)


@given(changes)
def test_no_setting_breaks_out_of_its_directive(
    defaults: dict[str, Any], make_settings: Make, changed: dict[str, Any]
) -> None:
    try:
        accepted = load_settings(defaults | changed)
    except SettingsError:
        return
    plain = render_httpd_conf(make_settings(proxy_extra_routes=[FLASK]))
    conf = render_httpd_conf(accepted)
    known = {line.strip().split(" ")[0] for line in plain.splitlines()}
    for line in conf.splitlines():
        assert line.strip().split(" ")[0] in known, "no directive that the template does not have"
        assert len(re.findall(r'(?<!\\)"', line)) % 2 == 0, "quotes pair up"
        assert not line.endswith("\\"), "no line runs into the next"
    more = len(accepted.proxy_extra_routes) - 1
    assert len(directives(conf, "ProxyPass")) == len(directives(plain, "ProxyPass")) + more
    assert len(directives(conf, "RewriteRule")) == len(directives(plain, "RewriteRule"))


# --- The page -------------------------------------------------------------------------------------


@given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=80))
def test_the_title_is_plain_text(defaults: dict[str, Any], title: str) -> None:
    try:
        settings = load_settings(defaults | {"chat_title": title})
    except SettingsError:
        return
    page = render_page(settings)["index.html"].decode()
    shown = re.findall(r"<(?:title|h1)>([^<>]*)</", page)
    assert [html.unescape(one) for one in shown] == [title, title]


def test_markup_in_the_title_is_escaped(make_settings: Make) -> None:
    page = render_page(make_settings(chat_title='</title><script src="x">'))["index.html"].decode()
    assert '<script src="x">' not in page
    assert "&lt;script" in page


def test_the_page_offers_named_pools(make_settings: Make) -> None:
    pool = [{"url": "http://192.168.1.30:11434"}]
    pages = [
        render_page(make_settings(ollama_pools=pools))["index.html"].decode()
        for pools in ({}, {"default": pool}, {"default": pool, "big": pool, "code": pool})
    ]
    assert pages[0] == pages[1]
    menu = re.search(r'\s*<label for="pool">.*?</select>', pages[2], re.S)
    assert menu
    assert re.findall(r"<option[^>]*>([^<]*)", menu[0]) == ["default", "big", "code"]
    assert pages[2].replace(menu[0], "") == pages[0], "more than the menu differs"


def test_the_page_loads_nothing_from_other_hosts(settings: Settings) -> None:
    for name, content in render_page(settings).items():
        addresses = set(re.findall(r"https?://[^\s\"'`)]+", content.decode()))
        assert addresses <= {"http://www.w3.org/2000/svg"}, name


def test_the_page_references_only_existing_files(settings: Settings) -> None:
    files = render_page(settings)
    named = re.findall(r'(?:src|href)="([^"]+)"', files["index.html"].decode())
    assert named
    assert set(named) <= set(files)


def test_the_tree_has_the_page_and_both_configurations(settings: Settings) -> None:
    tree = render_tree(settings)
    assert {"compose.yaml", "httpd/httpd.conf", "htdocs/index.html", "htdocs/chat.js"} <= set(tree)
    assert {path.partition("/")[0] for path in tree} == {"compose.yaml", "httpd", "htdocs", "ollama"}
    assert all(content for content in tree.values())
    assert not any("{{" in content.decode() or "{%" in content.decode() for content in tree.values())
    assert render_tree(settings) == tree, "the same settings give the same bytes"


# --- pools ----------------------------------------------------------------------------------------


def members_of(settings: Settings) -> list[dict[str, str]]:
    """The members of all balancers, in order."""
    found = directives(render_httpd_conf(settings), "BalancerMember")
    return [{"url": url} | dict(word.split("=", 1) for word in words) for url, *words in found]


@pytest.mark.parametrize(
    ("priorities", "waits"),
    [([1], [5000]), ([1, 2], [250, 4750]), ([1, 1], [2500, 2500]), ([1, 2, 2], [250, 2375, 2375])],
)
def test_waits_for_all_backends_add_up_to_the_queue_timeout(
    make_settings: Make, priorities: list[int], waits: list[int]
) -> None:
    pool = [{"url": f"http://10.0.0.{number}", "priority": one} for number, one in enumerate(priorities, 1)]
    members = members_of(make_settings(ollama_pools={"default": pool}, proxy_queue_timeout=5))
    assert [int(one["acquire"]) for one in members[: len(pool)]] == waits
    assert [int(one["lbset"]) + 1 for one in members[: len(pool)]] == priorities
    assert sum(waits) == 5000


def test_a_pool_is_two_balancers_and_its_slots_are_those_of_its_backends(make_settings: Make) -> None:
    pools = {"default": [{"url": "http://10.0.0.1", "slots": 2}], "big": [{"host": "pc", "url": "http://10.0.0.2:1"}]}
    settings = make_settings(ollama_pools=pools, proxy_max_streams=3)
    conf = render_httpd_conf(settings)
    assert re.findall(r'<Proxy "balancer://(.*)">', conf) == ["default", "default-quick", "big", "big-quick"]
    assert [(one["route"], one["max"]) for one in members_of(settings)] == [("10.0.0.1", "2")] * 2 + [("pc", "3")] * 2
    assert "http://ollama:11434" not in conf
    assert directives(conf, "ThreadsPerChild") == [[str(5 + 252)]]


@pytest.mark.parametrize(
    "pools",
    [{"default": [{"url": "http://10.0.0.1", "slots": 256}]}, {"big": [{"url": "http://10.0.0.1", "slots": 252}]}],
)
def test_pools_may_use_all_threads(make_settings: Make, pools: dict[str, Any]) -> None:
    """With the slots of this host's Ollama, which routes lead to if there are only named pools."""
    settings = make_settings(ollama_pools=pools)
    assert settings.total_slots == 256
    ((limit,),) = directives(render_httpd_conf(settings), "ThreadLimit")
    assert settings.total_slots + 252 <= int(limit)
    assert compose(settings)["services"]["httpd"]["pids_limit"] == 5120


def test_the_health_check_knows_that_httpds_list_is_of_all_backends(make_settings: Make) -> None:
    pools = {"default": [{"host": "pi", "url": "http://ollama:11434"}, {"url": "http://10.0.0.1"}]}
    assert compose(make_settings(ollama_pools=pools))["services"]["ollama"]["environment"]["HEARTH_POOLS"] == "1"
    for alone in (make_settings(), make_settings(host_role="backend", ollama_pools=pools)):
        assert "HEARTH_POOLS" not in compose(alone)["services"]["ollama"]["environment"]


def test_the_health_check_of_a_backend_knows_its_gateways(make_settings: Make) -> None:
    allowed = {"ollama_allowed_networks": ["192.168.1.189", "192.168.1.10", "10.0.0.9/32", "fd12:3456:789a::1"]}
    backend = compose(make_settings(host_role="backend", **allowed))["services"]["ollama"]["environment"]
    assert backend["HEARTH_GATEWAYS"] == "192.168.1.189 192.168.1.10"
    pools = {"default": [{"host": "pi", "url": "http://ollama:11434"}, {"url": "http://10.0.0.1"}]}
    node = compose(make_settings(ollama_publish="0.0.0.0:11434", ollama_pools=pools, **allowed))["services"]["ollama"]
    assert node["environment"]["HEARTH_GATEWAYS"] == "192.168.1.189 192.168.1.10"
    tls = make_settings(host_role="backend", ollama_publish_tls=True, proxy_tls_names=["a.backend.internal"], **allowed)
    for other in (tls, make_settings(ollama_publish="0.0.0.0:11434", **allowed)):
        assert "HEARTH_GATEWAYS" not in compose(other)["services"]["ollama"]["environment"]


def test_a_host_runs_what_its_role_says(make_settings: Make) -> None:
    backend = make_settings(host_role="backend")
    assert set(render_tree(backend)) == {"compose.yaml", "ollama/health.bash"}
    assert compose(backend)["services"]["ollama"]["ports"] == ["0.0.0.0:11434:11434"]
    gateway = make_settings(host_role="gateway", ollama_pools={"default": [{"url": "http://10.0.0.1"}]})
    assert list(compose(gateway)["services"]) == ["httpd"]
    assert "volumes" not in compose(gateway)


def test_a_backend_is_drained_only_where_another_one_can_take_its_requests(make_settings: Make) -> None:
    pc, pi = {"host": "pc", "url": "http://10.0.0.2"}, {"host": "pi", "url": "http://10.0.0.1", "priority": 2}
    settings = make_settings(ollama_pools={"default": [pc, pi], "big": [pc]})
    assert [(one["route"], one.get("status")) for one in members_of(settings)] == [
        *[("pc", "${DRAIN_pc}"), ("pi", "+I${DRAIN_pi}")] * 2,
        *[("pc", "+I")] * 2,
    ]
