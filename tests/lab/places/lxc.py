"""A Proxmox-like host: an unprivileged LXC container inside the lab's guest, reached through it by ssh."""

from __future__ import annotations

import hashlib
import runpy
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import lab
from lab import ssh, state
from tests.lab.machine import ROOT, on_guest, restore, wait_until

HOST = "hearth-lxc"
ADDRESS = "10.0.3.10"
INVENTORY = "tests/lab/places/lxc_inventory.py"
_MAKE = Path(__file__).with_name("make_lxc.sh")
_CONFIG = f"""lxc.include = /usr/share/lxc/config/common.conf
lxc.include = /usr/share/lxc/config/userns.conf
lxc.uts.name = {HOST}
lxc.rootfs.path = dir:/var/lib/lxc/hearth/rootfs
lxc.idmap = u 0 100000 65536
lxc.idmap = g 0 100000 65536
lxc.net.0.type = veth
lxc.net.0.link = lxcbr0
lxc.net.0.flags = up
lxc.net.0.name = eth0
lxc.net.0.ipv4.address = {ADDRESS}/24
lxc.net.0.ipv4.gateway = 10.0.3.1
"""
# The effects of Proxmox's `-features`. LXC's own profile lacks lxc-pve's fix for runc#4968; so where Docker must work,
# there is no profile, which is equivalent for Docker.
_NESTING = "lxc.include = /usr/share/lxc/config/nesting.conf\n"
# The rule of LXC's generated profile that causes runc#4968. Since lxc-pve 6.0.5-2, containers with nesting no longer
# have it, as with Debian's LXC.
_OLD_RULE = "deny /sys/[^fdck]*{,/**} wklx,"
FEATURES = {
    "nesting": f"{_NESTING}lxc.mount.auto = proc:rw sys:rw cgroup:rw\nlxc.apparmor.profile = unconfined\n",
    "nothing": (
        "lxc.apparmor.profile = generated\nlxc.apparmor.allow_nesting = 0\n"
        "lxc.seccomp.profile = /var/lib/lxc/no-keyctl\n"
    ),
    "an old node": (
        f"{_NESTING}lxc.apparmor.profile = generated\nlxc.apparmor.allow_nesting = 1\nlxc.apparmor.raw = {_OLD_RULE}\n"
    ),
}
# As pve-container writes it without `keyctl=1`: the system call does not exist.
_NO_KEYCTL = "2\ndenylist\n[all]\nkeyctl errno 38\n"


def ssh_config() -> str:
    """The text of an ssh configuration for the container, through the guest, without an Include."""
    directory = state.DIRECTORY
    guest = ssh.configuration(directory, lab.status(must_run=True).forwards["22"])
    return f"""{guest}
Host {HOST}
  HostName {ADDRESS}
  Port 22
  User root
  ProxyJump {ssh.HOST}
  IdentityFile "{directory}/ssh_key"
  IdentitiesOnly yes
  UserKnownHostsFile "{directory}/lxc_known_hosts"
  StrictHostKeyChecking accept-new
  LogLevel ERROR
"""


def inventory_data() -> dict[str, Any]:
    """The lab's inventory data, with the container's ssh configuration and root instead of pi."""
    (_, data), *_ = runpy.run_path(str(ROOT / "inventory/lab.py"))["lab"]
    path = state.DIRECTORY / "lxc_ssh_config"
    path.write_text(ssh_config())
    return {**data, "ssh_config_file": str(path), "ssh_user": "root"}


def make() -> None:
    """A fresh machine with a container that is not started; from a snapshot, if there is one."""
    script = f"{_MAKE.read_text()}\nprintf %s {shlex.quote(_NO_KEYCTL)} >/var/lib/lxc/no-keyctl\n"
    name = f"lxc-{hashlib.sha256(script.encode()).hexdigest()[:8]}"
    if name in lab.status().snapshots:
        restore(name)
        return
    restore("fresh")
    on_guest(f"sudo sh -c {shlex.quote(script)}", timeout=1200)
    subprocess.run(
        [sys.executable, "-m", "lab", "snapshot", name], cwd=ROOT, check=True, capture_output=True, timeout=300
    )


def start(features: str) -> None:
    """Start the container with one of FEATURES, and wait until it accepts commands."""
    (state.DIRECTORY / "lxc_known_hosts").unlink(missing_ok=True)
    inventory_data()
    config = shlex.quote(_CONFIG + FEATURES[features])
    on_guest(
        f"printf %s {config} | sudo tee /var/lib/lxc/hearth/config >/dev/null && "
        "sudo lxc-start --name hearth --logfile /var/tmp/lxc.log --logpriority INFO || "
        "{ sudo tail -n 40 /var/tmp/lxc.log >&2; exit 1; }",
        timeout=180,
    )
    wait_until(lambda: in_container("echo ready", timeout=30) == "ready", 300, "the container accepts commands")


def in_container(script: str, timeout: int = 120, check: bool = True) -> str:
    """Run a shell script in the container as root, over ssh, and return its stripped output."""
    words = ["ssh", "-F", str(state.DIRECTORY / "lxc_ssh_config"), "-o", "BatchMode=yes", HOST, script]
    done = subprocess.run(words, capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL)
    assert not check or done.returncode == 0, f"in the container: {script}\n{done.stdout}{done.stderr}"
    return done.stdout.strip()
