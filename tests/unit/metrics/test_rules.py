"""The metrics' files, and the settings that are refused."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from hearth.metrics.rules import render_files, render_program
from hearth.paths import METRICS_SCRIPT, METRICS_UNIT
from hearth.render.stack_files import render_tree
from hearth.settings.load import SettingsError
from hearth.settings.model import Settings

Make = Callable[..., Settings]


def test_metrics_are_off_by_default(settings: Settings) -> None:
    rendered = b"".join(render_tree(settings).values())
    assert b"/metrics" not in rendered
    assert b"status_module" not in rendered


def test_every_metric_is_described() -> None:
    files = render_files_of_default()
    script = files[METRICS_SCRIPT]
    described = set(re.findall(r"(?m)^(hearth_\w+) (?:counter|gauge|histogram) \S", script))
    written = set(re.findall(r'echo "(hearth_\w+)[{ ]', script)) | set(re.findall(r'\\?"(hearth_\w+)\{', script))
    counted = set(re.findall(r"(?m)^(?:counter|histogram) (hearth_\w+)", "".join(files.values())))
    assert len(counted) == 6
    assert (written | counted) - described == set()


def render_files_of_default() -> dict[str, str]:
    from tests.support.shipped import shipped_settings

    return render_files(shipped_settings(metrics_access="anyone"))


@pytest.mark.parametrize(
    ("values", "certificates"),
    [
        ({}, ""),
        (
            {"proxy_tls": "local-ca", "proxy_tls_names": ["pi.local"]},
            "/opt/hearth/tls/live/server.pem",
        ),
    ],
)
def test_the_unit_names_the_certificate(make_settings: Make, values: dict[str, object], certificates: str) -> None:
    unit = render_files(make_settings(metrics_access="anyone", proxy_max_streams=7, **values))[METRICS_UNIT]
    assert f"\nEnvironment=HEARTH_CERTIFICATES={certificates}\n" in unit
    assert "\nEnvironment=HEARTH_SLOTS=7\n" in unit


def test_a_gateway_has_no_ollama_to_report(make_settings: Make) -> None:
    gateway = {"host_role": "gateway", "ollama_pools": {"default": [{"url": "http://10.0.0.1", "slots": 9}]}}
    unit = render_files(make_settings(metrics_access="anyone", **gateway))[METRICS_UNIT]
    assert "\nEnvironment=HEARTH_GATEWAY=1\n" in unit
    assert "\nEnvironment=HEARTH_SLOTS=9\n" in unit
    assert "HEARTH_GATEWAY" not in render_files(make_settings(metrics_access="anyone"))[METRICS_UNIT]


def test_the_program_knows_whether_the_log_has_names(make_settings: Make) -> None:
    users = {"proxy_users": {"anna": {"env": "A"}}, "metrics_access": "users"}
    assert "(?P<user>" not in render_program(make_settings(metrics_access="anyone"))
    assert "(?P<user>" in render_program(make_settings(**users))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"metrics_access": "anyone", "proxy_log": "off"}, 'use proxy_log = "no-addresses"'),
        ({"metrics_access": "users"}, "metrics_access = 'users' requires proxy_users, which is empty"),
        ({"metrics_access": "everyone"}, "metrics_access = 'everyone'"),
        ({"proxy_log": "none"}, "proxy_log = 'none'"),
        (
            {
                "metrics_access": "anyone",
                "proxy_extra_routes": [{"path": "/metrics/", "to": "http://grafana.lan:80/", "methods": ["GET"]}],
            },
            "this is the path of the metrics; use another path for the route",
        ),
    ],
)
def test_invalid_settings_are_refused(make_settings: Make, values: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)):
        make_settings(**values)
