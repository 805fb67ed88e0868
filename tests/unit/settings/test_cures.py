"""Every fix that a message suggests can be carried out: the settings exist, and accept the values that it gives."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hearth.doctor.causes.catalogue import all_causes
from hearth.doctor.target import parse_target
from hearth.render.httpd_conf import render_httpd_conf
from hearth.settings.host_names import listed_form
from hearth.settings.load import load_settings
from hearth.settings.model import Settings
from tests.support.shipped import PROJECT

Make = Callable[..., Settings]

_GROUPS = "allowed|chat|docker|firewall|host|ollama|proxy|releases"
# A setting with a value, as messages write it. Values that contain a placeholder are not literals.
_ASSIGNMENT = re.compile(rf"\b((?:{_GROUPS})_[a-z_]+) = (\"[^\"{{}}]*\"|\[[^\]{{}}]*\]|True|False|\d+)")
_NAME = re.compile(rf"`((?:{_GROUPS})_[a-z_]+)`")
# What must be set together with a suggested value.
_ACME = {"proxy_tls_names": ["chat.example.org"], "proxy_acme_contact": "a@example.org", "proxy_acme_terms": "accepted"}
COMPANIONS: dict[str, dict[str, Any]] = {
    "host_role": {"ollama_pools": {"default": [{"host": "192.168.1.20"}]}},
    "ollama_publish_tls": {"host_role": "backend"},
    "proxy_tls": {"proxy_tls_names": ["pi.local"]},
    'proxy_tls = "acme"': _ACME,
    'ollama_gpu = "amd"': {"ollama_image": "ollama/ollama:0.32.15-rocm"},
    "proxy_access": {"proxy_users": {"anna": {"env": "A"}}, "proxy_api_keys": {"n": {"env": "N"}}},
}
# Messages about a value that is refused, in which it stands after the setting's name.
_REFUSED = re.compile(
    r"would remove every model|not removing all models|lets Ollama wait|has no Compose plugin|= \[\]; use|= \"\"; use|"
    r"= \"\": read the CA|have no pool for the routes"
)


def texts() -> Iterator[tuple[str, str]]:
    """(file, text) of every string in the sources, with `…` for the values in it."""
    for path in sorted((PROJECT / "hearth").rglob("*.py")):
        name = str(path.relative_to(PROJECT))
        tree = ast.parse(path.read_text())
        parts = {id(part) for one in ast.walk(tree) if isinstance(one, ast.JoinedStr) for part in one.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                yield name, "".join(str(one.value) if isinstance(one, ast.Constant) else "{}" for one in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
                yield name, node.value


SUGGESTED = sorted(
    {
        (name, match[1], match[2])
        for name, text in texts()
        if not _REFUSED.search(text)
        for match in _ASSIGNMENT.finditer(text)
    }
)


def test_suggestions_are_found() -> None:
    files = {Path(name).parts[1] for name, *_ in SUGGESTED}
    assert {"doctor", "preflight", "settings"} <= files
    assert len(SUGGESTED) > 15


@pytest.mark.parametrize(("file", "setting", "value"), SUGGESTED)
def test_suggested_value_is_accepted(defaults: dict[str, Any], file: str, setting: str, value: str) -> None:
    assert file
    companions = COMPANIONS.get(f"{setting} = {value}", COMPANIONS.get(setting, {})) if value != '"off"' else {}
    if setting == "proxy_access":
        companions = {key: given for key, given in companions.items() if key.removeprefix("proxy_") in value}
    given = {setting: ast.literal_eval(value)}
    load_settings(defaults | companions | given)


def test_settings_named_by_the_doctor_exist() -> None:
    named = {match[1] for cause in all_causes() for match in _NAME.finditer(cause.why + cause.cure)}
    assert len(named) > 10
    assert named <= set(Settings.model_fields)


@pytest.mark.parametrize(
    ("opened", "listed"),
    [
        ("pi.fritz.box", "pi.fritz.box"),
        ("http://Chat.Example.ORG:85/", "chat.example.org"),
        ("http://pi.fritz.box.:85", "pi.fritz.box"),
        ("my_pi.fritz.box", "my_pi.fritz.box"),
        ("http://bücher.example", "xn--bcher-kva.example"),
    ],
)
def test_doctors_fix_for_a_refused_name_works(make_settings: Make, opened: str, listed: str) -> None:
    host = parse_target(opened).host
    assert listed_form(host) == listed
    settings = make_settings(proxy_host_names=[listed])
    pattern = re.search(r"RewriteCond %\{HTTP_HOST\} !(\S+) \[NC\]", render_httpd_conf(settings))
    assert pattern
    sent = host if host.isascii() else listed
    assert re.search(pattern[1], sent, re.IGNORECASE)
    before = re.search(r"RewriteCond %\{HTTP_HOST\} !(\S+) \[NC\]", render_httpd_conf(make_settings()))
    assert before
    assert not re.search(before[1], sent, re.IGNORECASE), "refused without it"


@pytest.mark.parametrize(
    "name",
    ["my_pi", "MY_PI", "host.docker.internal", "gateway.docker.internal", "host.lima.internal", "pi.local."],
)
def test_names_that_need_no_fix(make_settings: Make, name: str) -> None:
    pattern = re.search(r"RewriteCond %\{HTTP_HOST\} !(\S+) \[NC\]", render_httpd_conf(make_settings()))
    assert pattern
    assert re.search(pattern[1], name, re.IGNORECASE)


@pytest.mark.parametrize(
    ("given", "instead"),
    [
        ("Chat.Example.org", 'use "chat.example.org"'),
        ("pi.fritz.box.", 'use "pi.fritz.box"'),
        ("bücher.example", 'use "xn--bcher-kva.example"'),
        ("http://pi", "without scheme"),
        ("pi..local", "without scheme"),
        ("*.example.org", "without scheme"),
    ],
)
def test_another_spelling_of_a_name_is_corrected(make_settings: Make, given: str, instead: str) -> None:
    with pytest.raises(Exception, match=re.escape(instead)):
        make_settings(proxy_host_names=[given])
