"""Settings: complete, typed, and rejected with a helpful message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.settings.load import SettingsError, load_settings
from hearth.settings.model import Settings

Make = Callable[..., Settings]


def refusal(make: Make, **values: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        make(**values)
    return str(caught.value)


def test_every_setting_has_a_default_and_every_default_is_a_setting(defaults: dict[str, Any]) -> None:
    assert set(defaults) == set(Settings.model_fields)


def test_defaults_are_primitives_that_pyinfra_can_print(defaults: dict[str, Any]) -> None:
    def primitive(value: Any) -> bool:
        if isinstance(value, list):
            return all(primitive(item) for item in value)
        if isinstance(value, dict):
            return all(isinstance(key, str) and primitive(item) for key, item in value.items())
        return isinstance(value, str | int | float | bool)

    assert [name for name, value in defaults.items() if not primitive(value)] == []


def test_loading_changes_no_value(defaults: dict[str, Any]) -> None:
    assert load_settings(defaults).model_dump(mode="json") == defaults


@pytest.mark.parametrize("streams", [1, 65, 256])
def test_streams_are_accepted_up_to_the_documented_maximum(make_settings: Make, streams: int) -> None:
    assert make_settings(proxy_max_streams=streams).total_slots == streams


def test_settings_are_immutable(settings: Settings) -> None:
    with pytest.raises(ValueError, match="frozen"):
        settings.proxy_port = 86


@pytest.mark.parametrize(
    ("name", "value", "instead"),
    [
        ("ollama_image", "ollama/ollama:latest", "httpd:2.4.71"),
        ("ollama_image", "ollama/ollama", "ollama/ollama:1.2.3"),
        ("proxy_image", "", "httpd:2.4.71"),
        ("proxy_image", "httpd:2.4.71 --privileged", "httpd:2.4.71"),
        ("proxy_image", "httpd@sha256:abc", "sha256"),
        ("proxy_port", 0, "greater than or equal to 1"),
        ("proxy_port", 65536, "less than or equal to 65535"),
        ("proxy_port", "eighty-five", "valid integer"),
        ("proxy_port", 11434, "change one of them"),
        ("proxy_max_streams_per_caller", 5, "use 3 or less, or 0"),
        ("proxy_max_streams_per_caller", -1, "greater than or equal to 0"),
        ("chat_title", "", "one line of text"),
        ("chat_title", "two\nlines", "one line of text"),
        ("chat_title", "x" * 81, "at most 80"),
        ("allowed_origins", "http://192.168.1.20:8080", "valid tuple"),
        ("proxy_timeout", 0, "greater than or equal to 1"),
        ("proxy_max_streams", 257, "less than or equal to 256"),
        ("proxy_max_body", "32MB", "256m"),
        ("proxy_max_body", "0m", "256m"),
        ("proxy_max_body", "9999999999999999999g", "65536g"),
        ("proxy_max_body", "9" * 5000 + "g", "65536g"),
        ("proxy_memory_limit", "a lot", "256m"),
        ("proxy_memory_limit", "1m", "64m"),
        ("ollama_memory_limit", "9999999999g", "65536g"),
        ("ollama_models", "llama3.2:1b", "valid tuple"),
        ("ollama_models_dir", "models", "/mnt/ssd/ollama"),
        ("ollama_models_dir", "/mnt/ssd/ollama/", "/mnt/ssd/ollama"),
        ("ollama_models_dir", "/mnt/../etc", "/mnt/ssd/ollama"),
        ("ollama_models_dir", "/mnt/./etc", "/mnt/ssd/ollama"),
        ("ollama_models_dir", "/mnt/my disk", "/mnt/ssd/ollama"),
        ("ollama_models_dir", "/mnt/$HOME", "/mnt/ssd/ollama"),
        ("ollama_model_registry", "192.168.1.10:5000", "http://192.168.1.10:5000"),
        (
            "ollama_model_registry",
            "http://192.168.1.10:5000/",
            "with a port or path if needed, without a trailing slash",
        ),
        ("ollama_model_registry", "http://192.168.1.10:5000/models", "without a path"),
        ("ollama_model_registry", "http://[fd00::10]:5000", "IPv4 address only"),
        ("ollama_publish", "11434", "127.0.0.1:11434"),
        ("ollama_publish", "localhost:11434", "127.0.0.1:11434"),
        ("ollama_publish", "127.0.0.1:0", "127.0.0.1:11434"),
        ("ollama_publish", "127.0.0.1:", "127.0.0.1:11434"),
        ("ollama_publish", "0.0.0.0:85", "change one of them"),
        ("ollama_keep_alive", "five minutes", "5m"),
        ("ollama_keep_alive", "-5m", "5m"),
        ("ollama_keep_alive", "999999h999999h999999h", "5m"),
        ("ollama_load_timeout", "20m", "proxy_timeout of at least 1200"),
        ("ollama_context_length", 128, "greater than or equal to 256"),
        ("ollama_cloud", "perhaps", "valid boolean"),
        ("docker_images_gb", -1, "greater than 0"),
        ("docker_source", "snap", "'auto', 'distribution' or 'docker'"),
        ("docker_apt_url", "download.docker.com/linux", "http://"),
        ("docker_live_restore", None, "valid boolean"),
        ("docker_log_max_size", "10", "256m"),
        ("docker_health_timeout", 1.5, "valid integer"),
    ],
)
def test_an_error_has_name_value_and_fix(make_settings: Make, name: str, value: Any, instead: str) -> None:
    message = refusal(make_settings, **{name: value})
    assert name in message
    assert repr(value)[:200] in message or str(value) in message
    assert instead in message
    assert "\n" not in message, "one line per invalid value"


@pytest.mark.parametrize(
    ("model", "cure"),
    [
        ("10.0.0.1:5000/library/tinyllama", 'use "tinyllama" here, and ollama_model_registry = "http://10.0.0.1:5000"'),
        ("nas.lan:5000/anna/bot:1b", 'use "anna/bot:1b" here, and ollama_model_registry = "http://nas.lan:5000"'),
    ],
)
def test_registry_in_a_models_name_is_a_setting(make_settings: Make, model: str, cure: str) -> None:
    message = refusal(make_settings, ollama_models=[model])
    assert cure in message
    registry = cure.rpartition("= ")[2].strip('"')
    settings = make_settings(ollama_models=[cure.split('"')[1]], ollama_model_registry=registry)
    assert settings.ollama_model_registry == registry


def test_model_with_a_path_too_deep_is_refused(make_settings: Make) -> None:
    assert "name or name:tag as in Ollama's library" in refusal(make_settings, ollama_models=["nas:5000/a/b/c/d"])


@pytest.mark.parametrize(
    ("name", "value", "where"),
    [
        ("allowed_origins", ["http://pi:85", "http://pi/"], "allowed_origins[1] = 'http://pi/'"),
        ("docker_registry_mirrors", ["http://a:5000", "b"], "docker_registry_mirrors[1] = 'b'"),
        ("proxy_host_names", ["Chat.example.org"], "proxy_host_names[0] = 'Chat.example.org'"),
        ("ollama_models", ["llama3.2:1b", "a b"], "ollama_models[1] = 'a b'"),
        ("ollama_models", ["hf.co/model"], "three parts"),
        ("ollama_models", ["x" * 81], "ollama_models[0] = "),
        ("ollama_model_sizes_gb", {"llama3.2:1b": 0}, "ollama_model_sizes_gb[llama3.2:1b] = 0: "),
        ("ollama_model_sizes_gb", {"a b": 1.0}, "ollama_model_sizes_gb[a b] = 1.0"),
        (
            "proxy_extra_routes",
            [{"path": "flask/", "to": "http://a:5001/", "methods": ["GET"]}],
            "proxy_extra_routes[0][path] = 'flask/'",
        ),
    ],
)
def test_an_error_points_into_lists_and_tables(make_settings: Make, name: str, value: Any, where: str) -> None:
    assert where in refusal(make_settings, **{name: value})


def test_all_invalid_settings_are_reported_at_once(defaults: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(defaults | {"proxy_port": 0, "ollama_models_dir": "x", "chat_title": ""}, "kitchen")
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert all(line.startswith("kitchen: ") for line in lines)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("proxy_prot", "proxy_port"), ("olama_models", "ollama_models"), ("allowed_origin", "allowed_origins")],
)
def test_an_unknown_name_is_rejected_with_the_closest_one(make_settings: Make, name: str, meant: str) -> None:
    message = refusal(make_settings, **{name: 85})
    assert message == f'host: {name} = 85: unknown setting; did you mean "{meant}"?'


def test_an_unknown_name_without_a_close_one_leads_to_the_list(make_settings: Make) -> None:
    assert "group_data/all.py lists all settings" in refusal(make_settings, zzz=1)


def test_a_missing_default_is_named(defaults: dict[str, Any]) -> None:
    some = {name: value for name, value in defaults.items() if name != "proxy_timeout"}
    with pytest.raises(SettingsError, match=r"^host: proxy_timeout is missing; restore its default"):
        load_settings(some)


def test_without_group_data_the_error_names_the_directory_to_run_in() -> None:
    with pytest.raises(SettingsError, match="--chdir"):
        load_settings({"ssh_user": "pi", "_sudo": True})


def test_connection_data_and_a_users_own_data_are_ignored(defaults: dict[str, Any], settings: Settings) -> None:
    foreign = {"ssh_user": "pi", "ssh_config_file": "x", "_sudo": True, "x_room": "kitchen"}
    assert load_settings(defaults | foreign) == settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ollama_image", "ollama/ollama@sha256:" + "0" * 64),
        ("ollama_image", "192.168.1.10:5000/ollama/ollama:0.17.4"),
        ("proxy_image", "httpd:latest@sha256:" + "0" * 64),
        ("ollama_keep_alive", "-1"),
        ("ollama_keep_alive", "0"),
        ("ollama_keep_alive", "1h30m"),
        ("ollama_publish", ""),
        ("ollama_publish", "0.0.0.0:11434"),
        ("ollama_models", []),
        ("ollama_models", ["tinyllama", "someone/model:q4_K_M", "hf.co/someone/model-GGUF:Q4"]),
        ("ollama_models_dir", "/mnt/ssd/ollama"),
        ("ollama_models_dir", "/usr/share/ollama/.ollama"),
        ("ollama_memory_limit", "3g"),
        ("proxy_memory_limit", ""),
        ("proxy_port", "8085"),  # `--data proxy_port=8085` gives text
        ("docker_registry_mirrors", ["http://192.168.1.10:5000", "https://mirror.example/prefix"]),
        ("proxy_host_names", ["chat.example.org"]),
    ],
)
def test_valid_values(make_settings: Make, name: str, value: Any) -> None:
    kept = getattr(make_settings(**{name: value}), name)
    assert kept == (tuple(value) if isinstance(value, list) else type(kept)(value))


def test_routes_come_longest_first_from_both_tables(make_settings: Make) -> None:
    extra = [
        {"path": "/flask/", "to": "http://host.docker.internal:5001/", "methods": ["GET"]},
        {"path": "/flask/long/er/", "to": "http://host.docker.internal:5002/", "methods": ["GET"]},
    ]
    paths = [route.path for route in make_settings(proxy_extra_routes=extra).routes]
    assert paths == sorted(paths, key=lambda path: len(path.removesuffix("{model}")), reverse=True)
    assert {"/flask/", "/flask/long/er/", "/api/ollama"} <= set(paths)


@pytest.mark.parametrize(("to", "needed"), [("http://host.docker.internal:5001/", True), ("http://10.0.0.2:1/", False)])
def test_the_host_gateway_exists_only_for_routes_to_the_host(make_settings: Make, to: str, needed: bool) -> None:
    routes = [{"path": "/flask/", "to": to, "methods": ["GET"]}]
    assert make_settings(proxy_extra_routes=routes).needs_host_gateway is needed


def test_published_ports(make_settings: Make) -> None:
    assert make_settings(proxy_port=8085, ollama_publish="127.0.0.1:11500").published_ports == {
        ("0.0.0.0", 8085),
        ("127.0.0.1", 11500),
    }
    assert make_settings(ollama_publish="").published_ports == {("0.0.0.0", 85)}


def test_the_load_timeout_may_equal_the_proxy_timeout(make_settings: Make) -> None:
    assert make_settings(proxy_timeout=600, ollama_load_timeout="10m").proxy_timeout == 600


def test_an_infinite_load_timeout_is_rejected(make_settings: Make) -> None:
    assert "ollama_load_timeout" in refusal(make_settings, ollama_load_timeout="-1")


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=30),
    st.lists(st.text(max_size=10), max_size=3),
    st.dictionaries(st.text(max_size=10), st.one_of(st.text(max_size=5), st.integers()), max_size=3),
    st.lists(st.dictionaries(st.sampled_from(["path", "to", "methods", "x"]), st.text(max_size=9)), max_size=2),
)


@given(name=st.sampled_from(sorted(Settings.model_fields)), value=values)
def test_any_invalid_value_raises_a_settings_error(defaults: dict[str, Any], name: str, value: Any) -> None:
    refused = ""
    try:
        load_settings(defaults | {name: value})
    except SettingsError as error:
        refused = str(error)
    assert not refused or name in refused


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ollama_image", "ollama/ollama:0.17.4\n"),
        ("proxy_memory_limit", "256m\n"),
        ("ollama_keep_alive", "5m\n"),
        ("ollama_models_dir", "/mnt/ssd\n"),
        ("ollama_models", ["tinyllama\n"]),
        ("ollama_model_registry", "http://192.168.1.10:5000\n"),
        ("docker_apt_url", "https://download.docker.com/linux\n"),
        ("proxy_host_names", ["chat.example.org\n"]),
        ("ollama_publish", "127.0.0.1:11434\n"),
        ("proxy_extra_routes", [{"path": "/api/x\n", "to": "/api/chat", "methods": ["POST"]}]),
        ("proxy_extra_routes", [{"path": "/x/", "to": "http://a:5001/\n", "methods": ["POST"]}]),
    ],
)
def test_a_trailing_newline_is_rejected(make_settings: Make, name: str, value: Any) -> None:
    refusal(make_settings, **{name: value})


@pytest.mark.parametrize("port", ["1_1", " 11", "+11", "011", "١١"])
def test_a_published_port_has_only_digits(make_settings: Make, port: str) -> None:
    refusal(make_settings, ollama_publish=f"127.0.0.1:{port}")


@pytest.mark.parametrize(("name", "value"), [("proxy_max_body", "٣m"), ("ollama_keep_alive", "٣m")])
def test_only_ascii_digits_are_numbers(make_settings: Make, name: str, value: str) -> None:
    refusal(make_settings, **{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("docker_registry_mirrors", ["http://a:99999"]),
        ("proxy_extra_routes", [{"path": "/x/", "to": "http://a:99999/", "methods": ["GET"]}]),
    ],
)
def test_a_port_above_65535_is_rejected(make_settings: Make, name: str, value: Any) -> None:
    refusal(make_settings, **{name: value})


def test_an_absurd_duration_is_rejected(make_settings: Make) -> None:
    refusal(make_settings, ollama_load_timeout="9" * 400 + "h")


def test_a_load_timeout_of_zero_is_infinite(make_settings: Make) -> None:
    assert "ollama_load_timeout = '0'" in refusal(make_settings, ollama_load_timeout="0")


def test_a_duplicate_path_is_rejected_with_its_setting(make_settings: Make) -> None:
    routes = [{"path": "/api/chat", "to": "/api/chat", "methods": ["POST"]}]
    assert "proxy_extra_routes" in refusal(make_settings, proxy_extra_routes=routes)


def test_pruning_with_an_empty_list_is_rejected(make_settings: Make) -> None:
    with pytest.raises(SettingsError, match=r"ollama_prune_models = True and ollama_models = \[\] would remove every"):
        make_settings(ollama_prune_models=True, ollama_models=[])
    assert make_settings(ollama_prune_models=True).ollama_prune_models
    assert make_settings(ollama_models=[]).ollama_models == ()


def test_invalid_utf_8_is_rejected(make_settings: Make) -> None:
    # Python represents undecodable bytes like this, for example those of an environment variable.
    assert refusal(make_settings, allowed_origins=["http://a\udcff"]) == "host: allowed_origins: not valid UTF-8 text"


def test_an_error_is_one_line(make_settings: Make) -> None:
    route = {"path": "/x", "to": "http://a:1/\n", "methods": ["GET"]}
    assert "\n" not in refusal(make_settings, proxy_extra_routes=[route])
    assert "\n" not in refusal(make_settings, **{"a\nb": 1})
