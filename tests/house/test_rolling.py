"""Deploys of a gateway and two backends: in one run, one backend after another, and with faults."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hearth.tls.certificate import today
from hearth.tls.local_ca import create_authority
from tests.house.clients import clients, closed, long_responses, served
from tests.house.conftest import GATEWAY, NOTICED, Deployed, Roles
from tests.lab.clients import BackgroundStream, prompt
from tests.support.proxy_rules.behaviour import wait_until

BACKENDS = FIRST, SECOND = ("h2", "h3")
ROLES: Roles = {
    GATEWAY: {"host_role": "gateway", "ollama_pools": {"default": [{"host": name} for name in BACKENDS]}},
    **{name: {"host_role": "backend"} for name in BACKENDS},
}


@pytest.fixture(scope="module")
def deployed(deploy_house: Callable[[Roles], Deployed]) -> Deployed:
    """A gateway and two backends after their first deploy."""
    return deploy_house(ROLES)


@pytest.fixture(autouse=True)
def _as_deployed(deployed: Deployed) -> Iterator[None]:
    yield
    deployed.write({})


def check_order(output: str, steps: list[str]) -> None:
    places = [output.index(step) for step in steps]
    assert places == sorted(places)


def test_the_second_run_changes_nothing(deployed: Deployed) -> None:
    deployed.check_that_nothing_differs()


def test_an_upgrade_of_ollama_cuts_and_refuses_nothing(deployed: Deployed) -> None:
    deployed.make_image("ollama/ollama:upgrade", "LABEL number=1")
    deployed.write({"ollama_image": "ollama/ollama:upgrade", "docker_drain_timeout": 300})
    with long_responses(deployed.url, deployed.url) as streams, clients(deployed.url) as loops:
        assert {stream.streamed.backend for stream in streams} == set(BACKENDS)
        code, output = deployed.deploy()
    assert code == 0
    assert served(loops) == set(BACKENDS)
    assert f"[{FIRST}] A response is in flight: waiting up to 300 s for it to finish" in output
    assert [deployed.image(one) for one in BACKENDS] == ["ollama/ollama:upgrade"] * 2
    steps = [
        f"[{GATEWAY}] {step}"
        for one in BACKENDS
        for step in (
            f"This gateway sends no new requests to {one}.",
            f"A test prompt was answered by {one} through this gateway.",
            f"This gateway uses {one} again.",
        )
    ]
    check_order(output, steps)
    assert deployed.marks() == ""


@pytest.mark.long
def test_a_backend_that_fails_goes_back_and_ends_the_run(deployed: Deployed) -> None:
    before = [deployed.image(one) for one in BACKENDS]
    deployed.make_image("ollama/ollama:broken", 'ENTRYPOINT ["false"]')
    deployed.write({"ollama_image": "ollama/ollama:broken"})
    with clients(deployed.url) as loops:
        code, output = deployed.deploy()
    assert code == 1
    assert served(loops) == set(BACKENDS)
    assert [deployed.image(one) for one in BACKENDS] == before
    assert f"This gateway uses {FIRST} again." in output
    assert f"This gateway sends no new requests to {SECOND}." not in output
    assert f"{FIRST} failed; not changed: {GATEWAY} and {SECOND}" in output
    assert deployed.marks() == ""


@pytest.mark.long
def test_a_backend_that_its_gateway_cannot_prompt_goes_back_and_stays_out(deployed: Deployed) -> None:
    before = [deployed.image(one) for one in BACKENDS]
    deployed.make_image("ollama/ollama:blocked", "LABEL number=4")
    deployed.write({"ollama_image": "ollama/ollama:blocked"})
    gateway = deployed.house.hosts[GATEWAY].address
    deployed.house.ssh(
        FIRST,
        "sudo nft 'add table ip test; add chain ip test first { type filter hook prerouting priority -300; }; "
        f"add rule ip test first ip saddr {gateway} tcp dport 11434 drop'",
    )
    # It has noticed, and sends no requests that would wait.
    wait_until(lambda: {prompt(1, at=deployed.url).backend for _ in range(4)} == {SECOND}, NOTICED)
    with clients(deployed.url) as loops:
        code, output = deployed.deploy()
    assert code == 1
    assert served(loops) == {SECOND}
    assert f"The test prompt to {FIRST} through this gateway did not complete" in output
    assert f"{GATEWAY} does not use {FIRST} again" in output
    assert [deployed.image(one) for one in BACKENDS] == before
    assert FIRST in deployed.marks()
    deployed.house.ssh(FIRST, "sudo nft delete table ip test")
    code, output = deployed.deploy()
    assert code == 0
    assert f"This gateway uses {FIRST} again." in output
    assert deployed.marks() == ""


@pytest.mark.long
def test_a_run_that_was_killed_while_it_drained_is_healed_by_the_next(deployed: Deployed) -> None:
    deployed.make_image("ollama/ollama:healed", "LABEL number=2")
    deployed.write({"ollama_image": "ollama/ollama:healed"})
    # So long that the deploy waits for it.
    streams = [BackgroundStream(100_000, at=deployed.url) for _ in range(2)]
    for stream in streams:
        stream.start()
    wait_until(lambda: {stream.streamed.backend for stream in streams} == set(BACKENDS), 60)
    run = deployed.start()
    wait_until(lambda: FIRST in deployed.marks(), 120)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    with clients(deployed.url) as loops:
        code, output = deployed.drift()
        assert code == 1
        assert f"{FIRST} gets no requests from this gateway: an earlier deploy ended" in output
        code, _ = deployed.deploy()
    assert code == 0
    assert SECOND in served(loops)
    assert [deployed.image(one) for one in BACKENDS] == ["ollama/ollama:healed"] * 2
    assert deployed.marks() == ""
    assert deployed.drift()[0] == 0


@pytest.mark.long
def test_a_mark_without_any_other_difference_is_undone(deployed: Deployed) -> None:
    deployed.house.ssh(
        GATEWAY,
        f"echo 'Define DRAIN_{FIRST} +N' | sudo tee /opt/hearth/httpd/drained.conf && "
        "sudo docker exec hearth-httpd httpd -f conf/hearth/httpd.conf -k graceful",
    )
    wait_until(lambda: {prompt(1, at=deployed.url).backend for _ in range(4)} == {SECOND}, 30)
    code, output = deployed.deploy("--limit", GATEWAY)
    assert code == 0
    assert f"This gateway uses {FIRST} again." in output
    assert deployed.marks() == ""
    wait_until(lambda: {prompt(1, at=deployed.url).backend for _ in range(4)} == set(BACKENDS), NOTICED)


@pytest.mark.long
def test_one_backend_alone_is_drained_at_its_gateway_too(deployed: Deployed) -> None:
    deployed.make_image("ollama/ollama:alone", "LABEL number=3")
    before = deployed.image(FIRST)
    deployed.write({"ollama_image": "ollama/ollama:alone"})
    with clients(deployed.url) as loops:
        code, output = deployed.deploy("--limit", SECOND)
    assert code == 0
    served(loops)
    assert f"This gateway sends no new requests to {SECOND}." in output
    assert [deployed.image(one) for one in BACKENDS] == [before, "ollama/ollama:alone"]
    assert deployed.marks() == ""


@pytest.mark.long
def test_a_backend_that_loses_power_takes_only_its_own_responses_with_it(deployed: Deployed) -> None:
    streams = [BackgroundStream(100_000, at=deployed.url) for _ in range(2)]
    for stream in streams:
        stream.start()
    wait_until(lambda: {stream.streamed.backend for stream in streams} == set(BACKENDS), 60)
    [kept] = [stream.streamed for stream in streams if stream.streamed.backend == SECOND]
    deployed.house.off(FIRST)
    try:
        assert prompt(1, at=deployed.url).backend == SECOND
        assert all(prompt(1, at=deployed.url).complete for _ in range(5))
        lines = len(kept.lines)
        wait_until(lambda: len(kept.lines) > lines + 10, 30)
    finally:
        deployed.house.on(FIRST)
    wait_until(lambda: "healthy" in deployed.house.ssh(FIRST, "sudo docker ps"), 120)
    wait_until(lambda: FIRST in {prompt(1, at=deployed.url).backend for _ in range(4)}, NOTICED)


@pytest.mark.long
def test_other_cas_for_the_containers_cut_and_refuse_nothing(deployed: Deployed, tmp_path: Path) -> None:
    """Containers read the files of host_trusted_ca, and of host_http_proxy, only when they start."""
    file = tmp_path / "ca.pem"
    file.write_bytes(create_authority(tmp_path / "first", [], today()).pem)
    deployed.write({"host_trusted_ca": str(file)})
    code, _ = deployed.deploy()
    assert code == 0
    started = [deployed.started(one) for one in BACKENDS]
    file.write_bytes(create_authority(tmp_path / "other", [], today()).pem)
    with clients(deployed.url) as loops:
        code, output = deployed.deploy()
    assert code == 0
    assert served(loops) == set(BACKENDS)
    for one, before in zip(BACKENDS, started, strict=True):
        assert f"[{one}] hearth-ollama has not read the current host_trusted_ca; recreating it" in output
        assert f"This gateway sends no new requests to {one}." in output
        assert f"This gateway uses {one} again." in output
        assert deployed.started(one) > before
    assert deployed.marks() == ""
    code, output = deployed.deploy()
    assert output.count("changed: nothing") == 3


@pytest.mark.long
def test_a_drained_backend_that_is_off_does_not_fail_its_gateway(deployed: Deployed) -> None:
    mark = f"Define DRAIN_{FIRST} +N"
    deployed.house.ssh(GATEWAY, f"echo '{mark}' | sudo tee /opt/hearth/httpd/drained.conf")
    deployed.house.off(FIRST)
    try:
        code, output = deployed.deploy("--limit", GATEWAY)
        assert code == 0
        assert f"This gateway does not use {FIRST} for now." in output
        assert deployed.marks() == mark
    finally:
        deployed.house.on(FIRST)
    wait_until(lambda: "healthy" in deployed.house.ssh(FIRST, "sudo docker ps"), 120)
    code, output = deployed.deploy()
    assert code == 0
    assert f"This gateway uses {FIRST} again." in output
    assert deployed.marks() == ""


# The last ones, since their backend has another URL afterwards.
@pytest.mark.long
def test_another_port_of_a_backend_cuts_and_refuses_nothing(deployed: Deployed) -> None:
    """Its gateway gets the new URL in its own turn, after the backend's. Neither port is ever open to others."""
    deployed.write({}, at={FIRST: {"ollama_publish": "0.0.0.0:11435"}})
    address = deployed.house.hosts[FIRST].address
    with clients(deployed.url) as loops, closed(address, 11434, 11435):
        code, output = deployed.deploy()
        assert code == 0
        wait_until(lambda: prompt(1, at=deployed.url).backend == FIRST, NOTICED)
    assert served(loops) == set(BACKENDS)
    steps = [
        f"[{GATEWAY}] This gateway sends no new requests to {FIRST}.",
        f"[{GATEWAY}] This gateway still has ",
        f"[{GATEWAY}] A test prompt was answered by {FIRST} through this gateway.",
        f"[{GATEWAY}] This gateway uses {FIRST} again.",
    ]
    check_order(output, steps)
    assert deployed.marks() == ""
    deployed.check_that_nothing_differs()


