# shellcheck shell=sh disable=SC2034,SC2154
# A running engine's data-root, and where its images are: sets $root, $images (its containerd's root) and $image_store.
# For `docker info` the engine starts other programs, and it says the same until the engine ends: the file $engine_info,
# in /run, has it for the engine with that process id and start.
image_store='' info='' engine=$(cat /run/docker.pid 2>/dev/null)
if [ -d "/proc/${engine:-none}" ]; then engine="$engine $(stat -c %Y /run/docker.pid)"; else engine=; fi
{ read -r was && [ "$was" = "$engine" ] && read -r info; } 2>/dev/null <"$engine_info"
if [ -z "$info" ]; then
  info=$(command -v docker >/dev/null && timeout 40 docker info --format '{{.DockerRootDir}}|{{.DriverStatus}}' 2>/dev/null)
  case $engine$info in [0-9]*/*) printf '%s\n' "$engine" "$info" >"$engine_info" ;; esac
fi
case $info in
  /*io.containerd.snapshotter*) image_store=containerd root=${info%%|*} ;;
  /*) image_store=docker root=${info%%|*} ;;
esac
if [ "$image_store" = docker ]; then
  at= # its own images are below its data-root
elif [ -S /run/containerd/containerd.sock ]; then
  at=$(timeout 20 containerd config dump 2>/dev/null)
else
  # Started by the engine itself.
  at=$(cat /run/docker/containerd/containerd.toml 2>/dev/null)
fi
at=$(printf '%s\n' "$at" | sed -n "s/^root *= *[\"']\(\/[^\"']*\)[\"'].*/\1/p" | head -n 1)
images=${at:-$images}
