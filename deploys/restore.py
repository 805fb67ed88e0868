"""Restore a backup to a host: `pyinfra inventory/pi.py deploys/restore.py --data x_restore_from=backups/….tar`.

Given a directory, each host of the inventory gets its own newest backup. The inventory only provides the connection;
all settings come from the backup.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as in deploy.py

from hearth.access.deploy import access
from hearth.backup.restore_deploy import choose_settings, open_backup, restore
from hearth.boot.deploy import boot
from hearth.cli.session import close_session, open_session
from hearth.docker.deploy import docker
from hearth.firewall.deploy import firewall, narrow_firewall
from hearth.gpu.deploy import gpu
from hearth.metrics.deploy import metrics
from hearth.outbound.deploy import outbound, read_authorities, read_proxy
from hearth.preflight.deploy import preflight
from hearth.releases.deploy import release
from hearth.rollout.deploy import end_turn

session = open_session(choose_settings, needs_tls=True, takes_turns=True)
settings, root = session.settings, session.root
proxy = read_proxy(settings)
authorities = read_authorities(settings)

platform, facts = preflight(settings, root, session.house, proxy)
boot(settings=settings, hardware=facts.hardware, **root)
outbound(settings=settings, proxy=proxy, authorities=authorities, exists=facts.outbound, **root)
docker(settings=settings, platform=platform, **root)
gpu(settings=settings, **root)
firewall(settings=settings, published=facts.published, router=session.router, **root)
access(settings=settings, **root)
restore(archive=open_backup(), settings=settings, tls_inputs=session.tls_inputs, **root)
metrics(settings=settings, exists=facts.metrics, **root)
release(settings=settings, **root)
end_turn()
narrow_firewall(settings=settings, exists=facts.firewall, published=facts.published, router=session.router, **root)

close_session(session, serves=True)
