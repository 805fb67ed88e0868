"""Which setting changes which files and containers, and the messages about it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from hearth.releases.release import Release
from hearth.render.compose import render_compose
from hearth.render.stack_files import render_tree
from hearth.settings.model import Settings
from hearth.stack.file_messages import describe_files
from hearth.stack.setting_changes import Files, digests, find_changes, services_between

Make = Callable[..., Settings]
GRACEFUL = "httpd reloads gracefully, nothing is cut"


def release_of(settings: Settings, **changes: Any) -> Release:
    """The release that a deploy of these settings recorded on the host."""
    return Release(
        id="20261122T035004Z-7d0fd9a",
        files=digests(render_tree(settings)),
        settings=settings.model_dump(mode="json") | changes,
    )


def said(then: Settings, now: Settings, drained: frozenset[str] = frozenset(), /, **host: str | None) -> list[str]:
    """Messages for a host deployed with `then`, some of whose files changed since (None: missing).

    Args:
        drained: services that gateways drain first.
    """
    accepted = release_of(then)
    changed = accepted.files | host
    present = {path: digest for path, digest in changed.items() if digest is not None}
    return describe_files(present, render_tree(now), now, accepted, drained)


# New values of settings → expected messages.
SETTINGS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"proxy_timeout": 1000}, [f"proxy_timeout 900 → 1000: httpd/httpd.conf; {GRACEFUL}"]),
    (
        {"ollama_keep_alive": "10m"},
        [
            "ollama_keep_alive 5m → 10m: compose.yaml; the container hearth-ollama is recreated, in-flight responses "
            "are cut"
        ],
    ),
    (
        {"proxy_memory_limit": ""},
        [
            'proxy_memory_limit 256m → "": compose.yaml; the container hearth-httpd is recreated, '
            "in-flight responses are cut"
        ],
    ),
    (
        {"docker_log_max_files": 5},
        [
            "docker_log_max_files 3 → 5: compose.yaml; the containers hearth-httpd and hearth-ollama are recreated, "
            "in-flight responses are cut"
        ],
    ),
    (
        {"allowed_origins": ["http://x.example"]},
        [
            "allowed_origins + http://x.example: compose.yaml and httpd/httpd.conf; the container hearth-ollama is "
            "recreated, "
            f"in-flight responses are cut; {GRACEFUL}"
        ],
    ),
    (
        {"chat_title": "Kitchen Pi"},
        ["chat_title Hearth → Kitchen Pi: htdocs/index.html; browsers load the new page on the next visit"],
    ),
    (
        {"proxy_extra_routes": [{"path": "/flask/", "to": "http://host.docker.internal:5001/", "methods": ["GET"]}]},
        [
            "proxy_extra_routes + /flask/: compose.yaml and httpd/httpd.conf; the container hearth-httpd is recreated, "
            "in-flight responses are cut"
        ],
    ),
    ({"ollama_models": ["tinyllama"], "ollama_pull_retries": 1, "docker_live_restore": False}, []),
    (
        {"proxy_timeout": 1000, "chat_title": "Pi"},
        [
            "chat_title Hearth → Pi: htdocs/index.html; browsers load the new page on the next visit",
            f"proxy_timeout 900 → 1000: httpd/httpd.conf; {GRACEFUL}",
        ],
    ),
]


@pytest.mark.parametrize(("values", "expected"), SETTINGS, ids=lambda value: ",".join(value) or "none")
def test_changed_setting_is_named_with_its_files_and_effect(
    make_settings: Make, values: dict[str, Any], expected: list[str]
) -> None:
    assert said(make_settings(), make_settings(**values)) == expected


BOTH: dict[str, Any] = {"host_role": "both"}
BACKEND: dict[str, Any] = {"host_role": "backend", "ollama_allowed_networks": ["192.168.1.189"]}


@pytest.mark.parametrize(
    ("role", "drained", "values", "effect"),
    [
        (BOTH, {"ollama"}, {"ollama_keep_alive": "10m"}, "drained by its gateways first"),
        (BOTH, {"ollama"}, {"proxy_memory_limit": ""}, "in-flight responses are cut"),
        (BOTH, {"ollama"}, {"docker_log_max_files": 5}, "in-flight responses are cut"),
        (BACKEND, {"ollama"}, {"docker_log_max_files": 5}, "drained by its gateways first"),
        (BACKEND, {}, {"ollama_keep_alive": "10m"}, "in-flight responses are cut"),
    ],
)
def test_what_gateways_drain_first_is_not_cut(
    make_settings: Make, role: dict[str, Any], drained: set[str], values: dict[str, Any], effect: str
) -> None:
    [sentence] = said(make_settings(**role), make_settings(**role, **values), frozenset(drained))
    assert sentence.endswith(f"recreated, {effect}")


@pytest.mark.parametrize(
    ("role", "drained", "effect"),
    [(BACKEND, {"ollama"}, "drained by its gateways first"), (BOTH, {"ollama"}, "in-flight responses are cut")],
)
def test_an_edited_compose_file_may_change_any_container(
    make_settings: Make, role: dict[str, Any], drained: set[str], effect: str
) -> None:
    settings = make_settings(**role)
    [sentence] = said(settings, settings, frozenset(drained), **{"compose.yaml": "edited"})
    assert sentence.endswith(f"containers that differ from it are recreated, {effect}")


def test_interdependent_settings_are_each_named(make_settings: Make) -> None:
    """A proxy timeout below the load timeout is refused, so the first one can't be reverted alone."""
    then = make_settings(proxy_timeout=300, ollama_load_timeout="4m")
    now = make_settings(proxy_timeout=900, ollama_load_timeout="12m")
    assert said(then, now) == [
        f"proxy_timeout 300 → 900: httpd/httpd.conf; {GRACEFUL}",
        "ollama_load_timeout 4m → 12m: compose.yaml; the container hearth-ollama is recreated, in-flight responses are "
        "cut",
    ]


