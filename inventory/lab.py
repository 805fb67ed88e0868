"""The lab: a throwaway virtual machine on this computer that stands in for a fresh Raspberry Pi.

    .venv/bin/python -m lab up
    pyinfra inventory/lab.py deploy.py

Its address, key and registries are where the running lab says they are; nothing is to be edited here.
"""

from pyinfra.api.exceptions import InventoryError

import lab as _lab

try:
    _status = _lab.status(must_run=True)
except _lab.LabError as error:
    raise InventoryError(str(error)) from None

# From Docker Hub and Ollama's library comes what hosts get by default: then nothing but the models is said here.
_data = {
    "ssh_config_file": _status.ssh_config,
    # What of the machine is reached where from here, for the tests.
    "x_forwards": dict(_status.forwards),
    "ollama_models": list(_status.models),
}
if _status.mode == "built":
    _data |= {
        "docker_registry_mirrors": [_status.registry_mirror],
        # What could be built here, which need not be what hosts get by default (docs/versions.md).
        "proxy_image": _status.images["httpd"],
        "ollama_image": _status.images["ollama"],
        # Where the guest's release has no Docker that would do: a stand-in for Docker's own packages.
        **({"docker_apt_url": _status.docker_apt_url} if _status.docker_apt_url else {}),
        "ollama_model_registry": _status.model_registry,
        # The lab's images are small, and its models tiny.
        "docker_images_gb": 1.0,
        "ollama_model_sizes_gb": dict.fromkeys(_status.models, 0.1),
        # A page on another origin that may call, for the acceptance tests.
        "allowed_origins": ["http://listed.example:8080"],
        # A backend that was on the host before, for the acceptance tests.
        "proxy_extra_routes": [
            {"path": "/flask/", "to": "http://host.docker.internal:5001/", "methods": ["GET", "HEAD"]},
        ],
    }

lab = [(_status.ssh_host, _data)]
