"""The operations of this checkout's lab: up, down, snapshot, restore."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from lab import (
    artefacts,
    guests,
    hub,
    images,
    kvm,
    machine,
    origin,
    ports,
    process,
    qemu,
    qmp,
    servers,
    shell,
    smollm2,
    ssh,
    state,
)
from lab.errors import LabError
from lab.progress import Stages
from lab.state import State

FRESH = "fresh"
MEMORY = 2048  # MiB


@dataclass(frozen=True)
class Stack:
    """What deploys to the lab use: the origin of images and models, and which models; None for "unchanged"."""

    mode: str | None = None  # of lab.hub.MODES
    model: str | None = None  # of lab.smollm2.KINDS


UNCHANGED = Stack()


def up(
    stages: Stages, wanted: dict[str, int], memory: int | None = None, accel: str = "auto", stack: Stack = UNCHANGED
) -> None:
    """Build what is missing and start what is not running. `wanted`: guest port -> port on this machine's loopback."""
    guest = guests.chosen()
    with state.locked() as known:
        same = not _select_stack(known, stack)
        server_names = servers.names(guest, known.mode)
        if same and FRESH in known.snapshots and all(known.alive(name) for name in (state.QEMU, *server_names)):
            stages.log("The lab is already running.")
            return
        needed = guest.needed(known.mode, known.model)
        check(memory or known.memory or MEMORY, artefacts.missing(needed), known.mode)
        _choose_ports(known, wanted)  # before the build: a taken port should fail now, not minutes later
        paths = artefacts.build(needed, stages)
        _start_servers(known, paths, stages)
        if not known.alive(state.QEMU):
            _prepare(known, paths[guest.artefact], stages)
            known.memory = memory or known.memory or MEMORY
            _boot(known, accel, stages)
        if FRESH not in known.snapshots:
            with stages.stage("Wait for the first boot to settle"):
                _wait_for_guest(known)
                # Prints "running", or "degraded" if a unit failed; the boot is complete in both cases.
                ssh.run(state.DIRECTORY, "sh", "-c", "systemctl is-system-running --wait || true", timeout=300)
            _snapshot(known, FRESH, stages)


def down(stages: Stages, purge: bool = False) -> None:
    """Shut the guest down and stop its servers; with `purge`, delete this checkout's state."""
    with state.locked() as known:
        if known.alive(state.QEMU):
            with stages.stage("Shut the guest down"):
                if not qemu.power_off(state.DIRECTORY, known.pids[state.QEMU]):
                    stages.log("The guest did not shut down by itself; QEMU was stopped.")
        for pid in known.pids.values():
            process.end(pid, str(state.DIRECTORY))
        known.pids = {}
        known.save()
        if purge:
            shutil.rmtree(state.DIRECTORY)


def snapshot(stages: Stages, name: str) -> None:
    """Save the guest's complete state (disk, memory, processes) under a name; replaces one of the same name."""
    with state.locked() as known:
        if not known.alive(state.QEMU):
            raise LabError(
                "The lab is not running, so it can't take a snapshot. Start it with: .venv/bin/python -m lab up"
            )
        _snapshot(known, name, stages)


def restore(stages: Stages, name: str, stack: Stack = UNCHANGED) -> None:
    """Restore a snapshot and set the guest's clock; a lab that is down is started from the snapshot.

    The registries in use when it was taken come with it. Nothing is deployed in FRESH, so it works with any.
    """
    with state.locked() as known:
        if name not in known.snapshots:
            existing = ", ".join(known.snapshots) or "none"
            raise LabError(f"There is no snapshot {name!r}; existing ones: {existing}.")
        taken = known.snapshots[name]
        before = Stack() if name == FRESH else Stack(taken.get("mode", hub.BUILT), taken.get("model", smollm2.TINY))
        changed = _select_stack(known, Stack(stack.mode or before.mode, stack.model or before.model))
        same = taken["memory"] == known.memory and taken["accel"] == known.accel
        loads = known.alive(state.QEMU) and same
        if changed or not (loads and all(map(known.alive, servers.names(guests.chosen(), known.mode)))):
            needed = guests.chosen().needed(known.mode, known.model)
            check(0 if loads else taken["memory"], artefacts.missing(needed), known.mode)
            _choose_ports(known, {})
            _start_servers(known, artefacts.build(needed, stages), stages)
        if loads:
            with stages.stage(f"Restore {name}"):
                _monitor_command(f"loadvm {name}", f"restore {name}")
                _wait_for_guest(known)
            return
        if known.alive(state.QEMU):  # a snapshot only loads with the same memory and accelerator
            qemu.power_off(state.DIRECTORY, known.pids[state.QEMU])
            _choose_ports(known, {})
        known.memory = taken["memory"]
        if taken["accel"] == "kvm" and not kvm.available(Path(known.guest)):
            raise LabError(
                f"The snapshot {name!r} was taken under KVM, which no longer works here, and can't be loaded "
                "without it. Start over with: python -m lab down --purge"
            )
        _boot(known, taken["accel"], stages, name)