def test_settings_that_swap_are_named_together(make_settings: Make) -> None:
    then = make_settings(proxy_port=8080, ollama_publish="127.0.0.1:85")
    now = make_settings(proxy_port=85, ollama_publish="127.0.0.1:8080")
    assert said(then, now) == [
        "proxy_port 8080 → 85 and ollama_publish 127.0.0.1:85 → 127.0.0.1:8080: compose.yaml; the containers "
        "hearth-httpd and hearth-ollama are recreated, in-flight responses are cut"
    ]


def test_settings_of_other_versions_do_not_matter(make_settings: Make) -> None:
    now = make_settings()
    recorded = release_of(now, gone_since=1).settings
    del recorded["proxy_timeout"]
    assert find_changes(recorded, now, render_tree(now)) == []


def test_recorded_value_that_is_invalid_today_is_ignored(make_settings: Make) -> None:
    now = make_settings()
    assert find_changes(release_of(now, proxy_timeout=0).settings, now, render_tree(now)) == []


def test_only_files_that_still_differ_are_reported(make_settings: Make) -> None:
    """A run that was interrupted after the files were written."""
    then, now = make_settings(), make_settings(proxy_timeout=1000)
    assert said(then, now, **digests(render_tree(now))) == []


@pytest.mark.parametrize(
    ("digest", "sentence"),
    [
        ("f" * 64, f"httpd/httpd.conf was changed on the host; restoring it; {GRACEFUL}"),
        (None, f"httpd/httpd.conf is missing; restoring it; {GRACEFUL}"),
        ("", f"httpd/httpd.conf has an owner or mode other than root and 0644; rewriting it; {GRACEFUL}"),
    ],
)
def test_unexplained_differences_are_edits_on_the_host(make_settings: Make, digest: str | None, sentence: str) -> None:
    assert said(make_settings(), make_settings(), **{"httpd/httpd.conf": digest}) == [sentence]


def test_several_files_get_one_message(settings: Settings) -> None:
    files = {"htdocs/chat.js": "f" * 64, "htdocs/index.html": "f" * 64}
    assert said(settings, settings, **files) == [
        "htdocs/chat.js and htdocs/index.html were changed on the host; restoring them; browsers load the new page on "
        "the next visit"
    ]


def test_edit_is_reported_in_addition_to_the_setting(make_settings: Make) -> None:
    now = make_settings(proxy_timeout=1000)
    assert said(make_settings(), now, **{"httpd/httpd.conf": "f" * 64}) == [
        f"proxy_timeout 900 → 1000: httpd/httpd.conf; {GRACEFUL}",
        f"httpd/httpd.conf was also changed on the host; undoing that; {GRACEFUL}",
    ]


def test_new_version_is_distinguished_from_an_edit(settings: Settings) -> None:
    accepted = release_of(settings)
    files = render_tree(settings) | {"htdocs/chat.js": b"of the next version", "htdocs/new.js": b"1"}
    assert describe_files(accepted.files, files, settings, accepted) == [
        "htdocs/chat.js is different in this version of Hearth; updating it; browsers load the new page on the next "
        "visit",
        "htdocs/new.js does not exist yet; writing it; browsers load the new page on the next visit",
    ]


def test_no_reason_is_invented_without_a_record(settings: Settings) -> None:
    files = render_tree(settings)
    present = digests(files) | {"compose.yaml": "f" * 64}
    assert describe_files(present, files, settings, None) == [
        "compose.yaml differs from the settings; updating it; containers that differ from it are recreated, in-flight "
        "responses are cut"
    ]


def test_fresh_host_gets_one_message(settings: Settings) -> None:
    files = render_tree(settings)
    assert describe_files({}, files, settings, None) == [f"{len(files)} files are missing; writing them to /opt/hearth"]


def test_comments_and_key_order_change_no_container(settings: Settings) -> None:
    text = render_compose(settings)
    assert services_between(text.encode(), f"# more\n{text}".encode()) == set()


_DIGEST = st.sampled_from([None, "", "recorded", "other", "wanted"])


@examples(max_examples=30)
@given(data=st.data(), values=st.sampled_from([values for values, _ in SETTINGS]))
def test_exactly_the_differing_files_are_named(
    make_settings: Make, data: st.DataObject, values: dict[str, Any]
) -> None:
    then, now = make_settings(), make_settings(**values)
    accepted = release_of(then)
    wanted: Files = render_tree(now)
    expected = digests(wanted)
    kinds = {path: data.draw(_DIGEST, label=path) for path in sorted(wanted)}
    digest_of: dict[str, Callable[[str], str]] = {
        "": lambda _: "",
        "recorded": lambda path: accepted.files[path],
        "other": lambda _: "f" * 64,
        "wanted": lambda path: expected[path],
    }
    present = {path: digest_of[kind](path) for path, kind in kinds.items() if kind is not None}
    sentences = describe_files(present, wanted, now, accepted)
    text = " ".join(sentences)
    differing = {path for path in wanted if present.get(path) != expected[path]}
    assert bool(sentences) == bool(differing)
    if present and "files (" not in text:  # more than three files are given by number
        named = {path for path in wanted if re.search(rf"(?:^|[ ]){re.escape(path)}(?=[ ,;]|$)", text)}
        assert named == differing
