"""Raspberry Pis (64-bit Raspberry Pi OS, bookworm or trixie).

    .venv/bin/pyinfra inventory/pi.py deploy.py

docs/raspberry-pi.md goes from the empty SD card to the chat page, and says which models suit which Pi.

An inventory is a Python file. Each list in it is a group of hosts, named like the list: settings for the group can
be put into a file of that name (here: group_data/pi.py). A host is ("address", {settings of this host alone}).
"""

pi = [
    (
        "192.168.1.189",  # the one thing to edit: your Pi's address, or its name ("raspberrypi.local")
        {
            "ssh_user": "pi",  # the user you chose in Raspberry Pi Imager
            # "ssh_key": "~/.ssh/id_ed25519",  # if it is not one of ssh's usual keys
            # "chat_title": "Kitchen Pi",
            # "ollama_models": ["llama3.2:1b", "qwen2.5:0.5b"],
            # "ollama_models_dir": "/mnt/ssd/ollama",  # models on a disk of their own
            # "host_allow_reboot": True,  # memory limits take one restart of the Pi: let the deploy do it
        },
    ),
]
