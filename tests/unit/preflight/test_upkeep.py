"""Warnings about what changes with time: disks that fill, images that grow old."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest

from hearth.preflight.checks import find_upkeep_warnings
from hearth.preflight.facts import HostFactsState
from hearth.preflight.image_releases import Release, ReleaseList, image_warnings, known_releases, parse_version
from hearth.settings.model import Settings
from tests.support.image_releases import httpd_releases, ollama_releases

MakeSettings = Callable[..., Settings]
TODAY = date(2026, 11, 28)
KNOWN = ReleaseList(
    TODAY,
    {
        "httpd": {
            (2, 4, 71): Release(date(2026, 11, 12)),
            (2, 4, 69): Release(date(2026, 11, 1), ("CVE-2026-9", "CVE-2026-10", "CVE-2026-11", "CVE-2026-12")),
            (2, 4, 68): Release(date(2026, 6, 12), ("CVE-2026-1",)),
        },
        "ollama": {(0, 32, 15): Release(date(2026, 8, 19)), (0, 17, 4): Release(date(2026, 2, 26))},
    },
)


def warnings(make_settings: MakeSettings, today: date = TODAY, **images: str) -> list[str]:
    return image_warnings(make_settings(**images), KNOWN, today)


def test_an_image_with_known_vulnerabilities_is_named(make_settings: MakeSettings) -> None:
    assert warnings(make_settings, proxy_image="httpd:2.4.68") == [
        "proxy_image = 'httpd:2.4.68' came out 169 days ago, on 2026-06-12; newer releases fix the known "
        "vulnerabilities CVE-2026-10, CVE-2026-11, CVE-2026-12 and 1 more. Set it to 2.4.71 or later, and deploy"
    ]
    # A release that is not in the list, between others; a mirror; a digest.
    [text] = warnings(make_settings, proxy_image=f"mirror.example:5000/library/httpd:2.4.63@sha256:{'0' * 64}")
    assert ": newer releases fix the known vulnerabilities CVE-2026-10" in text


@pytest.mark.parametrize(
    "image", ["httpd:2.4.71", "httpd:2.4.70-alpine", "httpd:2.6.1", f"httpd@sha256:{'0' * 64}", "myhttpd:2.4.1"]
)
def test_others_are_not(make_settings: MakeSettings, image: str) -> None:
    assert warnings(make_settings, proxy_image=image) == []


def test_an_old_image_is_named(make_settings: MakeSettings) -> None:
    assert warnings(make_settings, ollama_image="ollama/ollama:0.17.4-rocm") == [
        "ollama_image = 'ollama/ollama:0.17.4-rocm' came out 275 days ago, on 2026-02-26; look for a newer release, "
        "set it, and deploy"
    ]
    assert warnings(make_settings, date(2026, 8, 25), ollama_image="ollama/ollama:0.17.4") == []


def test_an_image_that_the_host_does_not_run_is_not_named(make_settings: MakeSettings) -> None:
    old = {"proxy_image": "httpd:2.4.68", "ollama_image": "ollama/ollama:0.17.4"}
    (text,) = image_warnings(make_settings(host_role="backend", **old), KNOWN, TODAY)
    assert text.startswith("ollama_image")


def test_an_old_list_is_named(make_settings: MakeSettings) -> None:
    empty = ReleaseList(TODAY, {})
    assert image_warnings(make_settings(), empty, TODAY + timedelta(days=90)) == []
    assert image_warnings(make_settings(), empty, TODAY + timedelta(days=91)) == [
        "Hearth's list of releases and known vulnerabilities is 91 days old; update Hearth with `git pull`"
    ]


def test_an_almost_full_disk_is_named(make_settings: MakeSettings) -> None:
    def found(free: int) -> list[str]:
        disk = {"/var/lib/docker": free}
        facts = HostFactsState(
            free_bytes=disk, file_system={"/var/lib/docker": "/"}, existing=frozenset(disk), architecture="amd64"
        )
        return find_upkeep_warnings(make_settings(), facts, known_releases().checked)

    assert found(2 * 10**9) == []
    [text] = found(1_940_000_000)
    assert text.startswith("the disk at / has only 1.9 GB free; ")


def test_the_list_of_this_version_knows_its_defaults(make_settings: MakeSettings) -> None:
    known = known_releases()
    for image in (make_settings().proxy_image, make_settings().ollama_image):
        name, _, tag = image.rpartition(":")
        assert parse_version(tag) in known.programs[name.rpartition("/")[2]]
    assert image_warnings(make_settings(), known, known.checked) == []


DEBIAN = """apache2 (2.4.67-1~deb12u2) bookworm-security; urgency=medium

  * Fix CVE-2026-49975

 -- A Person <a@example.org>  Fri, 05 Jun 2026 12:55:53 +0200

apache2 (2.4.67-1~deb12u1) bookworm; urgency=medium

  * New upstream release

 -- A Person <a@example.org>  Tue, 05 May 2026 14:27:00 +0200
"""
CHANGES = """Changes with Apache 2.4.67

  *) SECURITY: CVE-2026-23918: mod_x: something
     This issue affects 2.4.66, like CVE-2026-00001.

Changes with Apache 2.4.66

  *) mod_y: something

"""


def test_releases_of_httpd_are_read_from_changelogs() -> None:
    assert httpd_releases(CHANGES, DEBIAN) == {
        "2.4.67": {"day": "2026-05-05", "fixes": ["CVE-2026-23918"]},
        "2.4.66": {"day": "2026-05-05", "fixes": []},
    }


def test_releases_of_ollama_are_read_from_tags_and_reports() -> None:
    def report(*events: dict[str, str], module: str = "github.com/ollama/ollama") -> dict[str, object]:
        affected = [{"package": {"name": module}, "ranges": [{"type": "SEMVER", "events": list(events)}]}]
        return {"id": "GO-2026-1", "aliases": ["CVE-2026-7482", "GHSA-x"], "affected": affected}

    tags = "v0.1.0 2023-10-01\nv0.9.0 2025-05-29\nv0.17.1 2026-02-25\nv0.17.1-rc0 2026-02-20\n"
    fixed = report({"introduced": "0"}, {"fixed": "0.17.1"})
    others = [report({"introduced": "0"}), report({"fixed": "0.9.0"}, module="example.org/other")]
    assert ollama_releases(tags, [fixed, *others]) == {
        "0.17.1": {"day": "2026-02-25", "fixes": ["CVE-2026-7482"]},
        "0.9.0": {"day": "2025-05-29", "fixes": []},
    }
