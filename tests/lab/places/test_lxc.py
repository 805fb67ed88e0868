"""An LXC container as created by Proxmox: Hearth works in it, or names the Proxmox setting to change."""

from __future__ import annotations

import pytest

import lab
from tests.acceptance.api import call
from tests.lab.checks import serves
from tests.lab.machine import Run, deploy, on_guest, url
from tests.lab.places import lxc, steps

pytestmark = [pytest.mark.scenario, pytest.mark.long, pytest.mark.guest("trixie")]


@pytest.fixture(autouse=True)
def _container() -> None:
    lxc.make()


def to_container(timeout: int = 1800) -> Run:
    return deploy(timeout=timeout, inventory=lxc.INVENTORY)


def nothing_was_installed() -> None:
    traces = "command -v docker dockerd; ls -d /opt/hearth /etc/docker /var/lib/.hearth-* 2>/dev/null; true"
    assert lxc.in_container(traces) == ""


def test_deploy_to_an_lxc_container() -> None:
    lxc.start("nesting")
    first = to_container()
    assert first.code == 0, first.output
    assert "found: an unprivileged LXC container" in first.output
    assert call(url(), "GET", "/").status == 200
    serves(tuple(lab.status().models))
    quiet = to_container()
    assert (quiet.code, quiet.changed) == (0, ()), quiet.output
    assert lxc.in_container("docker info --format '{{.Driver}} {{.CgroupVersion}}'") == "overlay2 2"
    assert on_guest("command -v docker; true") == "", "the deploy went to the container"
    print(f"\nLXC: deployed in {first.seconds:.1f} s, then quiet in {quiet.seconds:.1f} s")
    steps.accepted(timeout=2400, inventory=lxc.INVENTORY)


def test_missing_nesting_is_refused() -> None:
    lxc.start("nothing")
    run = to_container()
    assert run.code != 0
    assert "is not ready, and nothing was changed" in run.output, run.output
    assert "`pct set ID -features nesting=1,keyctl=1`, then `pct reboot ID`" in run.output, run.output
    assert "Traceback" not in run.output
    nothing_was_installed()


def test_wrong_clock_in_a_container_is_that_of_its_host() -> None:
    lxc.start("nesting")
    on_guest("sudo date -s '+3 days' >/dev/null")
    run = to_container()
    assert run.code != 0
    assert "A container uses the clock of the machine that it runs on; set that one" in run.output, run.output
    assert "on the Proxmox node" in run.output
    nothing_was_installed()


def test_apparmor_profile_that_blocks_containers_is_refused() -> None:
    """LXC's generated profile, with the rule of lxc-pve before 6.0.5-2."""
    lxc.start("an old node")
    run = to_container()
    assert run.code != 0
    assert "opencontainers/runc#4968" in run.output, run.output
    assert "lxc-pve 6.0.5-2" in run.output
    nothing_was_installed()
