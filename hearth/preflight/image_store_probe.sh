# shellcheck shell=sh disable=SC2034
# A running engine's data-root, and where its images are: sets $root, $images (its containerd's root) and $image_store.
image_store=
info=$(command -v docker >/dev/null && timeout 40 docker info --format '{{.DockerRootDir}}|{{.DriverStatus}}' 2>/dev/null)
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
