"""A house: several hosts on one LAN, without emulation, each with its own systemd, sshd and, once deployed, Docker.

They are system containers of this machine's kernel, like Proxmox's, in namespaces that end with the process that
started them. Their LAN is 198.18.N.0/24: this machine is .1 (gateway, and the lab's registries), the hosts are .11,
.12, …. Needs root.

What it does not show: a kernel of its own (memory limits of containers are ignored where this machine has cgroup v1).

`python -m lab.house 3` starts one and keeps it until Enter or Ctrl-C.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from lab import builder, guest, guests, images, mirrors, ports, process, registry, shell
from lab.errors import LabError

NEEDED = ("house", "images", "models", "tools")
MODELS = ("tinyllama", "tinystory")
_PREFIX = "198.18"  # for tests of network devices (RFC 2544): in no LAN
_HOST_SCRIPT = Path(__file__).parent / "house_host.sh"
_INOTIFY_LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
_UNIFIED = Path("/sys/fs/cgroup/unified")


def recipe() -> str:
    return builder.recipe("house.sh")


def inputs() -> list[str]:
    """What the hosts' root is built from, for its key."""
    sources = mirrors.of_this_machine().sources(mirrors.SUITE)
    texts = (f"{name}\n{path.read_text()}" for name, path in sorted(guest.files(guests.TRIXIE).items()))
    return [recipe(), sources, mirrors.apt_options(), *texts]


def build(out: Path, log: Path) -> None:
    """Fill `out`: `root/` is the hosts' root directory."""
    script, files = out / "house.sh", out / "files"
    script.write_text(recipe())
    for name, path in guest.files(guests.TRIXIE).items():
        (files / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, files / name)
    builder.debian(mirrors.SUITE, out, script, [files], log, timeout=1800)


@dataclass
class Host:
    """One host. `disk`: its directory in the house's mount namespace."""

    name: str
    address: str
    disk: str
    running: subprocess.Popen[bytes] | None = None


