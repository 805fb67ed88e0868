"""The host's name on its network: when something is changed, and the scripts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hearth.mdns.facts import LocalName, LocalNameState
from hearth.mdns.operations import announce_name, announce_script, removal_script, stop_announcing
from hearth.paths import LOCAL_NAME_RECORD
from tests.pyinfra.conftest import Result, Run
from tests.pyinfra.shell import check_syntax

RIGHT = LocalNameState(name="pi", installed=True, active=True, enabled=True)


def announce(run: Run, state: LocalNameState) -> Result:
    return run(announce_name, {LocalName: state}, timeout=60)


def test_an_announced_name_is_not_changed(run: Run) -> None:
    result = announce(run, RIGHT)
    assert result.commands == []
    assert result.noop == "pi.local is announced"


def test_a_missing_package_is_installed_and_recorded_first(run: Run) -> None:
    (script,) = announce(run, LocalNameState(name="pi")).scripts
    assert script == announce_script(True, 60)
    assert script.index(f"touch {LOCAL_NAME_RECORD}") < script.index("\napt_install avahi-daemon")


@pytest.mark.parametrize("state", [replace(RIGHT, active=False), replace(RIGHT, enabled=False)])
def test_the_users_own_package_is_started_and_not_recorded(run: Run, state: LocalNameState) -> None:
    result = announce(run, state)
    assert "starting it now and with the host" in str(result.said)
    (script,) = result.scripts
    assert "apt_install" not in script
    assert LOCAL_NAME_RECORD not in script


def test_the_package_is_removed_with_its_record(run: Run) -> None:
    (script,) = run(stop_announcing, {}, timeout=60).scripts
    assert removal_script(60) in script
    assert script.index("remove avahi-daemon") < script.index(f"rm -f {LOCAL_NAME_RECORD}")


def test_the_scripts_are_valid_shell() -> None:
    for script in (announce_script(True, 60), announce_script(False, 60), removal_script(60)):
        check_syntax(script)


@pytest.mark.parametrize(
    ("output", "state"),
    [
        (["@@name", "pi", "@@package", "@@service", "inactive", "@@recorded"], LocalNameState(name="pi")),
        (
            ["@@name", "pi.lan", "@@package", "installed", "@@service", "active", "enabled", "@@recorded"],
            RIGHT,
        ),
        (
            ["@@name", "pi", "@@package", "half-configured", "@@service", "inactive", "@@recorded", LOCAL_NAME_RECORD],
            LocalNameState(name="pi", recorded=True),
        ),
        (
            ["@@name", "pi", "@@package", "config-files", "@@service", "failed", "not-found", "@@recorded"],
            LocalNameState(name="pi"),
        ),
    ],
)
def test_output_is_parsed(output: list[str], state: LocalNameState) -> None:
    assert LocalName().process(output) == state