@pytest.mark.long
def test_the_former_port_of_a_backend_is_not_open_after_a_rollback(deployed: Deployed) -> None:
    """The one before this test has changed it. The gateway does not know the former port any more, but may use it."""
    deployed.write({}, at={FIRST: {"ollama_publish": "0.0.0.0:11435"}})
    address = deployed.house.hosts[FIRST].address
    with closed(address, 11434, 11435):
        deployed.deploy("--limit", FIRST, run="deploys/rollback.py")
        assert deployed.house.ssh(FIRST, "sudo docker port hearth-ollama") == "11434/tcp -> 0.0.0.0:11434"
        deployed.house.ssh(GATEWAY, f"exec 3<>/dev/tcp/{address}/11434")
    code, _ = deployed.deploy()
    assert code == 0
    deployed.check_that_nothing_differs()


@pytest.mark.long
def test_a_backend_gets_tls(deployed: Deployed) -> None:
    """Without clients: the gateway's httpd needs the backend's name in its /etc/hosts, so it is replaced."""
    deployed.write({}, at={FIRST: {"ollama_publish_tls": True}})
    code, output = deployed.deploy()
    assert code == 0
    assert f"[{GATEWAY}] This gateway sends no new requests to {FIRST}." in output
    assert f"[{GATEWAY}] This gateway uses {FIRST} again." in output
    assert deployed.marks() == ""
    deployed.check_that_nothing_differs()
