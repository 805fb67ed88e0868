"""Moments of a deploy at which the power is cut, and the disk's content at each.

A power cut leaves what the disk holds at that moment. So a deploy runs once, the disk is saved at each moment
(`power.save_disk`), and every case then boots from a saved disk, without the memory of that moment. test_network.py
cuts the power during a deploy and shows that the deploy ends by itself.
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
    """Deploy once, and save the disk at each moment and after the end.

    Raises:
        AssertionError: the deploy failed, or a moment was not reached.
    """
    done = watch(moments, lambda name: power.save_disk(_disk_name(prefix, name)), *data)
    power.save_disk(_disk_name(prefix, AT_THE_END))
    assert done.code == 0, done.output
    print(f"\nsaved the disk at {len(done.reached) + 1} moments of a deploy of {done.seconds:.0f} s")
    missed = [name for name in moments if name not in done.reached]
    assert not missed, f"moments not reached: {missed}\n{done.output}"


def boot(prefix: str, moment: str) -> None:
    """Boot the machine after a power cut at this moment; prints whether the host works without a deploy."""
    power.boot_disk(_disk_name(prefix, moment))
    # The engine starts the containers before systemd considers it started.
    on_guest("systemctl is-system-running --wait || true", timeout=300)
    empty = on_guest("sudo find /opt/hearth /etc/docker -type f -empty ! -name '.reload-httpd' 2>/dev/null || true")
    print(f"\nafter the power cut and the boot, before a deploy: {_state()}; empty files: {empty or 'none'}")


def _state() -> str:
    """Whether the host works a few seconds after the boot."""
    try:
        wait_until(lambda: call(url(), "GET", "/api/tags", timeout=5).status == 200, 15, "the host works")
    except AssertionError as error:
        return f"the host does not work ({str(error).partition('last: ')[2]})"
    return "the host works"


def cases(moments: Mapping[str, Moment]) -> list[Any]:
    """A test parameter for each moment and for the end."""
    return [pytest.param(name, id=name.replace(" ", "-")) for name in (*moments, AT_THE_END)]


def _disk_name(prefix: str, name: str) -> str:
    return f"{prefix}-{name.replace(' ', '-')}"
