"""Deploy Hearth to every host of an inventory: `.venv/bin/pyinfra inventory/pi.py deploy.py`.

Run it again to detect and repair drift. It prompts before it changes anything; `-y` skips the prompt, `--dry` changes
nothing.
"""

import sys
from pathlib import Path

# pyinfra imports modules from the current directory; `open_session` refuses any other with an error.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from hearth.access.deploy import access
from hearth.boot.deploy import boot
from hearth.bundle.deploy import (
    apt_arguments,
    bundled_images,
    bundled_models,
    bundled_packages,
    check_bundle,
    check_platform,
    open_bundle,
    remove_copies,
)
from hearth.cli.session import close_session, open_session
from hearth.docker.deploy import docker, docker_queries
from hearth.firewall.deploy import firewall, firewall_queries, narrow_firewall
from hearth.gpu.deploy import gpu, gpu_use
from hearth.mdns.deploy import local_name, local_name_queries
from hearth.metrics.deploy import metrics, metrics_queries
from hearth.models.deploy import model_queries, models
from hearth.outbound.deploy import outbound, outbound_queries, read_authorities, read_proxy
from hearth.preflight.deploy import preflight
from hearth.releases.deploy import release, release_queries
from hearth.rollout.deploy import end_turn, pools, pools_queries
from hearth.runtime.fact_snapshot import take_snapshot
from hearth.stack.deploy import stack, stack_queries
from hearth.virtual_address.deploy import agree_on_virtual_address, virtual_address, virtual_address_queries

session = open_session(check_bundle, needs_tls=True, needs_model_files=True, takes_turns=True)
settings, root = session.settings, session.root
proxy = read_proxy(settings)
authorities = read_authorities(settings)
bundle = open_bundle()

platform, facts = preflight(settings, root, session.house, proxy)
check_platform(bundle, platform)
take_snapshot(
    [
        *docker_queries(settings, platform),
        *outbound_queries(settings),
        *firewall_queries(settings),
        *local_name_queries(settings),
        *stack_queries(settings),
        *model_queries(settings),
        *metrics_queries(settings),
        *release_queries(settings),
        *virtual_address_queries(settings),
        *pools_queries(settings),
    ],
    root,
)
boot(settings=settings, hardware=facts.hardware, **root)
outbound(settings=settings, proxy=proxy, authorities=authorities, exists=facts.outbound, **root)
if bundle:
    bundled_packages(bundle=bundle, settings=settings, platform=platform, **root)
    root = apt_arguments(root)
docker(settings=settings, platform=platform, from_bundle=bool(bundle), **root)
gpu(settings=settings, **root)
agree_on_virtual_address(settings=settings, router=session.router, exists=facts.virtual_address, **root)
firewall(settings=settings, published=facts.published, router=session.router, **root)
local_name(settings=settings, exists=facts.local_name, **root)
access(settings=settings, **root)
if bundle:
    bundled_images(bundle=bundle, settings=settings, **root)
stack(settings=settings, tls_inputs=session.tls_inputs, hardware=facts.hardware, **root)
if bundle:
    bundled_models(bundle=bundle, settings=settings, **root)
models(settings=settings, files=session.model_files, **root)
metrics(settings=settings, exists=facts.metrics, **root)
virtual_address(settings=settings, router=session.router, **root)
if bundle:
    remove_copies(**root)
release(settings=settings, **root)
gpu_use(settings=settings, **root)
pools(settings=settings, house=session.house, **root)
end_turn()
narrow_firewall(settings=settings, exists=facts.firewall, published=facts.published, router=session.router, **root)

close_session(session, serves=True)
