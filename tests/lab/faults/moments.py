"""Moments of a deploy at which the plug is pulled, and what the disk held at each.

What a cut leaves is what the disk holds at that moment. So a deploy runs once, the disk is kept at each moment
(`power.keep_disk`), and every case then boots from what was kept, with nothing of the memory of then. That a deploy
whose host vanishes ends by itself is shown in test_network.py, where the plug is pulled in the midst of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.acceptance.api import call
from tests.lab import power
from tests.lab.machine import on_guest, url, wait_until
from tests.lab.watched import Moment, watch

AT_THE_END = "reported done"


def record(prefix: str, moments: Mapping[str, Moment], *data: str) -> None:
    """Deploy once, and keep what the disk holds at each moment and right after the end.

    Raises:
        AssertionError: the deploy failed, or one of the moments never came.
    """
    done = watch(moments, lambda name: power.keep_disk(_word(prefix, name)), *data)
    power.keep_disk(_word(prefix, AT_THE_END))
    assert done.code == 0, done.output
    print(f"\nkept the disk at {len(done.reached) + 1} moments of a deploy of {done.seconds:.0f} s")
    missed = [name for name in moments if name not in done.reached]
    assert not missed, f"these moments never came: {missed}\n{done.output}"


def boot(prefix: str, moment: str) -> None:
    """The machine, switched on again after the plug was pulled at this moment; says whether it serves by itself."""
    power.boot_disk(_word(prefix, moment))
    # The engine starts the containers before it counts as started itself.
    on_guest("systemctl is-system-running --wait || true", timeout=300)
    empty = on_guest("sudo find /opt/hearth /etc/docker -type f -empty ! -name '.reload-httpd' 2>/dev/null || true")
    print(f"\nafter the cut and the boot, before a deploy: {_answer()}; empty files: {empty or 'none'}")


def _answer() -> str:
    """What the page and a prompt's route answer, a few seconds after the boot."""
    try:
        wait_until(lambda: call(url(), "GET", "/api/tags", timeout=5).status == 200, 15, "the host serves")
    except AssertionError as error:
        return f"it does not serve ({str(error).partition('last: ')[2]})"
    return "it serves"


def cases(moments: Mapping[str, Moment]) -> list[Any]:
    """A parameter for each moment and for the end."""
    return [pytest.param(name, id=name.replace(" ", "-")) for name in (*moments, AT_THE_END)]


def _word(prefix: str, name: str) -> str:
    return f"{prefix}-{name.replace(' ', '-')}"
