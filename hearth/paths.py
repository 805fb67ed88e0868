"""Where things are, on a host and here, and what the stack's parts are called. Templates and tests use the same."""

from __future__ import annotations

from pathlib import Path

# Of this machine: the project's own directory.
CHECKOUT = Path(__file__).resolve().parents[1]

ROOT = "/opt/hearth"
PROJECT = "hearth"
# Docker's networks; their bridges on the host have the same names, so 15 characters at most.
BACK, FRONT, OUT = "hearth-back", "hearth-front", "hearth-out"
# All of them, as nft names interfaces.
BRIDGES = "hearth-*"
# Service in compose.yaml → the networks that its container is on, and no other.
SERVICE_NETWORKS = {"ollama": frozenset({BACK, OUT}), "httpd": frozenset({BACK, FRONT})}
# The last one is that of earlier versions, which had one for all.
NETWORKS = (BACK, FRONT, OUT, "hearth")
MODELS_VOLUME = "hearth-models"
# Service in compose.yaml → name of its container.
CONTAINERS = {"ollama": "hearth-ollama", "httpd": "hearth-httpd"}
# Held by the one deploy that is at work on the host; says who that is. (Not in /run/lock, where anybody may put files.)
DEPLOY_LOCK = "/run/hearth-deploy.lock"
HTTPD_CONF = "conf/hearth/httpd.conf"
# httpd runs as this user from its start, in its container and where httpd.conf is tried.
HTTPD_USER = "www-data"
# Closed to everybody but root. What httpd may read of it is mounted into its container, as a directory.
SECRETS = f"{ROOT}/secrets"
HTTPD_SECRETS = f"{SECRETS}/httpd"
HTTPD_SECRET_FILES = ("people", "programs.conf")
# The group of that user in images on Debian.
HTTPD_GROUP = 33
# Where Docker keeps images and volumes, unless daemon.json names another place as its data-root.
DOCKER_DIR = "/var/lib/docker"
DAEMON_JSON = "/etc/docker/daemon.json"
# What Hearth itself put into daemon.json, so that it never changes what a person put there.
DAEMON_RECORD = f"{ROOT}/engine.json"
# There while a changed daemon.json waits for the engine's restart. In /run, since a reboot restarts the engine as well.
ENGINE_PENDING = "/run/hearth-engine-restart"
# Image reference → id, as pulled: a tag that was moved by hand is noticed.
IMAGES_LOCK = f"{ROOT}/images.lock"
# Images that were there before Hearth (`docker load`, other containers), as in IMAGES_LOCK: an uninstall leaves them.
IMAGES_FOUND = f"{ROOT}/images.found"
# Pulls that were begun and whose images are not safely on the disk yet: "boot reference" lines.
PULLING = f"{ROOT}/.pulling"
# There while a changed httpd.conf waits for the graceful reload.
RELOAD_PENDING = f"{ROOT}/.reload-httpd"
# The firewall: its rules, the service that loads them, and a note of what was loaded, gone with a reboot.
FIREWALL_RULES = f"{ROOT}/firewall.nft"
FIREWALL_SERVICE = "hearth-firewall.service"
FIREWALL_UNIT = f"/etc/systemd/system/{FIREWALL_SERVICE}"
FIREWALL_LOADED = "/run/hearth-firewall"
# Of TLS; no part of a release. httpd sees `live`; on the host only root gets as far,
# also where another web server there has the same user as httpd in its container.
TLS = f"{ROOT}/tls"
TLS_LIVE = f"{TLS}/live"
# Name there → mode and owner (numbers: user, group).
TLS_FILES = {
    "server.pem": "640:0:33",
    "server.sha256": "644:0:0",
    "ca.crt": "644:0:0",
    "acme-trust.pem": "644:0:0",
}
# What httpd itself writes of ACME, keys among it, is in `store`.
ACME = f"{ROOT}/acme"
ACME_STORE = f"{ACME}/store"
# One directory per release that was accepted: `<id>/release.json` and `<id>/tree/`, the files as they were put.
RELEASES = f"{ROOT}/releases"
# Names the release that serves (its id, one line); absent before the first one was accepted.
ACCEPTED = f"{RELEASES}/accepted"
# What happened to releases, a JSON object a line.
RELEASE_LOG = f"{RELEASES}/log.jsonl"
# Names of models whose pull has begun and is not known to be on the disk yet, one a line.
PULLING_MODELS = f"{ROOT}/.pulling-models"
# The file system that the models' directory was on, so that another one is noticed.
MODELS_DISK = f"{ROOT}/models-disk"
# Words that a Raspberry Pi's firmware starts the kernel with, in one line, and what they were before Hearth added one:
# beside it, on the partition that every computer can read, for a Pi that does not start any more.
BOOT_LINE = "/boot/firmware/cmdline.txt"
BOOT_LINE_BEFORE = f"{BOOT_LINE}.before-hearth"
# There while a changed line waits for a restart. In /run, since a restart is what it waits for.
REBOOT_DUE = "/run/hearth-reboot"
