"""What a check says, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hearth.drift.verdict import Verdict
from hearth.watch.report import Repair, Report, Sent, is_due

NOW = datetime(2026, 11, 28, 4, 30, tzinfo=UTC)
SAME = Verdict("same")
DRIFTED = Verdict("differs", ("hearth-httpd has exited; starting it",))
LOST = Verdict("unknown", ("Could not connect",))
OLD = Verdict("same", (), ("the disk at / has only 1.9 GB free",))


def report(repairs: dict[str, Repair] | None = None, **verdicts: Verdict) -> Report:
    return Report("inventory/house.py", verdicts, repairs or {})


@pytest.mark.parametrize(
    ("found", "title"),
    [
        (report(pi=SAME, box=SAME), "Hearth: pi and box in sync"),
        (report(pi=DRIFTED, box=SAME), "Hearth: pi has drifted"),
        (report(pi=LOST), "Hearth: pi could not be checked"),
        (report(pi=OLD), "Hearth: pi needs attention"),
        (report(pi=OLD, box=LOST), "Hearth: 2 of 2 hosts need attention"),
        (report({"pi": Repair()}, pi=DRIFTED), "Hearth: pi had drifted and was repaired"),
        (report({"pi": Repair("no space left")}, pi=DRIFTED), "Hearth: repair of pi failed"),
    ],
)
def test_the_title_says_what_is_the_matter(found: Report, title: str) -> None:
    assert found.title == title


def test_the_text_has_a_paragraph_for_each_host_that_needs_attention() -> None:
    assert report(pi=DRIFTED, box=SAME, attic=OLD).text == (
        "pi: drifted:\n  hearth-httpd has exited; starting it\n\n"
        "attic: in sync\n  warning: the disk at / has only 1.9 GB free\n\n"
        "To repair: hearth deploy inventory/house.py"
    )
    assert report({"pi": Repair("no space left")}, pi=DRIFTED).text == (
        "pi: drifted:\n  hearth-httpd has exited; starting it\n  The repair failed: no space left"
    )
    assert report(pi=SAME).text == "Every host matches its settings."


def test_a_message_is_sent_about_changes_and_again_after_a_week() -> None:
    lost, well = report(pi=LOST), report(pi=SAME)
    assert is_due(lost, None, NOW)
    assert not is_due(lost, Sent(lost.subject, NOW - timedelta(days=6)), NOW)
    assert is_due(lost, Sent(lost.subject, NOW - timedelta(days=7)), NOW)
    assert is_due(lost, Sent(report(pi=OLD).subject, NOW), NOW)
    # All is well: said once, after a problem.
    assert not is_due(well, None, NOW)
    assert is_due(well, Sent(lost.subject, NOW - timedelta(days=1)), NOW)
    assert not is_due(well, Sent("", NOW - timedelta(days=99)), NOW)


def test_every_repair_is_reported() -> None:
    repaired = report({"pi": Repair()}, pi=DRIFTED)
    assert is_due(repaired, Sent(repaired.subject, NOW), NOW)


def test_what_differs_from_day_to_day_is_no_change() -> None:
    def days(number: int) -> Report:
        old = f"proxy_image = 'httpd:2.4.68' came out {number} days ago; newer releases fix CVE-2026-1"
        return report(pi=Verdict("same", (), (old, f"the disk at / has only 1.{number} GB free")))

    def lost(details: str) -> Report:
        return report(pi=Verdict("unknown", (f"SSH error ({details})",)))

    assert not is_due(days(17), Sent(days(16).subject, NOW), NOW)
    assert not is_due(lost("no route to host"), Sent(lost("timed out").subject, NOW), NOW)
    more = report(pi=Verdict("same", (), ("proxy_image = 'httpd:2.4.68'; newer releases fix CVE-2026-2",)))
    assert is_due(more, Sent(days(17).subject, NOW), NOW)