class House:
    """Hosts named h1, h2, …, freshly installed and booted, until the end of the block.

    Args:
        parts: paths of the lab's artefacts NEEDED.
        directory: an empty directory for keys and logs.
        count: number of hosts, up to 200.

    Attributes:
        hosts: by name.
        ssh_config: a file for `ssh -F`, in which the hosts have their names.
        registry_mirror, model_registry: the lab's, as hosts reach them.
        images: "httpd", "ollama" -> image in the registry.
    """

    def __init__(self, parts: Mapping[str, Path], directory: Path, count: int) -> None:
        if os.geteuid() != 0:
            raise LabError("A house needs root: its hosts are containers. Run as root.")
        self._parts, self._directory = parts, directory
        self.images = images.tags(parts["images"])
        self._clean = contextlib.ExitStack()
        self._number = 0
        self._holder = 0
        self.hosts = {f"h{n}": Host(f"h{n}", "", f"/run/house/h{n}") for n in range(1, count + 1)}

    def __enter__(self) -> House:
        try:
            self._start()
        except BaseException:
            self._clean.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clean.close()

    def off(self, name: str) -> None:
        """Cut a host's power. Its disk stays."""
        host = self.hosts[name]
        if host.running:
            host.running.kill()
            host.running.wait()
            host.running = None
            # Its network ends a moment after its last process, and its interface with it.
            _poll(lambda: not self._lan("ip", "link", "show", f"to-{name}", check=False), 10, f"{name} is off")

    def on(self, name: str) -> None:
        """Boot a host, and wait until one can log in."""
        self._boot(self.hosts[name])
        self._wait(self.hosts[name])

    def cut(self, name: str) -> None:
        """Unplug a host's network cable: packets to and from it vanish."""
        self._lan("ip", "link", "set", f"to-{name}", "down")

    def join(self, name: str) -> None:
        """Plug the cable in again."""
        self._lan("ip", "link", "set", f"to-{name}", "up")

    def fresh(self, name: str, snapshot: str = "") -> None:
        """Switch a host off, and boot it from a freshly installed disk, or from a snapshot of it."""
        host = self.hosts[name]
        self.off(name)
        for part in ("upper", "work", "docker", "containerd"):
            self._lan("rm", "-rf", "--one-file-system", f"{host.disk}/{part}")
        if snapshot:
            self._lan("cp", "-a", f"{host.disk}/{snapshot}.saved/.", f"{host.disk}/")
        else:
            self._install(host)
        self.on(name)

    def save(self, name: str, snapshot: str) -> None:
        """Switch a host off, keep its disk as a snapshot, and boot it again."""
        host = self.hosts[name]
        self.off(name)
        saved = f"{host.disk}/{snapshot}.saved"
        self._lan("rm", "-rf", saved)
        self._lan("mkdir", saved)
        self._lan("cp", "-a", *(f"{host.disk}/{part}" for part in ("upper", "docker", "containerd")), f"{saved}/")
        self.on(name)

    def clone(self, name: str, origin: str, snapshot: str) -> None:
        """Switch a host off, and boot it from another one's snapshot, with its own name and address."""
        host = self.hosts[name]
        self.off(name)
        for part in ("upper", "work", "docker", "containerd"):
            self._lan("rm", "-rf", "--one-file-system", f"{host.disk}/{part}")
        self._lan("cp", "-a", f"{self.hosts[origin].disk}/{snapshot}.saved/.", f"{host.disk}/")
        self._install(host)
        self.on(name)

    def ssh(self, name: str, command: str, timeout: float = 60) -> str:
        """Standard output of a shell command that the user pi runs on a host."""
        return shell.read(["ssh", "-F", self.ssh_config, "-o", "BatchMode=yes", name, command], timeout).strip()

    def on_network(self, name: str, *words: str) -> list[str]:
        """The command line that runs a program of this machine in the network of a host."""
        running = self.hosts[name].running
        assert running is not None, f"{name} is off"
        return ["nsenter", f"--net=/proc/{running.pid}/ns/net", "--", *words]

    def data(self, name: str) -> dict[str, object]:
        """Settings of a host for an inventory: how to log in, and what the lab's images and models need."""
        return {
            "ssh_config_file": str(self.ssh_config),
            "host_address": self.hosts[name].address,
            "docker_registry_mirrors": [self.registry_mirror],
            "proxy_image": self.images["httpd"],
            "ollama_image": self.images["ollama"],
            "ollama_model_registry": self.model_registry,
            "ollama_models": ["tinyllama"],
            "docker_images_gb": 1.0,
            "ollama_model_sizes_gb": dict.fromkeys(MODELS, 0.1),
        }

    def _start(self) -> None:
        # The kernel's default of 128 is enough for some ten hosts: beyond it, systemd does not boot.
        if int(_INOTIFY_LIMIT.read_text()) < 2048:
            shell.read(["sysctl", "-qw", "fs.inotify.max_user_instances=2048"])
        self._holder = self._hold()
        self._connect()
        self._serve()
        self._write_ssh_config()
        for host in self.hosts.values():
            self._lan("mkdir", "-p", host.disk)
            self._lan("mount", "-t", "tmpfs", "-o", "mode=0755,size=6g", "tmpfs", host.disk)
            self._install(host)
            self._boot(host)
        for host in self.hosts.values():
            self._wait(host)

    def _hold(self) -> int:
        """Start the process that holds the LAN's network and the disks; its pid."""
        words = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "sleep", "infinity"]
        holder = subprocess.Popen(words, stdin=subprocess.DEVNULL)
        self._clean.callback(holder.wait)
        self._clean.callback(holder.kill)
        ours = Path("/proc/self/ns/net").readlink()
        _poll(lambda: Path(f"/proc/{holder.pid}/ns/net").readlink() != ours, 10, "the LAN's namespace")
        return holder.pid

    def _connect(self) -> None:
        """Connect this machine to the LAN, as its gateway."""
        for number in range(256):
            words = ["ip", "link", "add", f"house{number}", "type", "veth", "peer", "name", "machine"]
            made = subprocess.run([*words, "netns", str(self._holder)], capture_output=True, check=False)
            if made.returncode == 0:
                break
        else:
            raise LabError("256 houses on this machine: end some of them.")
        self._number, link, gateway = number, f"house{number}", f"{_PREFIX}.{number}.1"
        self._lan("ip", "link", "add", "lan", "type", "bridge")
        self._lan("ip", "link", "set", "machine", "master", "lan", "up")
        self._lan("ip", "link", "set", "lan", "up")
        shell.read(["ip", "address", "add", f"{gateway}/24", "dev", link])
        shell.read(["ip", "link", "set", link, "up"])
        shell.read(["sysctl", "-qw", "net.ipv4.ip_forward=1", f"net.ipv4.conf.{link}.route_localnet=1"])
        for number, host in enumerate(self.hosts.values(), 11):
            host.address = f"{_PREFIX}.{self._number}.{number}"

    def _serve(self) -> None:
        """Start the lab's registries, and let the hosts reach them and the machine's network."""
        storages = {"images": self._parts["images"] / "storage", "models": self._parts["models"] / "storage"}
        served = dict(zip(storages, ports.free(2), strict=True))
        for name, storage in storages.items():
            program = self._parts["tools"] / "docker-registry"
            pid = registry.start(program, storage, served[name], self._directory, name)
            self._clean.callback(process.end, pid, str(self._directory))
        gateway, link = f"{_PREFIX}.{self._number}.1", f"house{self._number}"
        self.registry_mirror = f"http://{gateway}:{served['images']}"
        self.model_registry = f"http://{gateway}:{served['models']}"
        rules = f"""table ip hearth_{link}
delete table ip hearth_{link}
table ip hearth_{link} {{
  chain prerouting {{
    type nat hook prerouting priority dstnat
    iifname "{link}" ip daddr {gateway} tcp dport {{ {", ".join(map(str, served.values()))} }} dnat to {ports.LOOPBACK}
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat
    ip saddr {_PREFIX}.{self._number}.0/24 oifname != "{link}" masquerade
  }}
}}
"""
        subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True, timeout=10)
        self._clean.callback(shell.read, ["nft", "delete", "table", "ip", f"hearth_{link}"])

    def _write_ssh_config(self) -> None:
        key = self._directory / "ssh_key"
        shell.read(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "hearth-lab", "-f", key])
        self.ssh_config = self._directory / "ssh_config"
        self.ssh_config.write_text("\n".join(self._ssh_stanzas(key)))

    def _ssh_stanzas(self, key: Path) -> Iterator[str]:
        for host in self.hosts.values():
            yield f"""Host {host.name} {host.address}
  HostName {host.address}
  User pi
  IdentityFile "{key}"
  IdentitiesOnly yes
  UserKnownHostsFile "{self._directory}/known_hosts"
  StrictHostKeyChecking no
  LogLevel ERROR
"""

    def _install(self, host: Host) -> None:
        """Write onto the disk what tells this host from the others."""
        server = re.findall(r"(?m)^nameserver\s+([\d.]+)", Path("/etc/resolv.conf").read_text())
        network = f"""[Match]
Name=eth0
[Network]
Address={host.address}/24
Gateway={_PREFIX}.{self._number}.1
{"".join(f"DNS={address}{chr(10)}" for address in server)}LinkLocalAddressing=no
"""
        files = {
            "etc/hostname": f"{host.name}\n",
            "etc/hosts": f"127.0.0.1 localhost\n127.0.1.1 {host.name}\n::1 localhost\n",
            "etc/systemd/network/10-house.network": network,
        }
        upper = f"{host.disk}/upper"
        for name, text in files.items():
            self._lan("sh", "-c", 'mkdir -p "$(dirname "$0")" && printf %s "$1" >"$0"', f"{upper}/{name}", text)
        public, home = (self._directory / "ssh_key.pub").read_text(), f"{upper}/home/pi"
        self._lan("install", "-d", "-o", "1000", "-g", "1000", "-m", "0700", home, f"{home}/.ssh")
        self._lan("sh", "-c", 'printf %s "$1" >"$0" && chown 1000:1000 "$0"', f"{home}/.ssh/authorized_keys", public)

    def _boot(self, host: Host) -> None:
        """Start a host, with a cable to the LAN."""
        base = _UNIFIED if _UNIFIED.is_dir() else _UNIFIED.parent
        group = base / f"hearth-house{self._number}" / host.name
        if not group.parent.is_dir():
            self._clean.callback(_remove_group, group.parent)
        words = [
            *("nsenter", f"--target={self._holder}", "--net", "--mount", "--"),
            *("setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--"),
            *("bash", str(_HOST_SCRIPT), host.name, str(self._parts["house"] / "root"), host.disk, str(group)),
        ]
        lan = self._lan("readlink", "/proc/self/ns/net").strip()
        with (self._directory / f"{host.name}.log").open("ab") as log:
            host.running = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        pid = host.running.pid
        self._clean.callback(self.off, host.name)

        def in_own_network() -> bool:
            here = str(Path(f"/proc/{pid}/ns/net").readlink())
            return here not in (lan, str(Path("/proc/self/ns/net").readlink()))

        _poll(in_own_network, 10, f"{host.name}'s network")
        cable = f"to-{host.name}"
        # The same network card after each boot: this machine keeps its address for most of a minute.
        card = f"02:00:{':'.join(f'{int(part):02x}' for part in host.address.split('.'))}"
        peer = ("peer", "name", "eth0", "address", card, "netns", str(pid))
        self._lan("ip", "link", "add", cable, "type", "veth", *peer)
        self._lan("ip", "link", "set", cable, "master", "lan", "up")

    def _wait(self, host: Host) -> None:
        def greets() -> bool:
            with contextlib.suppress(OSError), socket.create_connection((host.address, 22), timeout=1) as connection:
                return connection.recv(4) == b"SSH-"
            return False

        log = self._directory / f"{host.name}.log"
        _poll(greets, 60, f"sshd of {host.name}; its log:\n{shell.tail(log)}")

    def _lan(self, *words: str, check: bool = True) -> str:
        """Run a command in the house's namespaces; its standard output, "" if it may fail and does."""
        command = ["nsenter", f"--target={self._holder}", "--net", "--mount", "--", *words]
        try:
            return shell.read(command, timeout=120)
        except LabError:
            if check:
                raise
            return ""


