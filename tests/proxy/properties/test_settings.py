"""Every value of every setting either results in files that the real programs read as intended, or in one clear error.

Examples are the same in each run; HEARTH_EXAMPLES=5000 uses other and more examples.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from typing import Any

import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as profile

from hearth.render.chat_page import render_page
from hearth.render.compose import render_compose
from hearth.render.httpd_conf import render_httpd_conf
from hearth.settings.load import SettingsError, load_settings
from hearth.settings.model import Settings
from hearth.settings.types import size_in_bytes
from tests.proxy.properties.conftest import Dump, Read
from tests.proxy.properties.shape import Page, keys, outline, tame
from tests.proxy.properties.values import PHASES, changed
from tests.support.shipped import defaults

MORE = int(os.environ.get("HEARTH_EXAMPLES", "0"))
EXAMPLES = profile(
    max_examples=MORE or 500,
    derandomize=not MORE,
    deadline=None,
    database=None,
    phases=PHASES,
    suppress_health_check=list(HealthCheck),
)


def test_settings(read_conf: Dump, read_compose: Read) -> None:
    count: Counter[str] = Counter()

    @EXAMPLES
    @given(changed())
    def run(data: dict[str, Any]) -> None:
        try:
            settings = load_settings(defaults() | data, "pi")
        except SettingsError as error:
            count["refused"] += 1
            check_message(str(error), data)
            return
        count["accepted"] += 1
        check_conf(settings, read_conf)
        check_compose(settings, read_compose)
        check_page(settings)

    run()
    # Otherwise the test shows little.
    assert count["accepted"] > count.total() / 3, count
    assert count["refused"] > count.total() / 10, count


def check_message(message: str, data: dict[str, Any]) -> None:
    """Each line is an error that names a setting."""
    names = [*Settings.model_fields, *data, *map(repr, data)]
    for line in message.split("\n"):
        assert line.startswith("pi: "), message
        assert line.isprintable(), message
        assert any(name in line for name in names), message


def check_conf(settings: Settings, read: Dump) -> None:
    found = read(render_httpd_conf(settings))
    assert outline(found) == outline(read(render_httpd_conf(tame(settings))))
    targets = {
        (route.path, f"http://ollama:11434{route.to}" if route.is_ollama else route.to)
        for route in settings.routes
        if not (route.is_upload or route.names_model)
    }
    assert {tuple(words[:2]) for name, words in found if name == "ProxyPass"} == targets
    [pattern] = [words[1] for name, words in found if name == "SetEnvIf" and words[0] == "Origin"]
    for origin in settings.allowed_origins:
        assert re.fullmatch(pattern, origin.replace("*", "a.b")), (pattern, origin)
    for origin in ("http://evil.example.invalid", "null", "", "*"):
        assert not re.search(pattern, origin), pattern
    [limit] = [
        re.findall(r"-gt (\S+)", words[1]) for name, words in found if name == "RewriteCond" and "-gt" in words[1]
    ]
    assert limit == [str(size_in_bytes(settings.proxy_max_body))]


def check_compose(settings: Settings, read: Read) -> None:
    text = render_compose(settings)
    document = read(text)
    assert keys(document) == keys(read(render_compose(tame(settings))))
    ollama, httpd = document["services"]["ollama"], document["services"]["httpd"]
    assert (ollama["image"], httpd["image"]) == (settings.ollama_image, settings.proxy_image)
    environment = ollama["environment"]
    origins = (origin for origin in settings.allowed_origins if re.match("(https?|chrome-extension)://", origin))
    assert environment["OLLAMA_ORIGINS"] == ",".join(origins)
    assert environment["OLLAMA_KEEP_ALIVE"] == settings.ollama_keep_alive
    assert environment["OLLAMA_LOAD_TIMEOUT"] == settings.ollama_load_timeout
    for service, limit in ((ollama, settings.ollama_memory_limit), (httpd, settings.proxy_memory_limit)):
        assert service.get("mem_limit") == (str(size_in_bytes(limit)) if limit else None)
        assert service["logging"]["options"] == {
            "max-size": settings.docker_log_max_size,
            "max-file": str(settings.docker_log_max_files),
        }
    published = {
        (port.get("host_ip", "0.0.0.0"), int(port["published"]))
        for one in (ollama, httpd)
        for port in one.get("ports", [])
    }
    assert published == settings.published_ports
    if settings.ollama_models_dir:
        [models] = [one["source"] for one in ollama["volumes"] if one["target"] == "/root/.ollama"]
        assert models == settings.ollama_models_dir
    # Everything else is as in the template: Compose substituted no environment variables.
    assert "$" not in json.dumps(yaml.safe_load(text)).replace("$$", ""), text


def check_page(settings: Settings) -> None:
    page = Page(render_page(settings)["index.html"].decode())
    plain = Page(render_page(tame(settings))["index.html"].decode())
    assert page.elements == plain.elements
    assert page.texts == [settings.chat_title if text == "T" else text for text in plain.texts]
