"""A host that is gateway and backend at once, and another backend that is used first."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.house.clients import clients, served
from tests.house.conftest import GATEWAY, Deployed, Roles

PI, PC = GATEWAY, "h2"
ROLES: Roles = {
    PI: {"ollama_pools": {"default": [{"host": PC, "slots": 4}, {"host": PI, "priority": 2}]}},
    PC: {"host_role": "backend"},
}

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def backups(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A directory for them."""
    return str(tmp_path_factory.mktemp("backups"))


@pytest.fixture(scope="module")
def deployed(deploy_house: Callable[[Roles], Deployed]) -> Deployed:
    return deploy_house(ROLES)


def test_an_upgrade_of_ollama_cuts_and_refuses_nothing(deployed: Deployed) -> None:
    deployed.make_image("ollama/ollama:upgrade", "LABEL number=1")
    deployed.write({"ollama_image": "ollama/ollama:upgrade"})
    with clients(deployed.url) as loops:
        code, output = deployed.deploy()
    assert code == 0
    assert served(loops) == {PC, PI}
    assert [deployed.image(one) for one in (PC, PI)] == ["ollama/ollama:upgrade"] * 2
    assert deployed.marks() == ""
    for one in (PC, PI):
        assert f"A test prompt was answered by {one} through this gateway." in output
        assert f"This gateway uses {one} again." in output
    code, output = deployed.deploy()
    assert output.count("changed: nothing") == 2


def test_neither_does_its_rollback(deployed: Deployed, backups: str) -> None:
    options = ("--data", f"x_backup_to={backups}", "--data", "x_backup_models=0")
    code, _ = deployed.deploy(*options, run="deploys/backup.py")
    assert code == 0
    _change(deployed, deployed.house.images["ollama"], run="deploys/rollback.py")


def test_neither_does_the_restore_of_a_backup(deployed: Deployed, backups: str) -> None:
    _change(deployed, "ollama/ollama:upgrade", "--data", f"x_restore_from={backups}", run="deploys/restore.py")


def page(url: str) -> str:
    request = urllib.request.Request(url, headers={"Accept": "text/html"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def _change(deployed: Deployed, image: str, *options: str, run: str) -> None:
    """Change both hosts under load, which then have this image."""
    with clients(deployed.url) as loops:
        code, output = deployed.deploy(*options, run=run)
    assert code == 0
    assert served(loops) == {PC, PI}
    assert [deployed.image(one) for one in (PC, PI)] == [image] * 2
    for one in (PC, PI):
        assert f"This gateway sends no new requests to {one}." in output
        assert f"This gateway uses {one} again." in output
    assert deployed.marks() == ""


def test_while_the_pc_is_off_the_pi_is_changed(deployed: Deployed) -> None:
    """As docs/scaling.md says; the PC gets its part once it is on."""
    deployed.write({"chat_title": "Changed"})
    deployed.house.off(PC)
    try:
        code, output = deployed.deploy()
        assert code == 1
        assert f"{PC}:\n        could not connect, nothing was changed" in output
        assert "<title>Changed</title>" in page(deployed.url)
        code, _ = deployed.deploy("--limit", PI)
        assert code == 0
    finally:
        deployed.house.on(PC)
    code, _ = deployed.deploy()
    assert code == 0
    assert deployed.drift()[0] == 0


def test_tls_may_come_with_an_upgrade_of_ollama(deployed: Deployed, tmp_path: Path) -> None:
    """Until its container is replaced, httpd can't read an httpd.conf with certificates, and so no marks."""
    deployed.make_image("ollama/ollama:next", "LABEL number=2")
    tls = {"proxy_tls": "local-ca", "proxy_tls_names": ["pi.local"], "proxy_tls_ca": str(tmp_path / "ca")}
    deployed.write({"ollama_image": "ollama/ollama:next"}, at={PI: tls})
    with clients(deployed.url) as loops:
        code, output = deployed.deploy()
    assert code == 0
    assert f"Until then, this gateway goes on sending requests to {PI}." in output
    assert f"This gateway uses {PI} again." in output
    assert [one for loop in loops for one in loop.cut] == [], "httpd is not replaced before Ollama"
    assert [deployed.image(one) for one in (PC, PI)] == ["ollama/ollama:next"] * 2
    assert deployed.marks() == ""
    code, output = deployed.deploy()
    assert output.count("changed: nothing") == 2
