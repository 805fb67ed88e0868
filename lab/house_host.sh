#!/usr/bin/env bash
# Boots one host of the house: house_host.sh NAME ROOT DISK GROUP, in the namespaces of lab/house.py with a network of its own.
# ROOT is shared and not changed; DISK is a tmpfs that keeps what the host writes, over reboots too. GROUP: its control group.
set -euo pipefail
name=$1 root=$2 disk=$3 group=$4
if [[ ${5:-} != inside ]]; then
  mkdir -p "$group"
  echo 0 >"$group/cgroup.procs"
  exec unshare --cgroup --mount --pid --uts --ipc --fork --kill-child bash "$0" "$@" inside
fi
mkdir -p "$disk"/{upper,work,root,docker,containerd}
mount -t overlay overlay -o "lowerdir=$root,upperdir=$disk/upper,workdir=$disk/work" "$disk/root"
cd "$disk/root"
mkdir -p old var/lib/docker var/lib/containerd
# An overlay can't be the upper directory of another one: images and containers need a separate file system.
mount --bind "$disk/docker" var/lib/docker
mount --bind "$disk/containerd" var/lib/containerd
hostname "$name"
mount -t proc proc proc
# Kernel settings belong to the machine, except those of the network.
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t proc proc mnt
mount --bind mnt/sys/net proc/sys/net
umount mnt
# Read-only tells systemd that there is no udev to wait for.
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=0755 tmpfs dev
for device in null zero full random urandom tty fuse net/tun; do
  [[ -e /dev/$device ]] || continue
  mkdir -p "dev/$(dirname "$device")"
  : >"dev/$device"
  mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=0755 tmpfs run
pivot_root . old
cd /
umount --lazy /old
# As in a Proxmox container.
exec env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin /sbin/init
