#!/bin/sh
# A container without an engine: container.sh ROOT WORK HOSTNAME USER ro|rw [SOURCE:TARGET …] -- COMMAND …
# ROOT is an image's root directory; writes go to memory. Each SOURCE is mounted at its TARGET, like a volume; a SOURCE
# that is not a path has the options of a tmpfs (size=16m,mode=1777). USER has no capabilities, unless it is root, and
# can't gain any.
# Called as root under `env -i … unshare --mount --pid --uts --fork --kill-child`, so mounts and processes disappear with
# it, however it ends. It uses the machine's network.
set -eu
root=$1 work=$2 user=$4 mode=$5
echo "$3" >/proc/sys/kernel/hostname
shift 5
mount -t tmpfs -o mode=0755 tmpfs "$work"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$work/upper,workdir=$work/work" "$work/root"
mkdir -p "$work/root/dev" "$work/root/proc" "$work/root/sys"
mount --rbind /dev "$work/root/dev"
mount -t proc proc "$work/root/proc"
# As in Docker's containers. Ollama asks the kernel for a free port of "localhost" for each model's process; where that
# does not resolve, it takes a random one, and where that is in use, the model's first request waits for 5 minutes.
echo '127.0.0.1 localhost' >"$work/root/etc/hosts"
while [ "$1" != -- ]; do
  source=${1%%:*} target=$work/root${1#*:}
  # Docker creates a directory for a volume; a file already exists (/etc/hosts).
  [ -e "$target" ] || mkdir -p "$target"
  case $source in
    /*) mount --bind "$source" "$target" ;;
    *) mount -t tmpfs -o "$source" tmpfs "$target" ;;
  esac
  shift
done
shift
mount -o "remount,bind,$mode" "$work/root"
run() { setpriv --no-new-privs chroot --userspec="$user:$user" "$work/root" "$@"; }
exec 3<&0
{
  code=0
  run "$@" </dev/null >&2 || code=$?
  echo "container: the program ended with code $code" >&2
} &
# Each line of standard input is a command to run in the container. The response is its exit code, the length of its
# output, and the output. This is process 1: when the caller ends, our input ends, and everything here ends with us.
while IFS= read -r command; do
  code=0
  run timeout -k 5 60 sh -c "$command" >"$work/output" 2>&1 </dev/null || code=$?
  echo "$code $(wc -c <"$work/output")"
  cat "$work/output"
done <&3
