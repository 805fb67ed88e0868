"""Hearth on every host of an inventory: `.venv/bin/pyinfra inventory/pi.py deploy.py`.

Run it again to find and repair any difference. It asks before it changes anything; `-y` answers yes,
`--dry` only looks.
"""

from pathlib import Path

from pyinfra import host, state
from pyinfra.api import DeployError

# First of all: from another directory pyinfra finds neither the settings in group_data/ nor what is imported below.
if Path.cwd() != Path(__file__).resolve().parent:
    raise DeployError(
        f"{host.name}: nothing was changed: pyinfra was started in {Path.cwd()}, and finds Hearth's settings only in "
        f"Hearth's own directory: `cd {Path(__file__).resolve().parent}` first"
    )

from hearth.access.deploy import access
from hearth.boot.deploy import boot
from hearth.cli.summary import prepared
from hearth.docker.deploy import docker
from hearth.firewall.deploy import announce, firewall, narrow
from hearth.models.deploy import models
from hearth.preflight.deploy import become, check_settings, preflight
from hearth.releases.deploy import release
from hearth.runtime.keepalive import watch_connection
from hearth.runtime.lock import hold
from hearth.stack.deploy import stack
from hearth.tls.deploy import read_material

everyone = check_settings(state.inventory)
settings = everyone[host.name]
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
stack(settings=settings, material=material, board=seen.board, **root)
models(settings=settings, **root)
release(settings=settings, **root)
narrow(settings=settings, published=seen.published, **root)
prepared(settings, root)
