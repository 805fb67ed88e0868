"""The summary that a run prints."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from hearth.cli.summary_text import HostSummary, Step, format_duration, format_summary, image_version, page_addresses
from hearth.settings.model import Settings
from tests.support.shipped import PROJECT

PACKAGES = PROJECT / "hearth"
Make = Callable[..., Settings]
WELL = HostSummary(
    "pi",
    "execute",
    steps=[Step("Docker | Configure", "same"), Step("Models | Pull the models", "same")],
    addresses=["http://pi:85/"],
    models={"tinyllama": "637 MB", "llama3.2:1b": ""},
    versions=["Ollama 0.17.4", "httpd 2.4.68", "Docker 26.1.5"],
)


def steps(*results: str) -> list[Step]:
    names = ("Docker | Configure the engine", "Stack | Pull the images", "Models | Pull the models")
    return [Step(name, result) for name, result in zip(names, results, strict=True)]  # type: ignore[arg-type]


def test_run_without_changes() -> None:
    assert format_summary(WELL, is_dry=False) == [
        "the chat page: http://pi:85/",
        "models: tinyllama (637 MB), llama3.2:1b",
        "versions: Ollama 0.17.4, httpd 2.4.68, Docker 26.1.5",
        "changed: nothing",
    ]


def test_changes_are_listed_also_in_a_dry_run() -> None:
    changed = replace(WELL, steps=steps("same", "changed", "changed"))
    assert format_summary(changed, is_dry=False)[-1] == "changed: Stack | Pull the images, Models | Pull the models"
    assert (
        format_summary(changed, is_dry=True)[-1]
        == "would be changed: Stack | Pull the images, Models | Pull the models"
    )


def test_failure_names_error_state_and_next_step() -> None:
    end = replace(WELL, steps=steps("changed", "failed", "not done"), reason="Could not pull image x.")
    assert end.failed
    assert format_summary(end, is_dry=False) == [
        "failed at “Stack | Pull the images”: Could not pull image x.",
        "state: completed: Docker | Configure the engine; the previous release is still serving; images downloaded so "
        "far are kept",
        "next: fix the problem above and run the same command again; it resumes there",
    ]
    silent = format_summary(replace(end, reason="", steps=steps("failed", "not done", "not done")), is_dry=False)
    assert silent[0] == "failed at “Docker | Configure the engine”; see the output above"
    assert silent[1].startswith("state: nothing completed; Hearth's containers were not changed")
    fact = replace(end, reason="Fact precondition not satisfied (Models): the engine gave no answer")
    assert format_summary(fact, is_dry=False)[0] == "failed at “Stack | Pull the images”: the engine gave no answer"
    long = format_summary(replace(end, reason="x" * 1000 + "the end"), is_dry=False)[0]
    assert len(long) < 500
    assert long.endswith("the end")


def test_every_deploy_describes_the_state_after_a_failure() -> None:
    names = [
        name for role in PACKAGES.glob("*/*deploy.py") for name in re.findall(r'@deploy\("([^"]+)"\)', role.read_text())
    ]
    assert len(names) > 10
    for name in names:
        end = replace(WELL, steps=[Step(f"{name} | Do something", "failed")])
        assert "state: nothing completed; " in format_summary(end, is_dry=False)[1], name


def test_unreachable_host_is_reported_with_the_reason() -> None:
    (line,) = format_summary(HostSummary("pi", "connect", reason="Could not connect (…). No response."), is_dry=False)
    assert line == (
        "could not connect, nothing was changed: Could not connect (…). No response. Then run the same command again"
    )


def test_interrupted_run_names_the_next_operation() -> None:
    end = replace(WELL, steps=steps("same", "same", "not done"))
    assert not end.failed
    assert format_summary(end, is_dry=False)[0] == "the run ended before “Models | Pull the models”"
    assert "the models on the host work" in format_summary(end, is_dry=False)[1]


def test_unchanged_hosts_are_reported_as_such() -> None:
    for end in (HostSummary("pi", "connect"), HostSummary("pi", "execute", prepared=False)):
        assert end.failed
        (line,) = format_summary(end, is_dry=False)
        assert "nothing was changed" in line
        assert "run the same command again" in line


def test_page_addresses(make_settings: Make) -> None:
    plain = make_settings()
    assert page_addresses(plain, "192.168.1.189", {}) == ["http://192.168.1.189:85/"]
    assert page_addresses(plain, "fd12::1", {}) == ["http://[fd12::1]:85/"]
    assert page_addresses(plain, "pi", {"85": 40085}) == ["http://127.0.0.1:40085/"]
    named = make_settings(proxy_port=80, proxy_host_names=["pi.fritz.box"])
    assert page_addresses(named, "192.168.1.189", {}) == ["http://192.168.1.189/", "http://pi.fritz.box/"]
    shared = make_settings(host_virtual_address="192.168.1.5")
    assert page_addresses(shared, "192.168.1.11", {}) == ["http://192.168.1.5:85/", "http://192.168.1.11:85/"]
    safe = make_settings(proxy_tls="local-ca", proxy_tls_names=["pi.local"])
    assert page_addresses(safe, "192.168.1.189", {}) == ["https://pi.local/"]
    assert page_addresses(
        make_settings(proxy_tls="local-ca", proxy_tls_names=["pi.local"], proxy_tls_port=444), "x", {}
    ) == ["https://pi.local:444/"]


@pytest.mark.parametrize(
    ("reference", "version"),
    [
        ("httpd:2.4.68", "2.4.68"),
        ("192.168.1.10:5000/ollama/ollama:0.17.4", "0.17.4"),
        (f"httpd:2.4.68@sha256:{'a' * 64}", "2.4.68"),
        (f"192.168.1.10:5000/httpd@sha256:{'a' * 64}", "sha256:aaaaaaaaaaaa"),
    ],
)
def test_image_versions(reference: str, version: str) -> None:
    assert image_version(reference) == version


def test_durations_have_readable_units() -> None:
    assert [format_duration(seconds) for seconds in (9.34, 59.9, 227, 3600)] == [
        "9.3 s",
        "59.9 s",
        "3 min 47 s",
        "60 min 0 s",
    ]
