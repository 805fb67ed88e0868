"""Causes on the host itself, detected from inside (`--inventory`)."""

from __future__ import annotations

from hearth.doctor.causes.cause import Cause

HOST_NOT_LOOKED_AT = Cause(
    "host-not-looked-at",
    "The host could not be inspected from inside",
    "{error}.",
    "Check the login with `ssh`. The doctor needs pyinfra (`make setup`), ssh without a password, and root or "
    "passwordless sudo.",
    "warning",
)
NOT_DEPLOYED = Cause(
    "not-deployed",
    "Hearth is not deployed on this host",
    "{name} has no /opt/hearth/compose.yaml, or no Docker, so nothing of Hearth runs there.",
    "Deploy: `.venv/bin/pyinfra INVENTORY deploy.py`.",
)
ENGINE_SILENT = Cause(
    "engine-silent",
    "The Docker engine does not respond",
    "{what}.",
    "Deploy again, which starts it. On the host, check `sudo systemctl status docker` and `sudo journalctl -u docker "
    "-n 50`.",
)
CONTAINER_WRONG = Cause(
    "container-wrong",
    "A container is stopped, unhealthy or out of date",
    "{what}.",
    "Deploy again, which repairs drift. If a container keeps exiting, `sudo docker logs --tail 50 NAME` shows why.",
)
MODEL_SERVER_STUCK = Cause(
    "model-server-stuck",
    "Ollama is stuck",
    "{what}. A slow model would use the processor or read from a disk. A client that disconnects in the middle of an "
    "answer can cause this (ollama#17131): Ollama still lists its models but answers no prompt any more, and waiting "
    "does not help.",
    "Deploy again, or run `sudo docker restart hearth-ollama` on the host, which takes some seconds. Hearth's own "
    "health check does it within about two minutes while a prompt waits, unless it already did in the last ten "
    "minutes, or `ollama_heal_stuck = False`.",
    replaces=("model-does-not-answer", "first-token-never", "busy", "ollama-silent", "queue-full"),
)
CONTAINER_KEEPS_ENDING = Cause(
    "container-keeps-ending",
    "A container keeps restarting",
    "{what}, and Docker restarted it each time, interrupting whatever was in progress.",
    "`sudo docker logs --tail 50 NAME` on the host shows why. If it runs out of memory, use a smaller model "
    "(`ollama_models`).",
)
OLLAMA_UNREACHABLE = Cause(
    "ollama-unreachable",
    "httpd can't reach Ollama",
    "Both containers run, but Ollama does not respond to requests from hearth-httpd: {what}.",
    "Deploy again, which restores the containers' networks and names. If that does not help, something removed "
    "Docker's firewall rules (`iptables -F`, for example): `sudo systemctl restart docker` restores them, and the "
    "containers keep running meanwhile (`docker_live_restore`).",
)
CONTAINER_OUT_OF_MEMORY = Cause(
    "container-out-of-memory",
    "A container ran out of memory",
    "The kernel killed {what}: the container reached its memory limit, or the host had no memory left.",
    "Use a smaller model (`ollama_models`), a smaller `ollama_context_length`, or `ollama_max_loaded_models = 1`. Or "
    "raise `ollama_memory_limit`, if the host has the memory.",
)
MEMORY_LIMITS_OFF = Cause(
    "memory-limits-off",
    "Memory limits have no effect",
    "The host's memory cgroup is off (Raspberry Pi OS disables it), so `proxy_memory_limit` and `ollama_memory_limit` "
    "are ignored, and a model that is too large can exhaust the memory of the whole host.",
    "On a Raspberry Pi, deploy: it adds `cgroup_enable=memory` to the single line of /boot/firmware/cmdline.txt. Then "
    "reboot the Pi and deploy again, or set `host_allow_reboot = True`, and one deploy does both.",
    "warning",
)
HOST_MEMORY_LOW = Cause(
    "host-memory-low",
    "The host is short of memory",
    "{available} of {total} of memory are free, and {swapped} are swapped out: answers are slow, and a larger model "
    "does not fit.",
    "`free -m` and `sudo docker stats --no-stream` on the host show what uses it. Use a smaller model, or "
    '`ollama_keep_alive = "0"`, which frees the memory after each answer.',
    "warning",
)
DISK_FULL = Cause(
    "disk-full",
    "The host's disk is nearly full",
    "{whose} disk has {free} left. Logs can't be written, models can't be pulled, and containers may not start.",
    "`sudo docker system df` and `sudo du -xh / | sort -h | tail` on the host show what is large. Models can be moved "
    "to another disk (`ollama_models_dir`).",
)
ORIGINS_NOT_IN_FORCE = Cause(
    "origins-not-in-force",
    "The host's allowed origins differ from the settings",
    'The settings specify OLLAMA_ORIGINS="{configured}", but Ollama runs with "{active}": the change has not been '
    "deployed yet.",
    "Deploy.",
)
GPU_NOT_USED = Cause(
    "gpu-not-used",
    "Ollama computes on the processor, not on the GPU",
    "`ollama_gpu` is set, and it was used when the release was accepted. Now {what}: the driver was upgraded without a "
    "reboot, the host was suspended, or other programs use the GPU's memory.",
    "Deploy again: that restarts Ollama, and shows what it logged if it still does not find the GPU. After an upgrade "
    "of the driver, reboot the host first; after a suspend, `sudo rmmod nvidia_uvm && sudo modprobe nvidia_uvm` "
    "(NVIDIA). `nvidia-smi` on the host shows whether its driver works, and what uses the memory.",
)
POOL_EMPTY = Cause(
    "pool-empty",
    "No backend of a pool responds",
    "{what}. Requests to that pool get 503.",
    "Switch one of the machines on; httpd uses it within two seconds after its Ollama responds. Otherwise, on the "
    "backend, `sudo docker ps` shows whether its Ollama runs, and the firewall of that machine has to accept the "
    "gateway. A deploy of all hosts repairs the ones that Hearth manages.",
)
BACKEND_DOWN = Cause(
    "backend-down",
    "A backend does not respond",
    "{what}. The other backends of its pools serve alone.",
    "Nothing, if it is meant to be off. Otherwise check on that machine whether Ollama runs, listens on the network "
    "(`OLLAMA_HOST`) and is reachable from the gateway; deploy to it again if Hearth manages it.",
    "warning",
)
BACKEND_LACKS_MODEL = Cause(
    "backend-lacks-model",
    "Backends of one pool have different models",
    "{what}. httpd does not read the model's name in a request, so some requests for that model get 404.",
    "Deploy to that backend, which pulls the models in its `ollama_models`; on a machine that Hearth does not manage, "
    "`ollama pull` it there. A model that only one backend has belongs into a pool of its own (`ollama_pools`).",
)
BACKEND_REFUSES_ORIGIN = Cause(
    "backend-refuses-origin",
    "A backend refuses the gateway's requests (403)",
    "{what}. Ollama does that if it listens on its own loopback address only, and something forwards requests to it: "
    "their host name is not one that it knows.",
    "On that machine, let Ollama itself listen on the network (`OLLAMA_HOST=0.0.0.0`), restrict its port to the "
    "gateway in the firewall, and list its address in `ollama_pools`.",
)
NATIVE_OLLAMA = Cause(
    "native-ollama",
    "A natively installed Ollama runs on the host",
    "A program `ollama` that is not Hearth's listens on {what}. Pages and API clients that call it get its own rules "
    "(an empty 403 for unlisted origins) and its own models, and it competes with Hearth's Ollama for memory.",
    "`sudo systemctl disable --now ollama` stops it; its models are kept.",
    "warning",
)
ERRORS_IN_LOGS = Cause(
    "errors-in-logs",
    "The containers logged errors in the last hour",
    "{what}",
    "`sudo docker logs --since 1h hearth-ollama` (or hearth-httpd) on the host shows their context.",
    "warning",
)
PROVIDER_UNREACHABLE = Cause(
    "provider-unreachable",
    "A provider in the internet can't be reached",
    "The provider `{name}` (`proxy_providers`) did not answer a request from this host: {what}.",
    "Check the internet access and the DNS server of the host (`curl -I https://…` with the provider's `url`), and the "
    "provider's own status page. For an invalid certificate, check the host's clock, and that no program between the "
    "host and the internet inspects TLS.",
)
PROVIDER_REFUSES_KEY = Cause(
    "provider-refuses-key",
    "A provider in the internet refuses this host's key",
    "The provider `{name}` (`proxy_providers`) answered 401 to the key that this host sent: it was revoked, belongs to "
    "another provider, or was not installed after a restore.",
    "Create a key at the provider, store it where the entry's `key` says, and deploy again.",
)
