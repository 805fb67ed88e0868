"""Real restrictions of containers, from namespaces and a system call filter on this machine. No engine, no LXC."""

from __future__ import annotations

import ctypes
import os
import platform
import shlex
import struct
import subprocess
import sys
from functools import cache

from hearth.paths import CHECKOUT
from hearth.preflight.lxc import ContainerHost, parse_container_host

SCRIPT = CHECKOUT / "hearth/preflight/lxc_probe.sh"
ROOT_ONE = "unshare --mount --pid --fork --mount-proc"
USER_ONE = "unshare --map-root-user --mount --pid --fork --mount-proc"
# The file that systemd-detect-virt reads, and a directory for Docker on a separate file system.
SETUP = "mount -t tmpfs none /run; mkdir /run/host; echo {} > /run/host/container-manager; mount -t tmpfs none /var/lib"
# What LXC prepares for nesting, in a separate /dev.
NESTED = "mount -t tmpfs none /dev; mknod -m 666 /dev/null c 1 3; mkdir -p /dev/.lxc/proc"
_NUMBERS = {"x86_64": (0xC000003E, 250), "aarch64": (0xC00000B7, 219)}


@cache
def missing_privileges() -> str:
    """Why this machine can't create such namespaces; "" if it can."""
    if os.getuid() or platform.machine() not in _NUMBERS:
        return "namespaces of every kind need root, on x86-64 or arm64"
    script = f"{SETUP.format('lxc')}; {USER_ONE} true"
    done = subprocess.run(["sh", "-c", f"{ROOT_ONE} sh -ec {shlex.quote(script)}"], capture_output=True, text=True)
    return f"namespaces are not available: {done.stderr.strip()}" if done.returncode else ""


def probe(before: str = "", inside: str = ROOT_ONE, without: str = "", kind: str = "lxc") -> ContainerHost:
    """Run the fact's script in a container.

    Args:
        before: shell command that prepares mounts, in a separate mount namespace. /run and /var/lib are empty there.
        inside: the container's namespaces.
        without: "keyctl" for a container without that system call.
        kind: the container's type, from systemd-detect-virt.
    """
    found = f"{inside} sh {SCRIPT}"
    if without:
        found = f"{sys.executable} -m tests.pyinfra.confined {found}"
    script = f"{SETUP.format(kind)}; cd {CHECKOUT}; {before}\n{found}"
    done = subprocess.run(["unshare", "--mount", "sh", "-ec", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return parse_container_host(done.stdout.splitlines())


def main() -> None:
    """Run a command without the system call keyctl(), as Proxmox does without `keyctl=1`."""
    machine, keyctl = _NUMBERS[platform.machine()]
    steps = [  # load the architecture; if different: allow; load the number; keyctl: ENOSYS (38); allow
        (0x20, 0, 0, 4),
        (0x15, 0, 3, machine),
        (0x20, 0, 0, 0),
        (0x15, 0, 1, keyctl),
        (0x06, 0, 0, 0x00050000 | 38),
        (0x06, 0, 0, 0x7FFF0000),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    # PR_SET_SECCOMP with SECCOMP_MODE_FILTER; root needs no PR_SET_NO_NEW_PRIVS for it.
    if libc.prctl(22, 2, ctypes.c_char_p(program), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