def _remove_group(group: Path) -> None:
    """Remove a control group and those below it, once their processes have ended."""

    def gone() -> bool:
        for path in sorted(group.rglob("*"), key=lambda one: -len(one.parts)):
            if path.is_dir():
                with contextlib.suppress(OSError):
                    path.rmdir()
        with contextlib.suppress(OSError):
            group.rmdir()
        return not group.exists()

    with contextlib.suppress(LabError):  # a process that ends slowly: the directory is empty, and harmless
        _poll(gone, 10, "the control groups' end")


def _poll(condition: Callable[[], object], deadline: float, what: str) -> None:
    until = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > until:
            raise LabError(f"Waited {deadline:.0f} s for: {what}")
        time.sleep(0.05)


def main() -> None:
    """Start a house for trying things out, and print how to use it."""
    import tempfile

    from lab import artefacts
    from lab.progress import Stages

    count = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Stages() as stages:
        parts = artefacts.build(NEEDED, stages)
    with tempfile.TemporaryDirectory() as directory, House(parts, Path(directory), count) as house:
        inventory = Path(directory) / "inventory.py"
        inventory.write_text(f"house = {[(name, house.data(name)) for name in house.hosts]!r}\n")
        for host in house.hosts.values():
            print(f"{host.name}  {host.address}  ssh -F {shlex.quote(str(house.ssh_config))} {host.name}")
        print(f"inventory: {inventory}\nEnter ends it.", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            sys.stdin.readline()


if __name__ == "__main__":
    main()
