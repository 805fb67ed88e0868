"""Every value of every setting either results in files that the real programs read as intended, or in one clear error.

Examples are the same in each run; HEARTH_EXAMPLES=5000 uses other and more examples.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as profile

from hearth.render.chat_page import render_page
from hearth.render.compose import render_compose
from hearth.render.httpd_conf import render_httpd_conf
from hearth.settings.load import SettingsError, load_settings
from hearth.settings.model import Settings
from hearth.settings.types import size_in_bytes
from lab import artefacts
from lab.progress import Stages
from tests.proxy.httpd import Httpd
from tests.proxy.properties.shape import Page, directives, keys, outline, tame
from tests.proxy.properties.values import PHASES, changed
from tests.support.shipped import defaults, shipped_settings

MORE = int(os.environ.get("HEARTH_EXAMPLES", "0"))
EXAMPLES = profile(
    max_examples=MORE or 500,
    derandomize=not MORE,
    deadline=None,
    database=None,
    phases=PHASES,
    suppress_health_check=list(HealthCheck),
)
Dump = Callable[[str], list[tuple[str, list[str]]]]
Read = Callable[[str], Any]


@pytest.fixture(scope="module")
def parts() -> artefacts.Paths:
    with Stages() as stages:
        return artefacts.build(("roots", "compose"), stages)


@pytest.fixture(scope="module")
def read_conf(parts: artefacts.Paths, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dump]:
    """Parses a configuration with the real httpd; fails if it refuses it, or warns."""
    settings = shipped_settings(proxy_port=8085)
    with Httpd(parts["roots"] / "httpd", tmp_path_factory.mktemp("httpd"), settings) as web:

        @cache
        def read(conf: str) -> list[tuple[str, list[str]]]:
            # mod_info is needed to dump the configuration.
            (web.tree / "httpd/trial.conf").write_text(f"LoadModule info_module modules/mod_info.so\n{conf}")
            done = web.execute(
                "httpd -t -D DUMP_CONFIG -f conf/hearth/trial.conf 2>/tmp/err; code=$?; cat /tmp/err >&2; exit $code"
            )
            # Two routes to the same backend share its pool, with the same parameters.
            errors = re.sub(r"(?m)^.*AH01146: Ignoring parameter .*\n", "", web.execute("cat /tmp/err").output)
            assert (done.code, errors) == (0, "Syntax OK\n"), errors
            return directives(done.output)

        yield read


@pytest.fixture(scope="module")
def read_compose(parts: artefacts.Paths, tmp_path_factory: pytest.TempPathFactory) -> Read:
    """Parses a compose.yaml with the real Docker Compose; fails if it refuses it, or warns."""
    directory = tmp_path_factory.mktemp("compose")

    @cache
    def read(text: str) -> Any:
        (directory / "compose.yaml").write_text(text)
        words = [str(parts["compose"] / "docker-compose"), "config", "--format", "json"]
        done = subprocess.run(words, cwd=directory, capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return json.loads(done.stdout)

    return read


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
