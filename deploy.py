"""Hearth on every host of an inventory: `pyinfra inventory/pi.py deploy.py`.

Run it again to find and repair any difference. It asks before it changes anything; `-y` answers yes,
`--dry` only looks.
"""

from pyinfra import host, state

from hearth.connection import watch_connection
from hearth.lock import hold
from hearth.roles.access import access
from hearth.roles.boot import boot
from hearth.roles.docker import docker
from hearth.roles.firewall import announce, firewall, narrow
from hearth.roles.models import models
from hearth.roles.preflight import become, check_settings, preflight
from hearth.roles.release import release
from hearth.roles.stack import stack
from hearth.roles.tls import read_material

everyone = check_settings(state.inventory)
settings = everyone[host.name]
material = read_material(settings, everyone.values())
watch_connection(host)
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
