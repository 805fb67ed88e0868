#!/bin/sh
# A Docker engine for tests, without emulation: engine.sh ROOT WORK PROJECT STORAGE REGISTRY CONFIG DAEMON
# ROOT contains Docker and is not changed; writes go to memory. PROJECT is mounted as /opt/hearth. REGISTRY is the
# docker-registry program, which serves the images in STORAGE (mounted as /srv/storage) as a mirror of Docker Hub,
# configured by CONFIG. DAEMON is the text of daemon.json.
# Called as root under `env -i … unshare --net` and `unshare --mount --pid --fork --kill-child`, so networks, mounts
# and processes disappear with it, however it ends.
set -eu
root=$1 work=$2
mount -t tmpfs -o mode=0755 tmpfs "$work"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$work/upper,workdir=$work/work" "$work/root"
cd "$work/root"
mkdir -p old opt/hearth srv/storage var/lib/docker etc/docker
touch srv/registry srv/registry.json
mount --rbind /dev dev
mount --rbind /sys sys
mount -t proc proc proc
mount -t tmpfs -o mode=0755 tmpfs run
# An overlay can't be the upper directory of another one: images and containers need a separate file system.
mount -t tmpfs -o mode=0755 tmpfs var/lib/docker
mount --bind "$3" opt/hearth
mount --bind "$4" srv/storage
mount --bind "$5" srv/registry
mount --bind "$6" srv/registry.json
printf '%s
' "$7" >etc/docker/daemon.json
# Not chroot: `docker exec` enters the mount namespace, whose root must be ours.
pivot_root . old
cd /
umount --lazy /old
ip link set lo up
# An address of the host, as for clients on the LAN: Docker treats 127.0.0.1 differently.
ip address add 198.51.100.1/32 dev lo
exec 3<&0
/srv/registry serve /srv/registry.json </dev/null >&2 &
dockerd </dev/null >&2 &
# Each line of standard input is a command. The response is its exit code, the length of its output, and the output. This
# is process 1: when the caller ends, our input ends, and everything here ends with us.
while IFS= read -r command; do
  code=0
  timeout -k 5 80 sh -c "$command" >/run/output 2>&1 </dev/null || code=$?
  echo "$code $(wc -c </run/output)"
  cat /run/output
done <&3
