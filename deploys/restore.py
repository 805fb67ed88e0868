"""Put a backup onto a host: `pyinfra inventory/pi.py deploys/restore.py --data x_restore_from=backups/….tar`.

A directory of backups gives each host of the inventory its own, the newest. Only how to reach the host is taken from
the inventory; the settings are those of the backup.
"""

from pathlib import Path

from pyinfra import host, state
from pyinfra.api import DeployError

# First of all, as in deploy.py.
if Path.cwd() != Path(__file__).resolve().parents[1]:
    raise DeployError(
        f"{host.name}: nothing was changed: pyinfra was started in {Path.cwd()}, and finds Hearth's settings only in "
        f"Hearth's own directory: `cd {Path(__file__).resolve().parents[1]}` first"
    )

from hearth.access.deploy import access
from hearth.backup.restore_deploy import choose_settings, open_backup, restore
from hearth.boot.deploy import boot
from hearth.cli.summary import prepared
from hearth.docker.deploy import docker
from hearth.firewall.deploy import announce, firewall, narrow
from hearth.preflight.deploy import become, check_settings, preflight
from hearth.releases.deploy import release
from hearth.runtime.keepalive import watch_connection
from hearth.runtime.lock import hold
from hearth.runtime.options import required
from hearth.tls.deploy import read_material

everyone = check_settings(state.inventory)
inventory = everyone[host.name]
hosts = sum(1 for one in state.inventory if state.is_host_in_limit(one))
archive = open_backup(Path(required("FROM", host.data.get("x_restore_from"), "backups/….tar")), hosts)
settings = choose_settings(archive, inventory)
material = read_material(settings, everyone.values())
watch_connection()
root = become()
hold(root)

source, codename, seen = preflight(settings, root)
announce(settings)
boot(settings=settings, board=seen.board, **root)
docker(settings=settings, source=source, codename=codename, **root)
firewall(settings=settings, is_there=seen.firewall, published=seen.published, **root)
access(settings=settings, **root)
restore(archive=archive, settings=settings, material=material, **root)
release(settings=settings, **root)
narrow(settings=settings, published=seen.published, **root)
prepared(settings, root)
