"""Paths and names on a host and on this computer, shared by code, templates and tests."""

from __future__ import annotations

from pathlib import Path

# On this computer: the project directory.
CHECKOUT = Path(__file__).resolve().parents[1]

ROOT = "/opt/hearth"


def below_root(path: str) -> str:
    """`/opt/hearth/compose.yaml` → `compose.yaml`."""
    return path.removeprefix(f"{ROOT}/")


PROJECT = "hearth"
# Docker's networks; their bridges on the host have the same names, so 15 characters at most.
BACK, FRONT, OUT = "hearth-back", "hearth-front", "hearth-out"
# All of them, as a pattern for nft.
BRIDGES = "hearth-*"
# Service in compose.yaml → exactly the networks of its container.
SERVICE_NETWORKS = {"ollama": frozenset({BACK, OUT}), "httpd": frozenset({BACK, FRONT})}
# The last one is from earlier versions, which had only that network.
NETWORKS = (BACK, FRONT, OUT, "hearth")
MODELS_VOLUME = "hearth-models"
# Service in compose.yaml → name of its container.
CONTAINERS = {"ollama": "hearth-ollama", "httpd": "hearth-httpd"}
# Held by the running deploy, and names its user. (Not in /run/lock, where everybody may create files.)
DEPLOY_LOCK = "/run/hearth-deploy.lock"
HTTPD_CONF = "conf/hearth/httpd.conf"
# Which backends httpd leaves out while a deploy changes them; missing if there are none. In httpd's container, and on
# the host.
DRAINED_CONF = "conf/hearth/drained.conf"
DRAINED_MARKS = f"{ROOT}/httpd/drained.conf"
# httpd runs as this user, in its container and in the syntax check of httpd.conf.
HTTPD_USER = "www-data"
# Only root has access. The directory that httpd may read is mounted into its container.
SECRETS = f"{ROOT}/secrets"
HTTPD_SECRETS = f"{SECRETS}/httpd"
HTTPD_SECRET_FILES = ("people", "programs.conf")
# In the same directory, once there are providers.
HTTPD_PROVIDERS_FILE = "providers.conf"
# The group of that user in images on Debian.
HTTPD_GROUP = 33
# Docker's default data-root, for images and volumes; daemon.json may set another.
DOCKER_DIR = "/var/lib/docker"
# Of the images, if Docker uses containerd\'s image store; also only the default.
CONTAINERD_DIR = "/var/lib/containerd"
DAEMON_JSON = "/etc/docker/daemon.json"
# Hearth's own entries in daemon.json, so that it never changes the user's.
DAEMON_RECORD = f"{ROOT}/engine.json"
# Exists while a changed daemon.json waits for the engine's restart. In /run, since a reboot restarts the engine, too.
ENGINE_PENDING = "/run/hearth-engine-restart"
# What the running engine said of itself: hearth/preflight/image_store_probe.sh.
ENGINE_INFO = "/run/hearth-engine-info"
# What Compose said of compose.yaml: hearth/stack/compose_hashes.sh. In /run, since it is only a cache.
COMPOSE_HASHES = "/run/hearth-compose-hashes"
# Image reference → id, as pulled, to detect tags that were moved manually.
IMAGES_LOCK = f"{ROOT}/images.lock"
# Images that existed before Hearth (`docker load`, other containers), as in IMAGES_LOCK: an uninstall keeps them.
IMAGES_FOUND = f"{ROOT}/images.found"
# Pulls that were started and whose images may not be synced to disk yet: "boot reference" lines.
PULLING = f"{ROOT}/.pulling"
# Exists while a changed httpd.conf waits for the graceful reload.
RELOAD_PENDING = f"{ROOT}/.reload-httpd"
# Exists if Hearth installed Avahi, which announces the host's name: an uninstall removes it only then.
LOCAL_NAME_RECORD = f"{ROOT}/avahi.installed"
# The virtual address that hosts share: keepalived's service and files, and which configuration it has loaded.
VIRTUAL_ADDRESS_SERVICE = "hearth-virtual-address.service"
VIRTUAL_ADDRESS_UNIT = f"/etc/systemd/system/{VIRTUAL_ADDRESS_SERVICE}"
VIRTUAL_ADDRESS_CONF = f"{ROOT}/virtual-address/keepalived.conf"
VIRTUAL_ADDRESS_CHECK = f"{ROOT}/virtual-address/responds.bash"
VIRTUAL_ADDRESS_LOADED = "/run/hearth-virtual-address/loaded"
# Exists if Hearth installed keepalived: an uninstall removes it only then.
KEEPALIVED_RECORD = f"{ROOT}/keepalived.installed"
# Exists if Hearth installed NVIDIA's container toolkit: an uninstall removes it only then.
GPU_TOOLKIT_RECORD = f"{ROOT}/nvidia-container-toolkit.installed"
# Where Docker looks for descriptions of devices (CDI): lasting ones, and those of a boot, which take precedence.
CDI_DIRS = ("/etc/cdi", "/var/run/cdi")
# The firewall: its rules, the service that loads them, and a record of the loaded rules until the next reboot.
FIREWALL_RULES = f"{ROOT}/firewall.nft"
FIREWALL_SERVICE = "hearth-firewall.service"
FIREWALL_UNIT = f"/etc/systemd/system/{FIREWALL_SERVICE}"
FIREWALL_LOADED = "/run/hearth-firewall"
# Which requests to Ollama are in flight: the path at the gateway, for its own container and Ollama's.
REQUESTS_PATH = "/hearth-requests"
# Each backend alone, at this path and its name: for test prompts from inside the gateway's container.
BACKENDS_PATH = "/hearth-backends"
# Where httpd makes the 401 of a provider's route; only for redirects within httpd.
UNAUTHORIZED_PATH = "/hearth-unauthorized"
# Metrics: the path at the gateway; the service that collects them, and its files. What it writes is in /run, which
# spares an SD card; httpd's container mounts only METRICS_PUBLIC.
METRICS_PATH = "/metrics"
METRICS_SERVICE = "hearth-metrics.service"
METRICS_UNIT = f"/etc/systemd/system/{METRICS_SERVICE}"
METRICS_SCRIPT = f"{ROOT}/metrics/collect.bash"
METRICS_PROGRAM = f"{ROOT}/metrics/requests.mtail"
METRICS_RUN = "/run/hearth-metrics"
METRICS_PUBLIC = f"{METRICS_RUN}/public"
# The HTTP proxy through which the host reaches the internet: files with its password, of which each container mounts
# only its own directory. Those named .env are valid in shell and for systemd's EnvironmentFile.
OUTBOUND = f"{SECRETS}/outbound"
OUTBOUND_DOCKER = f"{OUTBOUND}/docker.env"
# Service → its directory.
OUTBOUND_DIRECTORIES = {"ollama": f"{OUTBOUND}/ollama", "httpd": f"{OUTBOUND}/httpd"}
OUTBOUND_OLLAMA = f"{OUTBOUND_DIRECTORIES['ollama']}/proxy.env"
OUTBOUND_HTTPD = f"{OUTBOUND_DIRECTORIES['httpd']}/proxy.conf"
# Ollama's directory in its container.
OUTBOUND_TARGET = "/hearth-proxy"
# Exists while Ollama has not read its file since it changed.
OUTBOUND_PENDING = f"{OUTBOUND}/pending"
OUTBOUND_UNIT = "/etc/systemd/system/docker.service.d/hearth-proxy.conf"
# The proxy of apt, and apart from it, since everybody may read it, how apt signs in there.
OUTBOUND_APT = "/etc/apt/apt.conf.d/80hearth-proxy.conf"
OUTBOUND_APT_LOGIN = "/etc/apt/auth.conf.d/hearth-proxy.conf"
# CAs of `host_trusted_ca`: where update-ca-certificates finds them, the directory that it writes and containers mount,
# and a mark that these have not read it since.
TRUSTED_CA = "/usr/local/share/ca-certificates/hearth"
CA_CERTIFICATES = "/etc/ssl/certs"
TRUSTED_CA_PENDING = f"{OUTBOUND}/ca.pending"
# TLS files; not part of a release. httpd's container mounts `live`; on the host, only root may enter the directory
# above it, even if another web server runs as the same user as httpd.
TLS = f"{ROOT}/tls"
TLS_LIVE = f"{TLS}/live"
# File in it → mode and owner (numbers: user, group).
TLS_FILES = {
    "server.pem": "640:0:33",
    "server.sha256": "644:0:0",
    "ca.crt": "644:0:0",
    "acme-trust.pem": "644:0:0",
    # With which a gateway authenticates at its backends.
    "gateway.pem": "640:0:33",
    "gateway.sha256": "644:0:0",
}
# httpd's own ACME files, including keys, are in `store`.
ACME = f"{ROOT}/acme"
ACME_STORE = f"{ACME}/store"
# One directory per accepted release: `<id>/release.json` and `<id>/tree/`, the files as deployed.
RELEASES = f"{ROOT}/releases"
# The current release (its id, one line); missing before the first one is accepted.
ACCEPTED = f"{RELEASES}/accepted"
# Events of releases, one JSON object per line.
RELEASE_LOG = f"{RELEASES}/log.jsonl"
# Models whose pull was started and may not be synced to disk yet, one name per line.
PULLING_MODELS = f"{ROOT}/.pulling-models"
# The file system of the models' directory, to detect a different one.
MODELS_DISK = f"{ROOT}/models-disk"
# A bundle's packages while they are installed, and the configuration with which apt reads only these.
BUNDLE_PACKAGES = "/var/cache/hearth-bundle"
# A Raspberry Pi's kernel options, in one line, and their backup from before Hearth added one: next to it, on the
# partition that every computer can read, for a Pi that no longer starts.
BOOT_LINE = "/boot/firmware/cmdline.txt"
BOOT_LINE_BEFORE = f"{BOOT_LINE}.before-hearth"
# Exists while a changed line waits for a reboot. In /run, so the reboot removes it.
REBOOT_DUE = "/run/hearth-reboot"
