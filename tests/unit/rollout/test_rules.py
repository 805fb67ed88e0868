"""Which hosts are gateways of which, and the order in which a deploy changes them."""

from __future__ import annotations

from typing import Any

import pytest

from hearth.rollout.rules import gateways_of, is_replaceable, name_and_url, plan_turns
from hearth.settings.house import resolve_house
from hearth.settings.model import Settings
from tests.support.shipped import shipped_settings

PI, PC, NODE, SHED = "192.168.1.189", "192.168.1.20", "192.168.1.21", "192.168.1.30"


def house(hosts: dict[str, dict[str, Any]]) -> dict[str, Settings]:
    return resolve_house(
        {name: shipped_settings(**values) for name, values in hosts.items()}, {one: one for one in hosts}
    )


def test_a_host_with_its_own_ollama_in_its_pools_is_its_own_gateway() -> None:
    pools = {"default": [{"host": PC}, {"host": PI, "priority": 2}], "big": [{"host": PC}]}
    both = house({PI: {"ollama_pools": pools}, PC: {"host_role": "backend"}})
    assert gateways_of(PC, both) == (PI,)
    assert gateways_of(PI, both) == (PI,)
    assert name_and_url(PI, both[PI]) == (PI, "http://ollama:11434")
    assert name_and_url(PC, both[PI]) == (PC, f"http://{PC}:11434")


def test_only_a_backend_with_another_one_in_each_pool_is_replaceable() -> None:
    pools = {"default": [{"host": PC}, {"host": PI, "priority": 2}], "big": [{"host": PC}]}
    both = house({PI: {"ollama_pools": pools}, PC: {"host_role": "backend"}, SHED: {}})
    assert [is_replaceable(one, both) for one in (PI, PC, SHED)] == [True, False, False]


@pytest.mark.parametrize(
    ("hosts", "turns"),
    [
        ([PI, PC, NODE, SHED], [[SHED], [PC], [NODE], [PI]]),
        ([PI, PC], [[PC], [PI]]),
        ([PC], [[PC]]),
        ([SHED], [[SHED]]),
    ],
)
def test_backends_have_their_turns_before_the_gateway(hosts: list[str], turns: list[list[str]]) -> None:
    found = house(
        {
            PI: {"host_role": "gateway", "ollama_pools": {"default": [{"host": PC}, {"host": NODE}]}},
            PC: {"host_role": "backend"},
            NODE: {"host_role": "backend"},
            SHED: {},
        }
    )
    assert plan_turns(found, hosts) == turns


def test_hosts_that_share_no_pool_change_together() -> None:
    assert plan_turns(house({PI: {}, SHED: {}}), [PI, SHED]) == [[PI, SHED]]
