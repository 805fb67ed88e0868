"""Raspberry Pis (64-bit Raspberry Pi OS, bookworm or trixie).

    .venv/bin/pyinfra inventory/pi.py deploy.py

docs/raspberry-pi.md leads from the SD card to the chat page, and lists which models suit which Pi.

An inventory is a Python file. Each list in it is a group of hosts, named after the list; the group's settings are in
a file of that name (here: group_data/pi.py). A host is ("address", {settings of this host}).
"""

pi = [
    (
        "192.168.1.189",  # the one thing to edit: your Pi's address, or its name ("raspberrypi.local")
        {
            "ssh_user": "pi",  # the user you chose in Raspberry Pi Imager
            # "ssh_key": "~/.ssh/id_ed25519",  # if it is not one of ssh's default keys
            # "chat_title": "Kitchen Pi",
            # "ollama_models": ["llama3.2:1b", "qwen2.5:0.5b"],
            # "ollama_models_dir": "/mnt/ssd/ollama",  # models on a separate disk
            # "host_allow_reboot": True,  # enabling memory limits needs one reboot: allow it
        },
    ),
]
