"""A backup is restored to a host that lost everything, and to a fresh one."""

from __future__ import annotations

from pathlib import Path

import pytest

from hearth.backup.reader import Archive
from hearth.paths import ROOT
from tests.acceptance.api import call
from tests.lab.machine import Run, deploy, listed_on_guest, on_guest, pyinfra, restore, url

pytestmark = [pytest.mark.scenario, pytest.mark.usefixtures("deployed")]

BACKUP, RESTORE = "deploys/backup.py", "deploys/restore.py"
PULL = "Restore | Pull models that are not in the backup"
# Without the records that each host creates.
DIGESTS = f"cd {ROOT} && sudo find . -type f ! -name 'images.*' ! -name engine.json -exec sha256sum {{}} +"
MODELS = "set -o pipefail; sudo docker exec hearth-ollama ollama list | awk 'NR > 1 {print $1, $2}'"
IMAGES = f"cat {ROOT}/images.lock"
WIPE = f"""set -e
sudo docker rm -f hearth-httpd hearth-ollama
sudo docker network rm hearth-back hearth-front hearth-out
sudo docker volume rm hearth-models
sudo docker rmi $(cut -d ' ' -f 1 {ROOT}/images.lock)
sudo rm -r {ROOT}
"""


@pytest.fixture
def archive(deployed: None, tmp_path: Path) -> Path:  # noqa: ARG001
    """A backup of the deployed host, with its models."""
    run = pyinfra(BACKUP, f"x_backup_to={tmp_path}", "x_backup_models=1")
    assert run.code == 0, run.output
    (path,) = tmp_path.iterdir()
    size = path.stat().st_size
    print(f"\nbackup: {run.seconds:.1f} s, {size / 1e6:.1f} MB")
    assert path.stat().st_mode & 0o777 == 0o600
    assert "secrets: none" in run.output
    return path


def restore_backup(archive: Path, *data: str) -> Run:
    """Restore a backup with its models; the host answers a prompt."""
    run = pyinfra(RESTORE, f"x_restore_from={archive}", *data)
    assert run.code == 0, run.output
    print(f"restore: {run.seconds:.1f} s; changed: {', '.join(run.changed)}")
    assert PULL not in run.changed, "models are restored from the backup"
    answer = call(url(), "POST", "/api/ollama", {"model": "tinyllama", "prompt": "hi", "stream": False}, timeout=300)
    assert answer.status == 200, answer
    return run


@pytest.mark.long
def test_wiped_host_is_restored(archive: Path) -> None:
    before = [listed_on_guest(one) for one in (DIGESTS, MODELS, IMAGES)]
    assert any("./compose.yaml" in line for line in before[0])
    assert any("tinyllama:latest" in line for line in before[1])
    on_guest(WIPE, timeout=300)
    run = restore_backup(archive, 'chat_title="Another"')
    assert "chat_title: using the backup's 'Hearth', not the inventory's 'Another'" in run.output
    assert [listed_on_guest(one) for one in (DIGESTS, MODELS, IMAGES)] == before
    again = pyinfra(RESTORE, f"x_restore_from={archive}")
    assert (again.code, again.changed) == (0, ()), again.output
    quiet = deploy()
    assert (quiet.code, quiet.changed) == (0, ()), quiet.output


@pytest.mark.long
def test_backup_is_restored_to_a_fresh_host(archive: Path) -> None:
    before = [listed_on_guest(one) for one in (DIGESTS, MODELS, IMAGES)]
    restore("fresh")
    restore_backup(archive)
    assert [listed_on_guest(one) for one in (DIGESTS, MODELS, IMAGES)] == before
    quiet = deploy()
    assert (quiet.code, quiet.changed) == (0, ()), quiet.output


def test_damaged_backup_is_refused_without_changes(archive: Path) -> None:
    before = listed_on_guest(DIGESTS)
    assert Archive.load(archive).manifest.has_blobs
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)
    run = pyinfra(RESTORE, f"x_restore_from={archive}")
    assert run.code != 0
    assert not run.changed
    assert "is damaged" in run.output
    assert "Traceback" not in run.output
    assert listed_on_guest(DIGESTS) == before
