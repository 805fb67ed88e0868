#!/bin/sh
# A container without an engine: container.sh ROOT WORK HOSTNAME [SOURCE:TARGET …] -- COMMAND …
# ROOT is an image's root directory; what is written goes to memory. SOURCEs appear as TARGETs, as volumes do.
# Called as root under `env -i … unshare --mount --pid --uts --fork --kill-child`, so that mounts and processes vanish with
# it, however it ends. The network is the machine's own.
set -eu
root=$1 work=$2
echo "$3" >/proc/sys/kernel/hostname
shift 3
mount -t tmpfs -o mode=0755 tmpfs "$work"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$work/upper,workdir=$work/work" "$work/root"
mkdir -p "$work/root/dev" "$work/root/proc" "$work/root/sys"
mount --rbind /dev "$work/root/dev"
mount -t proc proc "$work/root/proc"
while [ "$1" != -- ]; do
  source=${1%%:*} target=$work/root${1#*:}
  # Docker makes a directory where a volume goes; a file is there already (/etc/hosts).
  [ -e "$target" ] || mkdir -p "$target"
  mount --bind "$source" "$target"
  shift
done
shift
exec 3<&0
{
  code=0
  chroot "$work/root" "$@" </dev/null >&2 || code=$?
  echo "container: the program ended with code $code" >&2
} &
# Each line of standard input is a command to run in the container, answered with its exit code, the length of its output
# and the output. We are process 1: when the caller is done or dead, our input ends, and with us all that runs here.
while IFS= read -r command; do
  code=0
  timeout -k 5 60 chroot "$work/root" sh -c "$command" >"$work/output" 2>&1 </dev/null || code=$?
  echo "$code $(wc -c <"$work/output")"
  cat "$work/output"
done <&3
