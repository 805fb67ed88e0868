"""The lab: a disposable virtual machine on this computer that simulates a fresh Raspberry Pi.

    .venv/bin/python -m lab up
    pyinfra inventory/lab.py deploy.py

Its address, key and registries come from the running lab; there is nothing to edit here.
"""

from pyinfra.api.exceptions import InventoryError

import lab as _lab

try:
    _status = _lab.status(must_run=True)
except _lab.LabError as error:
    raise InventoryError(str(error)) from None

# With Docker Hub and Ollama's library, everything except the models has its default.
_data = {
    "ssh_config_file": _status.ssh_config,
    # Port forwards of the lab VM (guest port → local port), for the tests.
    "x_forwards": dict(_status.forwards),
    "ollama_models": list(_status.models),
}
if _status.mode == "built":
    _data |= {
        "docker_registry_mirrors": [_status.registry_mirror],
        # The versions that could be built here, which may differ from the defaults (docs/versions.md).
        "proxy_image": _status.images["httpd"],
        "ollama_image": _status.images["ollama"],
        # For guests whose release has no suitable Docker: a replica of Docker's own repository.
        **({"docker_apt_url": _status.docker_apt_url} if _status.docker_apt_url else {}),
        "ollama_model_registry": _status.model_registry,
        # The lab's images are small, and its models tiny.
        "docker_images_gb": 1.0,
        "ollama_model_sizes_gb": dict.fromkeys(_status.models, 0.1),
        # A page on a listed origin, for the acceptance tests.
        "allowed_origins": ["http://listed.example:8080"],
        # An existing backend on the host, for the acceptance tests.
        "proxy_extra_routes": [
            {"path": "/flask/", "to": "http://host.docker.internal:5001/", "methods": ["GET", "HEAD"]},
        ],
    }

lab = [(_status.ssh_host, _data)]
