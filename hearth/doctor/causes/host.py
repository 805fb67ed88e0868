"""Causes on the host itself, seen from inside (`--inventory`)."""

from __future__ import annotations

from hearth.doctor.causes.cause import Cause

HOST_NOT_LOOKED_AT = Cause(
    "host-not-looked-at",
    "The host could not be looked at from inside",
    "{error}.",
    "`ssh` to the host by hand shows whether the login works. The doctor needs pyinfra (`make setup`), a login "
    "without a password, and root or a sudo that asks for none.",
    "warning",
)
NOT_DEPLOYED = Cause(
    "not-deployed",
    "Hearth was not deployed to this host",
    "There is no /opt/hearth/compose.yaml on {name}, or no Docker: nothing of Hearth runs there.",
    "`.venv/bin/pyinfra INVENTORY deploy.py` builds it.",
)
ENGINE_SILENT = Cause(
    "engine-silent",
    "The Docker engine does not answer",
    "{what}.",
    "On the host: `sudo systemctl status docker`, `sudo journalctl -u docker -n 50`. Deploying again starts it.",
)
CONTAINER_WRONG = Cause(
    "container-wrong",
    "A container is not as it should be",
    "{what}.",
    "Deploy again: it puts right what differs. If a container keeps ending, `sudo docker logs --tail 50 NAME` says "
    "why.",
)
MODEL_SERVER_STUCK = Cause(
    "model-server-stuck",
    "Ollama is stuck",
    "{what}. A slow model would use the processor or read from a disk. A client that leaves in mid-answer can leave "
    "Ollama so (ollama#17131): it lists its models as ever and answers no question any more, and waiting does not "
    "help.",
    "Deploy again, or on the host `sudo docker restart hearth-ollama`, which takes some seconds. Hearth's own health "
    "check does it within about two minutes while a question waits, unless it did so in the ten minutes before, or "
    "`ollama_heal_stuck = False`.",
    replaces=("model-does-not-answer", "first-token-never", "busy", "ollama-silent", "queue-full"),
)
CONTAINER_KEEPS_ENDING = Cause(
    "container-keeps-ending",
    "A container ends again and again",
    "{what}, and Docker started it again each time. Whatever it was doing broke off.",
    "`sudo docker logs --tail 50 NAME` on the host says why. If memory runs out: a smaller model (`ollama_models`).",
)
OLLAMA_UNREACHABLE = Cause(
    "ollama-unreachable",
    "httpd does not reach Ollama",
    "Both containers run, and from within hearth-httpd Ollama gives no answer: {what}.",
    "Deploy again: it gives containers their networks and names back. If it stays, something changed the host's "
    "firewall under Docker (`iptables -F`, say): `sudo systemctl restart docker` puts Docker's own rules in again, "
    "and containers live on meanwhile (`docker_live_restore`).",
)
CONTAINER_OUT_OF_MEMORY = Cause(
    "container-out-of-memory",
    "Memory ran out in a container",
    "The kernel ended {what}: the container reached its memory limit, or the host had none left.",
    "A smaller model (`ollama_models`), a smaller `ollama_context_length`, `ollama_max_loaded_models = 1`; or raise "
    "`ollama_memory_limit`, if the host has the memory.",
)
MEMORY_LIMITS_OFF = Cause(
    "memory-limits-off",
    "Memory limits have no effect",
    "The host's kernel does not count memory for containers (Raspberry Pi OS has it switched off), so "
    "`proxy_memory_limit` and `ollama_memory_limit` are ignored, and a model that is too large takes the whole host "
    "with it.",
    "On a Raspberry Pi, deploy: it adds `cgroup_enable=memory` to the one line of /boot/firmware/cmdline.txt. Then "
    "restart the Pi and deploy again, or set `host_allow_reboot = True`, and the deploy does all of it.",
    "warning",
)
HOST_MEMORY_LOW = Cause(
    "host-memory-low",
    "The host is short of memory",
    "{available} of {total} of memory are free, and {swapped} were moved to disk: answers come slowly, and a larger "
    "model does not fit.",
    "`free -m` and `sudo docker stats --no-stream` on the host show who has it. A smaller model, or "
    '`ollama_keep_alive = "0"`, which frees it after each answer.',
    "warning",
)
DISK_FULL = Cause(
    "disk-full",
    "The host's disk is nearly full",
    "{whose} disk has {free} left. Logs can't be written and models can't be pulled; containers may not start.",
    "`sudo docker system df` and `sudo du -xh / | sort -h | tail` on the host show what is large. Models can live on "
    "another disk (`ollama_models_dir`).",
)
ORIGINS_NOT_IN_FORCE = Cause(
    "origins-not-in-force",
    "The host has other origins than the settings",
    'The settings say OLLAMA_ORIGINS should be "{wanted}", and Ollama runs with "{found}": the change was not '
    "deployed yet.",
    "Deploy.",
)
NATIVE_OLLAMA = Cause(
    "native-ollama",
    "Another Ollama runs on the host itself",
    "A program `ollama` that is not Hearth's listens on {what}. Pages and programs that call it get its own rules "
    "(an empty 403 for foreign origins) and its own models, and it takes memory from Hearth's.",
    "`sudo systemctl disable --now ollama` stops it; its models stay where they are.",
    "warning",
)
ERRORS_IN_LOGS = Cause(
    "errors-in-logs",
    "The containers logged errors in the last hour",
    "{what}",
    "`sudo docker logs --since 1h hearth-ollama` (or hearth-httpd) on the host has what stood around them.",
    "warning",
)
