"""How a run ended, in words."""

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
    places=["http://pi:85/"],
    models={"tinyllama": "637 MB", "llama3.2:1b": ""},
    versions=["Ollama 0.17.4", "httpd 2.4.68", "Docker 26.1.5"],
)


def steps(*results: str) -> list[Step]:
    names = ("Docker | Configure the engine", "Stack | Pull the images", "Models | Pull the models")
    return [Step(name, result) for name, result in zip(names, results, strict=True)]  # type: ignore[arg-type]


def test_a_run_with_nothing_to_do_says_so() -> None:
    assert format_summary(WELL, looked=False) == [
        "the chat page: http://pi:85/",
        "models: tinyllama (637 MB), llama3.2:1b",
        "versions: Ollama 0.17.4, httpd 2.4.68, Docker 26.1.5",
        "changed: nothing",
    ]


def test_what_was_changed_is_named_and_what_would_be() -> None:
    changed = replace(WELL, steps=steps("same", "changed", "changed"))
    assert format_summary(changed, looked=False)[-1] == "changed: Stack | Pull the images, Models | Pull the models"
    assert (
        format_summary(changed, looked=True)[-1]
        == "would be changed: Stack | Pull the images, Models | Pull the models"
    )


def test_a_failure_says_what_happened_what_is_so_now_and_what_to_do() -> None:
    end = replace(WELL, steps=steps("changed", "failed", "not done"), reason="Image x could not be pulled.")
    assert end.failed
    assert format_summary(end, looked=False) == [
        "failed at “Stack | Pull the images”: Image x could not be pulled.",
        "now: done before it: Docker | Configure the engine; what served before serves on; images and parts of them "
        "that arrived are kept",
        "next: put right what it names, then run the same command again: it goes on from there",
    ]
    silent = format_summary(replace(end, reason="", steps=steps("failed", "not done", "not done")), looked=False)
    assert silent[0] == "failed at “Docker | Configure the engine”; what is above says why"
    assert silent[1].startswith("now: done before it: nothing; Hearth's containers were not touched")
    fact = replace(end, reason="Fact precondition not satisfied (Models): the engine gave no answer")
    assert format_summary(fact, looked=False)[0] == "failed at “Stack | Pull the images”: the engine gave no answer"
    long = format_summary(replace(end, reason="x" * 1000 + "the end"), looked=False)[0]
    assert len(long) < 500
    assert long.endswith("the end")


def test_every_step_has_words_for_the_state_that_its_failure_leaves() -> None:
    names = [
        name for role in PACKAGES.glob("*/*deploy.py") for name in re.findall(r'@deploy\("(\w+)"\)', role.read_text())
    ]
    assert len(names) > 10
    for name in names:
        end = replace(WELL, steps=[Step(f"{name} | Do something", "failed")])
        assert "done before it: nothing; " in format_summary(end, looked=False)[1], name


def test_a_host_that_nobody_reached_is_told_with_its_reason() -> None:
    (line,) = format_summary(
        HostSummary("pi", "connect", reason="Could not connect (…). Nothing answers there."), looked=False
    )
    assert line == (
        "there was no connection to it, and nothing was changed there: Could not connect (…). Nothing answers there. "
        "Then run the same command again"
    )


def test_a_run_that_ended_early_says_where() -> None:
    end = replace(WELL, steps=steps("same", "same", "not done"))
    assert not end.failed
    assert format_summary(end, looked=False)[0] == "the run ended before “Models | Pull the models”"
    assert "the models that the host has can be used" in format_summary(end, looked=False)[1]


def test_hosts_that_nothing_was_changed_on() -> None:
    for end in (HostSummary("pi", "connect"), HostSummary("pi", "execute", prepared=False)):
        assert end.failed
        (line,) = format_summary(end, looked=False)
        assert "nothing was changed" in line
        assert "run the same command again" in line


def test_the_address_is_the_one_that_people_open(make_settings: Make) -> None:
    plain = make_settings()
    assert page_addresses(plain, "192.168.1.189", {}) == ["http://192.168.1.189:85/"]
    assert page_addresses(plain, "fd12::1", {}) == ["http://[fd12::1]:85/"]
    assert page_addresses(plain, "pi", {"85": 40085}) == ["http://127.0.0.1:40085/"]
    named = make_settings(proxy_port=80, proxy_host_names=["pi.fritz.box"])
    assert page_addresses(named, "192.168.1.189", {}) == ["http://192.168.1.189/", "http://pi.fritz.box/"]
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
def test_versions_are_those_of_the_images(reference: str, version: str) -> None:
    assert image_version(reference) == version


def test_times_are_said_in_units_that_people_use() -> None:
    assert [format_duration(seconds) for seconds in (9.34, 59.9, 227, 3600)] == [
        "9.3 s",
        "59.9 s",
        "3 min 47 s",
        "60 min 0 s",
    ]
