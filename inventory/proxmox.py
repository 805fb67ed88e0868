"""Proxmox: containers (LXC, Debian 12 or 13, unprivileged, options nesting=1 and keyctl=1) and virtual machines.

docs/proxmox.md has the commands to create one.

    .venv/bin/pyinfra inventory/proxmox.py deploy.py

An inventory is a Python file. Each list in it is a group of hosts, named after the list; the group's settings are in
a file of that name (here: group_data/proxmox.py). A host is ("address", {settings of this host}).
"""

proxmox = [
    (
        "192.168.1.50",  # the one thing to edit: the container's own address (not that of the Proxmox node)
        {
            "ssh_user": "root",  # Proxmox's Debian templates have no other user, and no sudo
            # "ssh_key": "~/.ssh/id_ed25519",  # if it is not one of ssh's default keys
            # "ollama_models_dir": "/mnt/models",  # a separate volume: pct set ID -mp0 local-lvm:100,mp=/mnt/models
        },
    ),
]
