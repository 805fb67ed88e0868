#!/usr/bin/env bash
# Runs a command inside a root directory that it cannot change: enter.sh ROOT WORK COMMAND…
# Called under `unshare --mount --pid --fork --kill-child`, so that mounts and processes vanish with it, however it ends.
# WORK appears as /work and is the only place (besides /tmp) that the command can write to.
set -euo pipefail
root=$1 work=$2
shift 2
mount --bind "$root" "$root"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/tmp"
mount --bind "$work" "$root/work"
# The machine's own resolver and certificates: its network may have its own names and its own TLS authority.
mount --bind "$(readlink -f /etc/resolv.conf)" "$root/etc/resolv.conf"
mount --bind /etc/hosts "$root/etc/hosts"
mount --bind "$(readlink -f /etc/ssl/certs/ca-certificates.crt)" "$root/etc/ssl/certs/ca-certificates.crt"
mount -o remount,bind,ro "$root"
# The caller holds our standard input open for as long as it wants the command. When that closes, because the caller is
# done or dead, we end; a signal would not do, since unshare and sudo each keep some to themselves. We are process 1 of
# the namespace, so with us goes everything in it.
exec 3<&0
chroot "$root" "$@" </dev/null &
command=$!
{
  cat <&3 >/dev/null
  kill "$command"
} &
wait "$command"