def check(memory: int, to_build: list[str], mode: str = hub.BUILT) -> None:
    """Check everything that could stop `up`, before it changes anything."""
    kind = guests.chosen()
    machine.check_commands(
        {**machine.runtime_commands(kind), **(machine.build_commands(kind, mode) if to_build else {})}
    )
    machine.check_qemu(kind)
    machine.check_memory(memory)
    machine.check_disk_space(state.CHECKOUT, bool(to_build))
    if to_build:
        machine.check_root()


def _prepare(known: State, guest: Path, stages: Stages) -> None:
    """Create this checkout's key and disk if they are missing."""
    ssh.make_key(state.DIRECTORY)
    overlay = state.DIRECTORY / "overlay.qcow2"
    if overlay.exists() and known.guest:
        if not Path(known.guest).is_dir():
            raise LabError(
                f"The disk in {state.DIRECTORY} is based on {known.guest}, which no longer exists. "
                "Start over with: python -m lab down --purge"
            )
        if Path(known.guest) != guest:
            stages.log(
                "The guest's recipe has changed since this disk was created. Get a new one: python -m lab down --purge"
            )
        return
    base = str(guest / "disk.qcow2")
    shell.read(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", overlay])
    (state.DIRECTORY / "known_hosts").unlink(missing_ok=True)
    known.guest, known.snapshots = str(guest), {}
    known.save()


def _select_stack(known: State, stack: Stack) -> bool:
    """Record what is deployed from now on; whether that is a change."""
    before = known.mode, known.model
    known.mode, known.model = stack.mode or known.mode, stack.model or known.model
    return (known.mode, known.model) != before


def _choose_ports(known: State, wanted: dict[str, int]) -> None:
    """Choose ports for what is not running yet; running processes keep theirs."""
    machine_ports = [] if known.alive(state.QEMU) else list(state.GUEST_PORTS)
    server_names = servers.names(guests.chosen(), known.mode)
    names = [*machine_ports, *(name for name in server_names if not known.alive(name))]
    known.ports |= ports.choose(names, wanted, known.ports)


def _start_servers(known: State, paths: artefacts.Paths, stages: Stages) -> None:
    """Start the guest's servers and end those that are no longer needed or serve another directory."""
    guest = guests.chosen()
    if known.model == smollm2.REAL and known.mode == hub.BUILT and "smollm2" not in paths:
        stages.log(f"  Without {smollm2.NAME}, the lab uses its tiny models.")
        known.model = smollm2.TINY
    wanted = {name: servers.storage(guest, name, paths) for name in servers.names(guest, known.mode)}
    for name in set(known.pids) - {state.QEMU}:
        if name not in wanted or known.storages.get(name) != str(wanted[name]):
            process.end(known.pids.pop(name), str(state.DIRECTORY))
    known.origins = [line for path in paths.values() for line in origin.lines(path)]
    known.save()
    if not wanted:
        return
    with stages.stage("Start the registries"):
        known.images = images.tags(paths[guest.images])
        for name, storage in wanted.items():
            if not known.alive(name):
                known.pids[name] = servers.start(name, storage, paths["tools"], known.ports[name])
                known.storages[name] = str(storage)
                known.save()


def _boot(known: State, accel: str, stages: Stages, snapshot_name: str = "") -> None:
    guest, kind = Path(known.guest), guests.chosen()
    if kind.architecture != "amd64":
        accel = "tcg"  # another processor than this machine's is always emulated
    if accel == "auto":
        with stages.stage("Check whether KVM works here"):
            accel = "kvm" if kvm.available(guest) else "tcg"
    if accel == "tcg":
        machine.check_emulation(kind)
    known.accel = accel
    forwards = {port: known.ports[port] for port in state.GUEST_PORTS}
    directory = state.DIRECTORY
    (directory / "ssh_config").write_text(ssh.configuration(directory, known.ports["22"]))
    key = ssh.make_key(directory)
    plan = qemu.Machine(
        directory, guest, accel, known.memory, forwards, architecture=kind.architecture, snapshot=snapshot_name
    )
    if kind.key_in_firmware:
        plan = replace(plan, firmware=ssh.firmware_credential(key))
    else:
        plan = replace(plan, kernel_arguments=ssh.credential(key))
    with stages.stage(f"Boot the guest ({accel})"):
        known.pids[state.QEMU] = qemu.start(plan)
        known.save()
        _wait_for_guest(known)


def _wait_for_guest(known: State) -> None:
    ssh.wait(state.DIRECTORY, known.ports["22"], deadline=240)


def _snapshot(known: State, name: str, stages: Stages) -> None:
    if not name.replace("-", "").replace("_", "").isalnum():
        raise LabError(f"{name!r} is not a valid name of a snapshot: use letters, digits, - and _.")
    with stages.stage(f"Take the snapshot {name}"):
        _monitor_command(f"savevm {name}", f"take the snapshot {name}")
        taken = {"memory": known.memory, "accel": known.accel, "mode": known.mode, "model": known.model}
        known.snapshots[name] = taken
        known.save()


def _monitor_command(line: str, what: str) -> None:
    """Run a command of QEMU's human monitor, which prints nothing on success."""
    with qmp.monitor(state.DIRECTORY) as monitor:
        output = monitor.human(line, timeout=180)
    if output:
        raise LabError(f"QEMU could not {what}: {output}")
