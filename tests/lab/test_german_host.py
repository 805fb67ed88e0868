"""A host set up in Germany, by somebody whose sudo needs a password and whose shell prints a greeting."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.lab.machine import INVENTORY, on_guest, restore, url
from tests.support.terminal import CONFIRM, PROMPT, pyinfra_in_terminal

pytestmark = pytest.mark.scenario

USER, PASSWORD = "gabi", "geheim"
_AS_USER = ("--data", f"ssh_user={USER}")
# Debian's greeting in German, as raspi-config sets the language, and LC_ALL, which overrides everything.
_SETUP = f"""set -e
sudo apt-get -qq update
sudo apt-get -qq -y --no-install-recommends install locales >/dev/null
sudo localedef -i de_DE -f UTF-8 de_DE.UTF-8
printf 'LANG=de_DE.UTF-8\\nLC_ALL=de_DE.UTF-8\\nLANGUAGE=de\\n' | sudo tee /etc/default/locale >/dev/null
id {USER} >/dev/null 2>&1 || sudo useradd --create-home --groups sudo --shell /bin/bash {USER}
echo '{USER}:{PASSWORD}' | sudo chpasswd
sudo cp -rT ~/.ssh /home/{USER}/.ssh
printf 'echo "Willkommen, {USER}!"\\ntrap "echo Auf Wiedersehen" EXIT\\n' | sudo tee /home/{USER}/.bashrc >/dev/null
sudo chown -R {USER}: /home/{USER}
"""


def make_german() -> None:
    """Change the guest's language, and add a user."""
    on_guest(_SETUP, timeout=600)
    as_user = f"sudo -u {USER} env LC_ALL=de_DE.UTF-8 sudo -n true 2>&1 || true"
    assert "Ein Passwort ist notwendig" in on_guest(as_user)


def hearth(file: str, *words: str, then: Sequence[tuple[str, str]] = ()) -> tuple[int, str]:
    """Run a deploy file in a terminal, as that user; `then` has answers after sudo's password."""
    return pyinfra_in_terminal(*_AS_USER, *words, INVENTORY, file, answers=[(PROMPT, PASSWORD), *then], timeout=900)


@pytest.mark.usefixtures("deployed")
def test_deployed_host_is_recognized_and_backed_up(tmp_path: Path) -> None:
    make_german()
    code, shown = hearth("deploy.py", "--dry")
    assert code == 0, shown
    assert shown.count(PROMPT) == 1
    assert "would be changed: nothing" in shown
    code, shown = hearth("deploys/backup.py", "-y", "--data", f"x_backup_to={tmp_path}")
    assert code == 0, shown
    (backup,) = tmp_path.glob("*.tar")
    with tarfile.open(backup) as archive:
        assert "files/compose.yaml" in archive.getnames()
    assert on_guest("ls -A /tmp | grep pyinfra || true") == ""


@pytest.mark.long
def test_first_deploy() -> None:
    restore("fresh")
    make_german()
    code, shown = hearth("deploy.py", then=[(CONFIRM, "")])
    assert code == 0, shown
    assert shown.count(PROMPT) == 1
    assert f"the chat page: {url()}/" in shown
    assert "Willkommen" not in shown
    code, shown = hearth("deploy.py", "-y")
    assert code == 0, shown
    assert "changed: nothing" in shown
    assert on_guest("ls -A /tmp | grep pyinfra || true") == ""
